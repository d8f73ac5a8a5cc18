from ace_steps.config.grid import Run
from ace_steps.io.parquet import read_provenance, read_table, write_table
from ace_steps.io.provenance import Provenance
from ace_steps.io.tables import RANKS
from ace_steps.steps import merge_ranks
from tests.reporting.made_results import ranks_table

RUN = Run("shop", "small", "ace", "sasrec", 1)
TABLE = ranks_table(RUN, [2, 9, 40], [1, 1, 7])


def write_shards(folder, n_shards, **vectors):
    """Ranks of three users as rank_targets leaves them, one user a shard; later ones are empty."""
    paths = []
    for number in range(1, n_shards + 1):
        facts = {"device": "cpu", "shard": f"{number}-of-{n_shards}"}
        note = Provenance("rank_targets", {"k": 1}, {"vectors": "00"} | vectors, facts)
        paths.append(folder / f"{number}-of-{n_shards}.parquet")
        rows = TABLE if n_shards == 1 else TABLE.filter(user=number - 1)
        write_table(rows, RANKS, paths[-1], note)
    return paths


def merge(shards, ranks):
    return merge_ranks.main(["--shards", *map(str, shards), "--ranks", str(ranks)])


def test_shards_in_any_order_give_the_bytes_of_one_job(tmp_path):
    whole, merged = tmp_path / "whole.parquet", tmp_path / "merged.parquet"
    assert merge(write_shards(tmp_path, 1), whole) == 0
    assert merge(write_shards(tmp_path, 5)[::-1], merged) == 0
    assert merged.read_bytes() == whole.read_bytes()
    assert len(read_table(merged, RANKS)) == len(TABLE)
    assert read_provenance(merged) == Provenance(
        "merge_ranks", {"k": 1}, {"vectors": "00"}, {"device": "cpu"}
    )


def test_a_missing_a_repeated_and_a_strange_shard_are_refused(tmp_path, capsys):
    first, second = write_shards(tmp_path, 2)
    (whole,) = write_shards(tmp_path, 1)
    (tmp_path / "other").mkdir()
    _, other = write_shards(tmp_path / "other", 2, vectors="01")
    no_shard = tmp_path / "merged.parquet"
    assert merge([whole], no_shard) == 0
    capsys.readouterr()
    refused = {
        "shard 2-of-2 is missing": [first],
        "shard 1-of-2 is given more than once": [first, first],
        "shard 1-of-1 does not belong to a split into 2": [first, second, whole],
        f"{no_shard}: expected a shard of ranks": [no_shard, second],
        f"{other}: computed differently from {first}, they differ in inputs 'vectors'": [
            first,
            other,
        ],
    }
    for message, shards in refused.items():
        assert merge(shards, tmp_path / "ranks.parquet") == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert message in line
        assert not (tmp_path / "ranks.parquet").exists()
