"""Small shops and public datasets as files, in the forms that init knows."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from tests.preprocess.public_files import MOVIELENS, SMALL

N_EVENTS, N_USERS, N_ITEMS = 600, 40, 30
START_S = 1_700_000_000  # 2023-11-14 22:13:20 UTC


def iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_RNG = np.random.default_rng(0)
USERS = _RNG.integers(0, N_USERS, N_EVENTS).tolist()
ITEMS = [*range(N_ITEMS), *_RNG.integers(0, N_ITEMS, N_EVENTS - N_ITEMS).tolist()]
SECONDS = (START_S + _RNG.integers(0, 10_000_000, N_EVENTS)).tolist()
RATINGS = _RNG.integers(1, 6, N_EVENTS).tolist()
MOMENTS = [datetime.fromtimestamp(s, UTC).replace(tzinfo=None) for s in SECONDS]
TITLES = [f"{color} lamp no. {i}" for i, color in enumerate(["red", "blue", "green"] * 10)]

# Log and catalog as columns, and which column has which role.
SHOPS = {
    "german": (
        {
            "Bestellnr": range(N_EVENTS),
            "Kundennummer": [10_000 + u for u in USERS],
            "ArtikelNr": ITEMS,
            "Menge": [1 + r % 3 for r in RATINGS],
            "Zeitstempel": [1000 * s for s in SECONDS],
            "Bewertung": RATINGS,
        },
        {"ArtikelNr": range(N_ITEMS), "Bezeichnung": TITLES, "Preis": [9.5] * N_ITEMS},
        {
            "user": "Kundennummer",
            "item": "ArtikelNr",
            "timestamp": "Zeitstempel",
            "timestamp_unit": "milliseconds",
            "rating": "Bewertung",
            "item_id": "ArtikelNr",
        },
    ),
    "french": (  # the catalog's id has another name than the log's; times are text with a zone
        {
            "numéro_commande": [f"C{i}" for i in range(N_EVENTS)],
            "acheteur": [f"a{u}" for u in USERS],
            "produit": [f"p{i}" for i in ITEMS],
            "date d'achat": [iso(s) for s in SECONDS],
        },
        {"réf": [f"p{i}" for i in range(N_ITEMS)], "désignation": TITLES},
        {
            "user": "acheteur",
            "item": "produit",
            "timestamp": "date d'achat",
            "timestamp_unit": "iso",
            "item_id": "réf",
        },
    ),
    "camel_case": (  # Parquet; users and items are numbers of overlapping ranges
        {"userScore": RATINGS, "productId": ITEMS, "customerId": USERS, "visitedAt": MOMENTS},
        {"productId": range(N_ITEMS), "productName": TITLES, "tags": [["a", "b"]] * N_ITEMS},
        {
            "user": "customerId",
            "item": "productId",
            "timestamp": "visitedAt",
            "timestamp_unit": "iso",
            "rating": "userScore",
            "item_id": "productId",
        },
    ),
    "nameless": (  # names say nothing; the content has to
        {
            "c1": range(N_EVENTS),
            "c2": SECONDS,
            "c3": [f"x{i}" for i in ITEMS],
            "c4": [f"w{u}" for u in USERS],
        },
        {"d1": TITLES, "d2": [f"x{i}" for i in range(N_ITEMS)]},
        {
            "user": "c4",
            "item": "c3",
            "timestamp": "c2",
            "timestamp_unit": "seconds",
            "item_id": "d2",
        },
    ),
}


def write_shop(name: str, folder: Path) -> tuple[Path, Path, dict]:
    """Write a shop's log and catalog; their paths and the roles of their columns."""
    log, catalog, roles = SHOPS[name]
    if name == "camel_case":
        paths = folder / "events.parquet", folder / "things.parquet"
        pl.DataFrame(log).write_parquet(paths[0])
        pl.DataFrame(catalog).write_parquet(paths[1])
    else:
        paths = folder / "log.csv", folder / "things.csv"
        pl.DataFrame(log).write_csv(paths[0], separator=";" if name == "german" else "\t")
        pl.DataFrame(catalog).write_csv(paths[1])
    return *paths, roles


def plain(
    folder: Path, log: dict | None = None, catalog: dict | None = None, *, empty: bool = False
) -> tuple[Path, Path]:
    """customer, sku, ts (seconds) and sku, title as CSV.

    Columns may be added, replaced or, with None, taken out; ``empty``: only title is there before.
    """
    events = {
        "customer": [f"u{u}" for u in USERS],
        "sku": [f"i{i}" for i in ITEMS],
        "ts": SECONDS,
    }
    items = {"sku": [f"i{i}" for i in range(N_ITEMS)], "title": TITLES}
    if empty:
        events, items = {}, {"title": "lamp"}
    paths = folder / "logs.csv", folder / "products.csv"
    for path, columns in zip(paths, (events | (log or {}), items | (catalog or {})), strict=True):
        kept = {name: values for name, values in columns.items() if values is not None}
        pl.DataFrame(kept).write_csv(path)
    return paths


# Names of the log and the catalog, what is in them, and what stands beside them.
FORMATS = {
    "recbole": ("x.inter", "x.item", SMALL["recbole"], {}),
    "amazon_2014": ("reviews_Beauty_5.json.gz", "meta_Beauty.json.gz", SMALL["amazon_2014"], {}),
    "amazon_2023": ("All_Beauty.jsonl", "meta.jsonl", SMALL["amazon_2023"], {}),
    "yelp": ("yelp_review.json", "yelp_business.json", SMALL["yelp"], {}),
    "movielens_100k": (
        *("u.data", "u.item", MOVIELENS["100k"][:2]),
        {"u1.base": "1\t2\t3\t881250949\n"},
    ),
    "movielens_1m": (
        *("ratings.dat", "movies.dat", MOVIELENS["1m"][:2]),
        {"users.dat": "1::F::1::10::48067\n"},
    ),
    "movielens_latest": (
        *("ratings.csv", "movies.csv", MOVIELENS["20m"][:2]),
        {"tags.csv": "userId,movieId,tag,timestamp\n1,1,fun,1445714994\n"},
    ),
}


def write_public(form: str, folder: Path) -> tuple[Path, Path]:
    """Write the files of a public dataset; paths of its log and its catalog."""
    log, catalog, contents, others = FORMATS[form]
    for name, content in {**dict(zip((log, catalog), contents, strict=True)), **others}.items():
        content = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder / log, folder / catalog
