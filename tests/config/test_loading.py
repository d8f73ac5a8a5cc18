"""Files are read as data, laid over each other, and what stands twice is refused."""

import json

import pytest
import yaml

from ace_steps.config import loading
from ace_steps.errors import InputError
from ace_steps.io.files import expand_path, own_path
from tests.config.made import mistakes_of_text, small


def written(tmp_path, text: str, name: str = "shop.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_configuration_is_read_from_a_file_or_from_json(tmp_path):
    path = written(tmp_path, yaml.safe_dump(small()))
    assert loading.load(path) == loading.load(json.dumps(small())) == loading.resolve(small())


def test_a_later_file_is_laid_over_an_earlier_one_key_by_key(tmp_path):
    base = written(
        tmp_path,
        yaml.safe_dump(
            small(seeds=[1, 2], backbones={"sasrec": {"dropout": 0.1, "training": {"lr": 0.1}}})
        ),
    )
    over = written(tmp_path, "backbones: {sasrec: {training: {epochs: 3}}}\nseeds: [7]", "b.yaml")
    last = written(tmp_path, "backbones: {sasrec: {training: {epochs: 4}}}", "c.yaml")
    experiment = loading.load(base, over, last)
    sasrec = experiment.backbones["sasrec"]
    found = (sasrec.dropout, sasrec.training.lr, sasrec.training.epochs, experiment.seeds)
    assert found == (0.1, 0.1, 4, [7])


def test_what_one_file_lacks_another_may_have(tmp_path):
    values = small()
    encoders = written(tmp_path, yaml.safe_dump({"encoders": values.pop("encoders")}), "e.yaml")
    rest = written(tmp_path, yaml.safe_dump(values))
    assert loading.load(rest, encoders) == loading.resolve(small())


def test_the_refusal_names_every_file_and_the_one_that_has_a_key_twice(tmp_path):
    first = written(tmp_path, yaml.safe_dump(small()))
    second = written(tmp_path, "seeds: [1]\nseeds: [2]\n", "over.yaml")
    with pytest.raises(InputError) as refusal:
        loading.load(first, second)
    head, line = str(refusal.value).split("\n")
    assert str(first) in head
    assert str(second) in head
    assert str(second) in line
    assert "lines 1 and 2" in line


TWICE = """experiment: shop
datasets:
  ml: {source: ml-100k, seed: 1, seed: 1}
encoders:
  minilm: {source: all-minilm-l6-v2}
refinements:
  random: {}
  random: {std: 1}
  ace: {lambda: 5}
backbones:
  sasrec: &base
    training:
      lr: 0.1
      lr: 0.1
  gru4rec:
    <<: *base
    dropout: 0.1
    "dropout": 0.1
  bert4rec:
    <<: {max_length: 20, max_length: 20}
seeds: [1]
seeds: [1]
"""


def test_what_stands_twice_is_refused_with_both_lines(tmp_path):
    found = dict(line.split(": ", 1) for line in mistakes_of_text(tmp_path, TWICE))
    lines = {
        "datasets.ml.seed": "both in line 3",
        "refinements.random": "in lines 7 and 8",
        "backbones.sasrec.training.lr": "in lines 13 and 14",
        "backbones.gru4rec.dropout": "in lines 17 and 18",
        "backbones.bert4rec.<<.max_length": "both in line 20",
        "seeds": "in lines 21 and 22",
    }
    assert found.keys() == lines.keys()  # what an alias repeats is told once, where it is written
    assert all(lines[key] in text for key, text in found.items())


def test_two_merges_in_one_entry_are_refused_with_the_way_out(tmp_path):
    text = yaml.safe_dump(small()) + (
        "backbones:\n  sasrec: &a {dropout: 0.1}\n  bert4rec: &b {dropout: 0.2}\n"
        "  gru4rec:\n    <<: *a\n    <<: *b\n"
    )
    found = mistakes_of_text(tmp_path, text)
    assert len(found) == 1
    assert found[0].startswith("backbones.gru4rec.<<: given twice")
    assert "<<: [" in found[0]


def test_a_merge_is_laid_under_its_entry(tmp_path):
    text = yaml.safe_dump(small()) + (
        "backbones:\n  sasrec: &a {dropout: 0.1, max_length: 20}\n"
        "  gru4rec:\n    <<: *a\n    dropout: 0.3\n"
    )
    gru4rec = loading.load(written(tmp_path, text)).backbones["gru4rec"]
    assert (gru4rec.dropout, gru4rec.max_length) == (0.3, 20)


UNREADABLE = {
    "a tab": ("experiment: a\ndatasets:\n\tml: {}\n", ("line 3", "tab", "spaces")),
    "a tag of Python": (
        "a: 1\nb: !!python/object/apply:os.system [ls]\n",
        ("line 2", "!!python/object/apply:os.system", "leave it out"),
    ),
    "a tag of one's own": ("a: !shop {}\n", ("line 1", "!shop", "leave it out")),
    "an open bracket": ("a: [1\n", ("not readable as YAML",)),
    "an open quote": ("a: 'b\n", ("not readable as YAML",)),
    "two colons": ("a: b: c\n", ("line 1", "not readable as YAML")),
    "an alias of nothing": ("a: *b\n", ("line 1", "undefined alias")),
    "a tree that holds itself": ("a: &a {b: *a}\n", ("holds itself",)),
    "a list as a key": ("? [a, b]\n: 1\n", ("line 1", "not readable as YAML")),
    "a list": ("- a\n", ("a mapping of keys to values", "the list [a]")),
    "nothing": ("# later\n", ("a mapping of keys to values", "nothing")),
    "an impossible date": ("a: 2019-02-31\n", ("not readable as YAML", "day")),
}


@pytest.mark.parametrize(("text", "said"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_configuration_is_refused_in_one_line(tmp_path, text, said):
    path = written(tmp_path, text)
    with pytest.raises(InputError) as refusal:
        loading.load(path)
    line = str(refusal.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    assert all(part in line for part in said)


def test_a_tag_of_python_is_not_run(tmp_path):
    touched = tmp_path / "touched"
    text = f"a: !!python/object/apply:os.mkdir ['{touched}']\n"
    with pytest.raises(InputError):
        loading.load(written(tmp_path, text))
    assert not touched.exists()


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        loading.load(tmp_path / "none.yaml")
    path = tmp_path / "latin.yaml"
    path.write_bytes("experiment: caf\xe9".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        loading.load(path)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + yaml.safe_dump(small()).encode())
    assert loading.load(path) == loading.resolve(small())


def test_numbers_given_as_text_inside_lists_and_mappings_are_numbers_again():
    given = {"a": ["1", "2.5", "1e-3", "x"], "b": {"c": "true", "d": "null"}, "e": 3, "f": "a b"}
    wanted = {"a": [1, 2.5, 0.001, "x"], "b": {"c": True, "d": None}, "e": 3, "f": "a b"}
    assert loading.typed(given) == wanted


@pytest.mark.parametrize("text", ["0" * 40, "nan", "NaN", "1_000", "[1]", '"1"', ""])
def test_a_text_that_is_no_number_of_json_stays_a_text(text):
    assert loading.typed({"key": [text]}) == {"key": [text]}


def test_a_path_takes_environment_variables_and_the_home_folder(monkeypatch):
    monkeypatch.setenv("ACE_HERE", "/data/logs")
    monkeypatch.setenv("HOME", "/home/ann")
    assert str(expand_path("$ACE_HERE/x.inter")) == "/data/logs/x.inter"
    assert str(expand_path("${ACE_HERE}/x.inter")) == "/data/logs/x.inter"
    assert str(expand_path("~/x.inter")) == "/home/ann/x.inter"
    with pytest.raises(InputError, match=r"'\$ACE_NOT/x'.*environment variable"):
        expand_path("$ACE_NOT/x")


def test_a_path_of_ones_own_must_be_there(tmp_path):
    assert own_path(str(tmp_path)) == str(tmp_path)
    with pytest.raises(InputError, match=r"none\.csv"):
        own_path(str(tmp_path / "none.csv"))
