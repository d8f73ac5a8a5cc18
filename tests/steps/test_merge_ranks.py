import shutil

import pytest

from ace_steps.evaluation import ranking
from ace_steps.io import tables
from ace_steps.io.parquet import read_provenance, read_table
from ace_steps.steps import merge_ranks, rank_targets, train_backbone
from tests.steps.made_training import rank_options, train_options, write_inputs

BLOCK = 8  # users; the made data set has several blocks of them


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    write_inputs(folder)
    assert train_backbone.main(train_options(folder)) == 0
    return folder


@pytest.fixture
def blocks(monkeypatch):
    monkeypatch.setitem(ranking.USERS_AT_ONCE, "cpu", BLOCK)


def rank_shards(folder, n_shards):
    shards = []
    for number in range(1, n_shards + 1):
        shard = f"{number}-of-{n_shards}"
        shards.append(folder / f"{shard}.parquet")
        options = rank_options(folder)
        options[options.index("--ranks") + 1] = str(shards[-1])
        assert rank_targets.main([*options, "--shard", shard]) == 0
    return shards


def merge(shards, ranks):
    return merge_ranks.main(["--shards", *map(str, shards), "--ranks", str(ranks)])


def merged_bytes(folder, shards):
    assert merge(shards, folder / "ranks.parquet") == 0
    return (folder / "ranks.parquet").read_bytes()


def test_the_ranks_do_not_depend_on_the_number_of_shards(trained, tmp_path, blocks):
    whole = merged_bytes(tmp_path, rank_shards(trained, 1))
    for n_shards in (2, 3, 50):  # of 50, most have no user
        shards = rank_shards(trained, n_shards)
        sizes = [len(read_table(shard, tables.RANKS)) for shard in shards]
        assert max(sizes) < len(read_table(tmp_path / "ranks.parquet", tables.RANKS))
        assert (0 in sizes) == (n_shards == 50)
        assert merged_bytes(tmp_path, reversed(shards)) == whole


def test_the_note_says_how_the_ranks_were_made_and_nothing_of_the_shards(trained, tmp_path):
    (shard,) = rank_shards(trained, 1)
    assert merge([shard], tmp_path / "ranks.parquet") == 0
    note, of_shard = read_provenance(tmp_path / "ranks.parquet"), read_provenance(shard)
    assert note.step == "merge_ranks"
    assert (note.settings, note.inputs) == (of_shard.settings, of_shard.inputs)
    assert note.facts == {k: v for k, v in of_shard.facts.items() if k != "shard"}


def refused(capsys, shards, folder):
    assert merge(shards, folder / "ranks.parquet") == 2
    assert not (folder / "ranks.parquet").exists()
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_a_missing_a_repeated_and_a_strange_shard_are_refused(trained, tmp_path, capsys, blocks):
    first, second = rank_shards(trained, 2)
    (whole,) = rank_shards(trained, 1)
    capsys.readouterr()
    assert "shard 2-of-2 is missing" in refused(capsys, [first], tmp_path)
    assert "shard 1-of-2 is given more than once" in refused(capsys, [first, first], tmp_path)
    line = refused(capsys, [first, second, whole], tmp_path)
    assert "shard 1-of-1 does not belong to a split into 2" in line


def test_shards_of_two_runs_and_other_tables_are_refused(trained, tmp_path, capsys, blocks):
    first, second = rank_shards(trained, 2)
    shutil.copy2(first, tmp_path / "older.parquet")
    write_inputs(tmp_path, facts={"item_encoder": {"kind": "table"}, "changed": True})
    assert train_backbone.main(train_options(tmp_path)) == 0
    _, other = rank_shards(tmp_path, 2)
    capsys.readouterr()
    line = refused(capsys, [first, other], tmp_path)
    assert f"{other}: computed differently from {first}, they differ in inputs 'vectors'" in line
    line = refused(capsys, [trained / "items.parquet", second], tmp_path)
    assert "items.parquet: expected a shard of ranks, as rank_targets" in line
