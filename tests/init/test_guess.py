"""Which files are the log and the catalog, and which of their columns hold what."""

import gzip
from functools import partial

import polars as pl
import pytest

from ace_steps.config.registry import READERS
from ace_steps.errors import InputError
from ace_steps.init import guess as guessing
from ace_steps.init.guess import guess
from ace_steps.init.heads import read_head
from ace_steps.init.times import times_of
from tests.init.made import FORMATS, N_ITEMS, SHOPS, START_S, draws, plain


def settings_of(found):
    """The dataset's settings, as the configuration would have them."""
    given = {
        "reader": found.reader,
        "interactions": str(found.interactions),
        "items": str(found.items),
    }
    given |= {"columns": found.columns} if found.columns else {}
    return READERS[found.reader].settings_class().model_validate(given)


@pytest.mark.parametrize("shop", SHOPS)
def test_columns_of_unfamiliar_names_are_recognized(shop, tmp_path):
    log, catalog, expected = SHOPS[shop](tmp_path)
    found = guess([log, catalog])
    assert (found.interactions, found.items) == (log, catalog)
    assert found.columns == expected
    assert found.doubts == []


@pytest.mark.parametrize("shop", SHOPS)
def test_the_order_of_the_files_does_not_matter_nor_does_a_folder(shop, tmp_path):
    log, catalog, expected = SHOPS[shop](tmp_path)
    for paths in ([catalog, log], [tmp_path]):
        found = guess(paths)
        assert (found.interactions, found.items, found.columns) == (log, catalog, expected)


@pytest.mark.parametrize("shop", SHOPS)
def test_the_reader_takes_what_was_guessed_for_it(shop, tmp_path):
    log, catalog, _ = SHOPS[shop](tmp_path)
    settings = settings_of(guess([log, catalog]))
    raw = READERS["table"].implementation()(log, catalog, settings)
    seconds = draws()["seconds"]
    assert (len(raw.events), len(raw.items)) == (len(seconds), N_ITEMS)
    assert raw.events["timestamp"].to_list() == pytest.approx(seconds, abs=1)


@pytest.mark.parametrize("form", FORMATS)
def test_a_public_format_is_recognized_in_a_folder_and_its_reader_takes_the_files(form, tmp_path):
    log, catalog = FORMATS[form](tmp_path)
    for paths in ([tmp_path], [catalog, log]):
        found = guess(paths)
        assert (found.interactions, found.items) == (log, catalog)
        assert form.startswith(found.reader)
        assert found.columns is None
    raw = READERS[found.reader].implementation()(log, catalog, settings_of(found))
    assert len(raw.events) > 0
    assert len(raw.items) > 0


def test_of_several_logs_of_one_format_the_others_are_named(tmp_path):
    log, _ = FORMATS["movielens_100k"](tmp_path)
    (tmp_path / "ua.data").write_text("1\t2\t3\t881250949\n")
    found = guess([tmp_path])
    assert found.interactions == log
    assert any("ua.data" in doubt for doubt in found.doubts)


def test_a_log_of_movielens_beside_another_catalog_is_a_table(tmp_path):
    log, movies = FORMATS["movielens_latest"](tmp_path)
    rows = [f"{u},{i},4.0,{START_S + u}" for u in range(20) for i in range(10)]
    log.write_text("\n".join(["userId,movieId,rating,timestamp", *rows]))
    movies.write_text("\n".join(["film,plot", *(f"{i},long story {i}" for i in range(10))]))
    found = guess([log, movies])
    assert found.reader == "table"
    assert (found.columns["item"], found.columns["item_id"]) == ("movieId", "film")


@pytest.mark.parametrize(
    ("ending", "pack"),
    [(".csv.gz", gzip.compress), (".csv.zst", None)],
)
def test_packed_tables_are_read(ending, pack, tmp_path):
    log, catalog = plain(tmp_path)
    packed = tmp_path / f"packed{ending}"
    if pack:
        packed.write_bytes(pack(log.read_bytes()))
    else:
        pl.read_csv(log).write_csv(packed, compression="zstd")
    assert guess([packed, catalog]).columns["user"] == "customer"


@pytest.mark.parametrize(
    ("unit", "per_second"),
    [("seconds", 1), ("milliseconds", 10**3), ("microseconds", 10**6), ("nanoseconds", 10**9)],
)
def test_the_unit_of_times_is_known_by_their_size(unit, per_second, tmp_path):
    times = [s * per_second for s in draws()["seconds"]]
    found = guess(plain(tmp_path, {"ts": times}))
    assert found.columns["timestamp_unit"] == unit
    assert found.doubts == []


def test_times_without_a_unit_are_doubted(tmp_path):
    found = guess(plain(tmp_path, {"ts": list(range(600))}))
    assert found.columns["timestamp"] == "ts"
    assert any("'ts'" in doubt and "599" in doubt for doubt in found.doubts)


def test_dates_as_eight_digits_are_doubted():
    times = times_of(pl.Series("day", [20240131, 20240201, 20231224]))
    assert "20240131" in times.doubt


def test_dates_that_no_reader_takes_are_refused_with_an_example(tmp_path):
    paths = plain(tmp_path, {"ts": [f"{1 + i % 28:02}.01.2024" for i in range(600)]})
    with pytest.raises(InputError, match=r"'ts'.*'01\.01\.2024'.*2024-01-31"):
        guess(paths)


def test_two_columns_that_could_be_the_user_are_both_named(tmp_path):
    other = [f"v{u}" for u in reversed(draws()["user"])]
    found = guess(plain(tmp_path, {"client": other}))
    taken = found.columns["user"]
    left = ({"customer", "client"} - {taken}).pop()
    assert [d for d in found.doubts if d.startswith("user:") and repr(left) in d]


def test_a_rating_needs_a_name(tmp_path):
    small = draws()["rating"]
    assert "rating" not in guess(plain(tmp_path, {"quantity": small})).columns
    assert guess(plain(tmp_path, {"stars": small})).columns["rating"] == "stars"


def test_ids_as_whole_floats_meet_ids_as_text(tmp_path):
    d = draws()
    log = {"customer": d["user"], "sku": [float(i) for i in d["item"]], "ts": d["seconds"]}
    pl.DataFrame(log).write_parquet(tmp_path / "log.parquet")
    catalog = {"nr": [str(i) for i in range(N_ITEMS)], "title": ["lamp"] * N_ITEMS}
    pl.DataFrame(catalog).write_csv(tmp_path / "items.csv")
    found = guess([tmp_path / "log.parquet", tmp_path / "items.csv"])
    assert (found.columns["item"], found.columns["item_id"]) == ("sku", "nr")


def test_an_index_without_a_name_is_no_column(tmp_path):
    log, catalog = plain(tmp_path)
    rows = log.read_text().splitlines()
    log.write_text("\n".join([f",{rows[0]}", *(f"{i},{row}" for i, row in enumerate(rows[1:]))]))
    assert guess([log, catalog]).columns["user"] == "customer"


def test_a_table_of_users_is_not_the_catalog(tmp_path):
    plain(tmp_path)
    users = {"customer": [f"u{i}" for i in range(40)], "name": [f"Ann {i}" for i in range(40)]}
    pl.DataFrame(users).write_csv(tmp_path / "clients.csv")
    (tmp_path / "README.md").write_text("not data")
    (tmp_path / "empty.csv").write_text("")
    found = guess([tmp_path])
    assert found.items == tmp_path / "products.csv"
    assert any("empty.csv" in doubt for doubt in found.doubts)


def test_items_without_a_row_in_the_catalog_are_counted(tmp_path):
    log, catalog = plain(tmp_path)
    catalog.write_text("\n".join(catalog.read_text().splitlines()[:-2]))
    found = guess([log, catalog])
    assert found.has_missing_items
    assert any(f"2 of the log's {N_ITEMS} items" in doubt for doubt in found.doubts)


def test_items_with_several_rows_are_named(tmp_path):
    log, catalog = plain(tmp_path)
    catalog.write_text(catalog.read_text() + "i3,again\n")
    found = guess([log, catalog])
    assert found.columns["item_id"] == "sku"
    assert any("'i3'" in doubt for doubt in found.doubts)


def test_filters_that_would_leave_few_users_are_said(tmp_path):
    log, catalog = plain(tmp_path, {"customer": [f"u{i // 3}" for i in range(600)]})
    found = guess([log, catalog])
    assert any("0 of 200 users" in doubt for doubt in found.doubts)


def test_of_a_large_file_the_head_is_read_and_that_is_said(tmp_path):
    log, _ = plain(tmp_path)
    whole = read_head(log)
    by_rows, by_bytes = read_head(log, max_rows=100), read_head(log, max_bytes=4_000)
    assert (whole.is_whole, whole.n_rows) == (True, 600)
    for head in (by_rows, by_bytes):
        assert not head.is_whole
        assert "first" in head.description()
        assert head.table.equals(whole.table[: head.n_rows])
    assert by_rows.n_rows == 99  # the last may be cut
    assert 100 < by_bytes.n_rows < 600


def test_ids_may_be_further_down_than_the_head(tmp_path, monkeypatch):
    """A log sorted by item meets a catalog sorted the other way round."""
    log, catalog = plain(tmp_path)
    pl.read_csv(log).sort("sku").write_csv(log)
    pl.read_csv(catalog).sort("sku", descending=True).write_csv(catalog)
    monkeypatch.setattr(guessing, "read_head", partial(read_head, max_rows=5))
    found = guess([log, catalog])
    assert (found.columns["item"], found.columns["item_id"]) == ("sku", "sku")
    assert not found.has_missing_items


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"PK\x03\x04rest", "zip"),
        (b"\x1f\x8bbroken", "not readable"),
        (b"PAR1broken", "not readable"),
        (b"\xff\xfea\0,\0b\0", "UTF-8"),
        (b"a,a\n1,2\n", "'a' twice"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_with_its_name(content, expected, tmp_path):
    log, _ = plain(tmp_path)
    wrong = tmp_path / "wrong.csv"
    wrong.write_bytes(content)
    with pytest.raises(InputError, match=expected) as refusal:
        guess([log, wrong])
    assert "wrong.csv" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_latin_1_and_bars_are_refused_with_the_way_out(tmp_path):
    log, catalog = plain(tmp_path, catalog={"title": ["café"] * N_ITEMS})
    text = catalog.read_text()
    catalog.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="iconv"):
        guess([log, catalog])
    catalog.write_text(text.replace(",", "|"))
    with pytest.raises(InputError, match=r"products\.csv.*bars.*CSV"):
        guess([log, catalog])


def test_one_file_alone_lacks_a_part_and_its_columns_are_named(tmp_path):
    log, _ = plain(tmp_path)
    with pytest.raises(InputError, match=r"catalog.*'customer', 'sku', 'ts'.*columns: \{user"):
        guess([log])


def test_half_of_a_public_format_lacks_the_other(tmp_path):
    log, catalog = FORMATS["yelp"](tmp_path)
    with pytest.raises(InputError, match=r"no catalog.*yelp"):
        guess([log])
    with pytest.raises(InputError, match=r"no log.*yelp"):
        guess([catalog])


def test_tables_without_a_time_or_with_strange_items_name_what_is_there(tmp_path):
    log, catalog = plain(tmp_path)
    pl.read_csv(log).drop("ts").write_csv(log)
    with pytest.raises(InputError, match=r"'customer', 'sku'.*'sku', 'title'"):
        guess([log, catalog])
    log, catalog = plain(tmp_path, catalog={"sku": [f"z{i}" for i in range(N_ITEMS)]})
    with pytest.raises(InputError, match="catalog"):
        guess([log, catalog])


def test_nothing_there_is_said(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        guess([tmp_path / "none.csv", tmp_path / "neither.csv"])
    with pytest.raises(InputError, match="name the two files"):
        guess([tmp_path])
