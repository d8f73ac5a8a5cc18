"""Files are read as data, laid over each other, and what stands twice is refused."""

import json

import pytest
import yaml

from ace_steps.config import loading
from ace_steps.errors import InputError
from ace_steps.io.files import expand_path, own_path
from tests.config.made import mistakes_of_text, small


def written(tmp_path, content: dict | str, name: str = "shop.yaml"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_a_configuration_is_read_from_a_file_or_from_json(tmp_path):
    path = written(tmp_path, small())
    assert loading.load(path) == loading.load(json.dumps(small())) == loading.resolve(small())
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # a byte order mark
    assert loading.load(path) == loading.resolve(small())


def test_a_later_file_is_laid_over_an_earlier_one_key_by_key(tmp_path):
    values = small(seeds=[1, 2], backbones={"sasrec": {"dropout": 0.1, "training": {"lr": 0.1}}})
    encoders = written(tmp_path, {"encoders": values.pop("encoders")}, "encoders.yaml")
    rest = written(tmp_path, values)
    epochs = [
        written(tmp_path, f"backbones: {{sasrec: {{training: {{epochs: {n}}}}}}}\nseeds: [7]", name)
        for n, name in ((3, "b.yaml"), (4, "c.yaml"))
    ]
    experiment = loading.load(rest, encoders, *epochs)
    sasrec = experiment.backbones["sasrec"]
    assert (sasrec.dropout, sasrec.training.lr, sasrec.training.epochs) == (0.1, 0.1, 4)
    assert experiment.seeds == [7]


def test_the_refusal_names_every_file_and_the_one_that_has_a_key_twice(tmp_path):
    first = written(tmp_path, small())
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
"""


def test_what_stands_twice_is_refused_with_both_lines(tmp_path):
    found = dict(line.split(": ", 1) for line in mistakes_of_text(tmp_path, TWICE))
    lines = {
        "seed": "lines 3 and 3",
        "random": "lines 7 and 8",
        "lr": "lines 12 and 13",
        "dropout": "lines 16 and 17",
        "max_length": "lines 19 and 19",
    }
    assert found.keys() == lines.keys()  # what an alias repeats is told once, where it is written
    assert all(lines[key] in text for key, text in found.items())


def test_a_key_twice_below_an_anchor_is_told_once(tmp_path):
    text = yaml.safe_dump(small()) + (
        "backbones:\n  sasrec: &a {dropout: 0.1, dropout: 0.2}\n  gru4rec: {<<: *a}\n"
    )
    (line,) = mistakes_of_text(tmp_path, text)
    assert line.startswith("dropout: ")


def test_a_merge_is_laid_under_its_entry(tmp_path):
    text = yaml.safe_dump(small()) + (
        "backbones:\n  sasrec: &a {dropout: 0.1, max_length: 20}\n"
        "  gru4rec:\n    <<: *a\n    dropout: 0.3\n"
    )
    gru4rec = loading.load(written(tmp_path, text)).backbones["gru4rec"]
    assert (gru4rec.dropout, gru4rec.max_length) == (0.3, 20)


UNREADABLE = {
    "a tab": ("experiment: a\ndatasets:\n\tml: {}\n", "line 3"),
    "a tag of Python": ("a: 1\nb: !!python/object/apply:os.mkdir ['{folder}']\n", "line 2"),
    "an open bracket": ("a: [1\n", "not readable as YAML"),
    "an alias of nothing": ("a: *b\n", "undefined alias"),
    "a tree that holds itself": ("a: &a {b: *a}\n", "Circular reference"),
    "a list as a key": ("? [a, b]\n: 1\n", "line 1"),
    "a list": ("- a\n", "a mapping of keys to values"),
    "nothing": ("# later\n", "nothing"),
    "a control character": ("a: \x07\n", "special characters"),
    "an impossible date": ("a: 2019-02-31\n", "day"),
}


@pytest.mark.parametrize(("text", "problem"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_configuration_is_refused_in_one_line_and_not_run(tmp_path, text, problem):
    folder = tmp_path / "made by a tag"
    path = written(tmp_path, text.replace("{folder}", str(folder)))
    with pytest.raises(InputError) as refusal:
        loading.load(path)
    line = str(refusal.value)
    assert line.startswith(f"{path}: ")
    assert problem in line
    assert "\n" not in line
    assert not folder.exists()


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.yaml"):
        loading.load(tmp_path / "none.yaml")
    path = tmp_path / "latin.yaml"
    path.write_bytes("experiment: caf\xe9".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.yaml: .*utf-8"):
        loading.load(path)


def test_numbers_given_as_text_inside_lists_and_mappings_are_numbers_again():
    texts = ["1", "2.5", "1e-3", "x", "0" * 40, "nan", "NaN", "1_000", "[1]", '"1"', ""]
    given = {"a": texts, "b": {"c": "true", "d": "null"}, "e": 3}
    expected = {"a": [1, 2.5, 0.001, *texts[3:]], "b": {"c": True, "d": None}, "e": 3}
    assert loading.typed(given) == expected


def test_a_path_takes_environment_variables_and_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("ACE_HERE", "/data/logs")
    monkeypatch.setenv("HOME", "/home/ann")
    assert str(expand_path("${ACE_HERE}/x.inter")) == "/data/logs/x.inter"
    assert str(expand_path("~/x.inter")) == "/home/ann/x.inter"
    with pytest.raises(InputError, match=r"'\$ACE_NOT/x'.*environment variable"):
        expand_path("$ACE_NOT/x")
    assert own_path(str(tmp_path)) == str(tmp_path)
    with pytest.raises(InputError, match=r"none\.csv"):
        own_path(str(tmp_path / "none.csv"))
