"""Small shops, made by hand or by a seeded generator, in the forms that init knows."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

N_EVENTS, N_USERS, N_ITEMS = 600, 40, 30
START_S = 1_700_000_000  # 2023-11-14 22:13:20 UTC


def draws(seed: int = 0) -> dict[str, list]:
    """The events of a shop: numbers of users and items, seconds, ratings of 1 to 5."""
    rng = np.random.default_rng(seed)
    return {
        "user": rng.integers(0, N_USERS, N_EVENTS).tolist(),
        "item": [*range(N_ITEMS), *rng.integers(0, N_ITEMS, N_EVENTS - N_ITEMS).tolist()],
        "seconds": (START_S + rng.integers(0, 10_000_000, N_EVENTS)).tolist(),
        "rating": rng.integers(1, 6, N_EVENTS).tolist(),
    }


def iso(seconds: int, end: str = "Z") -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + end


def titles() -> list[str]:
    return [f"{color} lamp no. {i}" for i, color in enumerate(["red", "blue", "green"] * 10)]


def german(folder: Path) -> tuple[Path, Path, dict]:
    d = draws()
    log = {
        "Bestellnr": range(N_EVENTS),
        "Kundennummer": [10_000 + u for u in d["user"]],
        "ArtikelNr": d["item"],
        "Menge": [1 + r % 3 for r in d["rating"]],
        "Zeitstempel": [1000 * s for s in d["seconds"]],
        "Bewertung": d["rating"],
    }
    catalog = {"ArtikelNr": range(N_ITEMS), "Bezeichnung": titles(), "Preis": [9.5] * N_ITEMS}
    pl.DataFrame(log).write_csv(folder / "bestellungen.csv", separator=";")
    pl.DataFrame(catalog).write_csv(folder / "artikel.csv", separator=";")
    expected = {
        "user": "Kundennummer",
        "item": "ArtikelNr",
        "timestamp": "Zeitstempel",
        "timestamp_unit": "milliseconds",
        "rating": "Bewertung",
        "item_id": "ArtikelNr",
    }
    return folder / "bestellungen.csv", folder / "artikel.csv", expected


def french(folder: Path) -> tuple[Path, Path, dict]:
    """The catalog's id has another name than the log's; times are text with a zone."""
    d = draws()
    log = {
        "numéro_commande": [f"C{i}" for i in range(N_EVENTS)],
        "acheteur": [f"a{u}" for u in d["user"]],
        "produit": [f"p{i}" for i in d["item"]],
        "date d'achat": [iso(s) for s in d["seconds"]],
    }
    catalog = {"réf": [f"p{i}" for i in range(N_ITEMS)], "désignation": titles()}
    pl.DataFrame(log).write_csv(folder / "achats.tsv", separator="\t")
    pl.DataFrame(catalog).write_csv(folder / "produits.csv")
    expected = {
        "user": "acheteur",
        "item": "produit",
        "timestamp": "date d'achat",
        "timestamp_unit": "iso",
        "item_id": "réf",
    }
    return folder / "achats.tsv", folder / "produits.csv", expected


def camel_case(folder: Path) -> tuple[Path, Path, dict]:
    """Parquet with typed columns; users and items are numbers of overlapping ranges."""
    d = draws()
    times = [datetime.fromtimestamp(s, UTC).replace(tzinfo=None) for s in d["seconds"]]
    log = {
        "userScore": d["rating"],
        "productId": d["item"],
        "customerId": d["user"],
        "visitedAt": times,
    }
    catalog = {"productId": range(N_ITEMS), "productName": titles(), "tags": [["a", "b"]] * N_ITEMS}
    pl.DataFrame(log).write_parquet(folder / "events.parquet")
    pl.DataFrame(catalog).write_parquet(folder / "things.parquet")
    expected = {
        "user": "customerId",
        "item": "productId",
        "timestamp": "visitedAt",
        "timestamp_unit": "iso",
        "rating": "userScore",
        "item_id": "productId",
    }
    return folder / "events.parquet", folder / "things.parquet", expected


def nameless(folder: Path) -> tuple[Path, Path, dict]:
    """Names say nothing; the content has to."""
    d = draws()
    log = {
        "c1": range(N_EVENTS),
        "c2": d["seconds"],
        "c3": [f"x{i}" for i in d["item"]],
        "c4": [f"w{u}" for u in d["user"]],
    }
    catalog = {"d1": titles(), "d2": [f"x{i}" for i in range(N_ITEMS)]}
    pl.DataFrame(log).write_csv(folder / "one.csv")
    pl.DataFrame(catalog).write_csv(folder / "two.csv")
    expected = {
        "user": "c4",
        "item": "c3",
        "timestamp": "c2",
        "timestamp_unit": "seconds",
        "item_id": "d2",
    }
    return folder / "one.csv", folder / "two.csv", expected


SHOPS = {make.__name__: make for make in (german, french, camel_case, nameless)}


def plain(
    folder: Path, log: dict | None = None, catalog: dict | None = None, *, empty: bool = False
) -> tuple[Path, Path]:
    """customer, sku, ts (seconds) and sku, title as CSV.

    Columns may be added, replaced or, with None, taken out; ``empty``: only title is there before.
    """
    d = draws()
    events = {
        "customer": [f"u{u}" for u in d["user"]],
        "sku": [f"i{i}" for i in d["item"]],
        "ts": d["seconds"],
    }
    items = {"sku": [f"i{i}" for i in range(N_ITEMS)], "title": titles()}
    if empty:
        events, items = {}, {"title": "lamp"}
    for name, columns in (
        ("logs.csv", events | (log or {})),
        ("products.csv", items | (catalog or {})),
    ):
        kept = {name: values for name, values in columns.items() if values is not None}
        pl.DataFrame(kept).write_csv(folder / name)
    return folder / "logs.csv", folder / "products.csv"


def _lines(path: Path, rows: list, *, packed: bool = False) -> Path:
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path


def recbole(folder: Path) -> tuple[Path, Path]:
    log = ["user_id:token\titem_id:token\ttimestamp:float", "u\ta\t1", "u\tb\t2"]
    items = ["item_id:token\ttitle:token_seq", "a\tred lamp", "b\tblue lamp"]
    return _lines(folder / "x.inter", log), _lines(folder / "x.item", items)


def amazon_2014(folder: Path) -> tuple[Path, Path]:
    review = {"reviewerID": "U", "asin": "B1", "overall": 5.0, "unixReviewTime": 1400000000}
    log = _lines(folder / "reviews_Beauty_5.json.gz", [review, review], packed=True)
    meta = ["{'asin': 'B1', 'title': 'Lamp', 'categories': [['Beauty']]}", "{'asin': 'B2'}"]
    return log, _lines(folder / "meta_Beauty.json.gz", meta, packed=True)


def amazon_2023(folder: Path) -> tuple[Path, Path]:
    review = {
        "rating": 5.0,
        "asin": "B1",
        "parent_asin": "B1",
        "user_id": "U",
        "timestamp": 1600000000000,
    }
    meta = {"main_category": "Beauty", "title": "Lamp", "parent_asin": "B1", "features": []}
    return _lines(folder / "All_Beauty.jsonl", [review]), _lines(folder / "meta.jsonl", [meta])


def yelp(folder: Path) -> tuple[Path, Path]:
    review = {
        "review_id": "r",
        "user_id": "u",
        "business_id": "b",
        "stars": 4.0,
        "date": "2014-07-23 08:15:00",
    }
    business = {
        "business_id": "b",
        "name": "Bar",
        "city": "Reno",
        "categories": "Bars",
        "stars": 4.0,
    }
    log = _lines(folder / "yelp_academic_dataset_review.json", [review])
    return log, _lines(folder / "yelp_academic_dataset_business.json", [business])


def movielens_100k(folder: Path) -> tuple[Path, Path]:
    row = "1|Toy Story (1995)|01-Jan-1995||http://x|" + "|".join("0" * 19)
    items = folder / "u.item"
    items.write_bytes((row + "\n" + row.replace("1|Toy", "2|Amé")).encode("latin-1"))
    _lines(folder / "u1.base", ["1\t2\t3\t881250949"])
    return _lines(folder / "u.data", ["1\t1\t3\t881250949", "1\t2\t3\t881250950"]), items


def movielens_1m(folder: Path) -> tuple[Path, Path]:
    _lines(folder / "users.dat", ["1::F::1::10::48067"])
    log = _lines(folder / "ratings.dat", ["1::1::5::978300760", "1::2::3::978302109"])
    return log, _lines(folder / "movies.dat", ["1::Toy, Story::Animation|Comedy", "2::Heat::Drama"])


def movielens_latest(folder: Path) -> tuple[Path, Path]:
    _lines(folder / "tags.csv", ["userId,movieId,tag,timestamp", "1,1,fun,1445714994"])
    _lines(folder / "links.csv", ["movieId,imdbId,tmdbId", "1,0114709,862"])
    log = _lines(folder / "ratings.csv", ["userId,movieId,rating,timestamp", "1,1,4.0,1225734739"])
    return log, _lines(folder / "movies.csv", ["movieId,title,genres", "1,Toy Story (1995),Comedy"])


FORMATS = {
    make.__name__: make
    for make in (
        *(recbole, amazon_2014, amazon_2023, yelp),
        *(movielens_100k, movielens_1m, movielens_latest),
    )
}
