"""Every mistake is one line: key, what was expected, what was found, a way out."""

import pytest
import yaml

from tests.config.made import mistakes, mistakes_of_text, small

SEVEN = """
experiment: shop
datasets:
  ml: {source: ml-100, duplicates: frist}
encoders:
  minilm: {source: all-minilm-l6-v2, poling: mean}
refinements:
  ace: {lamda: 5, gamma: 1e-3}
backbones:
  sasrec: {lr: 0.1, num_heads: 3}
seeds: [1, 1]
"""


def test_a_file_with_seven_mistakes_lists_seven(tmp_path):
    found = mistakes_of_text(tmp_path, SEVEN)
    expected = {  # key: what was found, way out
        "datasets.ml.source": ("'ml-100'", "did you mean 'ml-100k'?"),
        "encoders.minilm.poling": ("unknown key", "did you mean 'pooling'?"),
        "refinements.ace.lamda": ("unknown key", "did you mean 'lambda'?"),
        "refinements.ace.gamma": ("the string '1e-3'", "write 0.001"),
        "backbones.sasrec.lr": ("unknown key", "did you mean 'training.lr'?"),
        "backbones.sasrec.num_heads": ("3", "choose one of 1, 2, 4"),
        "seeds": ("1 twice", "each value once"),
    }
    lines = dict(line.split(": ", 1) for line in found)
    assert len(found) == 7
    assert lines.keys() == expected.keys()
    for key, (what, way_out) in expected.items():
        assert what in lines[key]
        assert way_out in lines[key]


def one_line(text: str) -> str:
    """The only mistake of a configuration with some sections as YAML has them."""
    found = mistakes(small(**yaml.safe_load(text)))
    assert len(found) == 1
    return found[0]


TRAPS = {
    "an exponent without a point": (
        "backbones: {sasrec: {training: {lr: 1e-3}}}",
        ("backbones.sasrec.training.lr", "a number", "the string '1e-3'", "write 0.001"),
    ),
    "a very small number": (
        "backbones: {sasrec: {training: {lr: 5e-12}}}",
        ("backbones.sasrec.training.lr", "a number", "the string '5e-12'", "write 5.0e-12"),
    ),
    "a number in quotes": (
        'backbones: {sasrec: {training: {epochs: "20"}}}',
        ("backbones.sasrec.training.epochs", "an integer", "the string '20'", "without quotes"),
    ),
    "a number with a point": (
        "backbones: {sasrec: {training: {epochs: 20.0}}}",
        ("backbones.sasrec.training.epochs", "an integer", "20.0", "write 20"),
    ),
    "off where a text is expected": (
        "datasets: {ml: {source: ml-100k, time_end: off}}",
        ("datasets.ml.time_end", "a string", "YAML reads on, off", "put it in quotes"),
    ),
    "yes in quotes": (
        "datasets: {ml: {source: ml-100k, clean_html: 'yes'}}",
        ("datasets.ml.clean_html", "true or false", "the string 'yes'", "without quotes"),
    ),
    "a date without quotes": (
        "datasets: {ml: {source: ml-100k, time_start: 2019-01-31}}",
        (
            "datasets.ml.time_start",
            "a string",
            "2019-01-31, which YAML reads as a date",
            "in quotes",
        ),
    ),
    "a commit of digits alone": (
        f"encoders: {{e: {{hub: {{repo: a/b, revision: {'1234567890' * 4}}}}}}}",
        ("encoders.e.hub.revision", "a string", "the number 1234567890", "put it in quotes"),
    ),
    "an experiment that is called like a number": (
        "experiment: 2024",
        ("experiment", "a string", "the number 2024", "put it in quotes"),
    ),
    "a choice of numbers in quotes": (
        "selection: {cutoff: '20'}",
        ("selection.cutoff", "1, 5, 10, 20, 50", "the string '20'", "without quotes"),
    ),
    "an entry that is called off": (
        "encoders: {off: {source: toy}}",
        ("encoders", "a string as a key", "false", "put it in quotes"),
    ),
    "a key that is called on": (
        "encoders: {e: {source: all-minilm-l6-v2, on: 1}}",
        ("encoders.e", "a string as a key", "true", "put it in quotes"),
    ),
}


@pytest.mark.parametrize(("text", "said"), TRAPS.values(), ids=TRAPS)
def test_a_trap_of_yaml_is_told_with_the_way_out(text, said):
    line = one_line(text)
    assert line.startswith(f"{said[0]}: ")
    assert all(part in line for part in said)


@pytest.mark.parametrize(
    "text",
    [
        "backbones: {sasrec: {training: {lr: fast}}}",
        "backbones: {sasrec: {training: {lr: yes}}}",
        "backbones: {sasrec: {training: {epochs: 2.5}}}",
        "selection: {cutoff: 3}",
        "seeds: 1",
        "backbones: {mine: {model: [sasrec]}}",
    ],
)
def test_quotes_are_proposed_only_where_a_text_is_expected(text):
    assert "quotes" not in one_line(text)


WRONG = {
    "a list for a mapping": (
        "refinements: [ace, svd]",
        ("refinements", "a mapping of keys to values", "the list [ace, svd]", "{ace: {}}"),
    ),
    "a text for an entry": (
        "encoders: {e: toy}",
        ("encoders.e", "a mapping of keys to values", "the string 'toy'"),
    ),
    "a text for a list": (
        "datasets: {ml: {source: ml-100k, text_columns: title}}",
        ("datasets.ml.text_columns", "a list", "the string 'title'", "write [title]"),
    ),
    "a number for a list": ("seeds: 1", ("seeds", "a list", "the number 1", "write [1]")),
    "a list where there is no grid": (
        "backbones: {sasrec: {dropout: [0.1, 0.2]}}",
        ("backbones.sasrec.dropout", "a number", "the list [0.1, 0.2]", "one value"),
    ),
    "a list for a section": (
        "backbones: {sasrec: {training: [1]}}",
        ("backbones.sasrec.training", "a mapping of keys to values", "the list [1]"),
    ),
    "nothing for a number": ("dim:", ("dim", "an integer", "nothing (null)")),
    "a section of nothing": ("datasets:", ("datasets", "a mapping", "nothing (null)")),
    "no entry": ("refinements: {}", ("refinements", "at least 1 entry", "an empty mapping")),
    "an empty grid": (
        "backbones: {sasrec: {training: {lr: []}}}",
        ("backbones.sasrec.training.lr", "at least 1 value", "an empty list"),
    ),
    "an empty string": (
        "datasets: {ml: {source: ml-100k, template: ''}}",
        ("datasets.ml.template", "at least 1 character", "an empty string"),
    ),
    "a value below its range": (
        "refinements: {ace: {lambda: -1}}",
        ("refinements.ace.lambda", "a number >= 0,", "got -1"),
    ),
    "one value of a grid below its range": (
        "refinements: {ace: {lambda: [0, -1]}}",
        ("refinements.ace.lambda[1]", "a number >= 0,", "got -1"),
    ),
    "a value above its range": ("statistics: {alpha: 2}", ("statistics.alpha", "< 1,", "got 2")),
    "no number": (
        "refinements: {ace: {lambda: .nan}}",
        ("refinements.ace.lambda", "finite", "nan"),
    ),
    "a mistyped choice": (
        "selection: {metric: ndgc}",
        ("selection.metric", "recall, ndcg, mrr", "'ndgc'", "did you mean 'ndcg'?"),
    ),
    "a name that is no folder": (
        "datasets: {ML: {source: ml-100k}}",
        ("datasets.ML", "a-z, 0-9, _ and -", "'ML'", "write ml"),
    ),
    "an experiment that is no folder": (
        "experiment: ../shop",
        ("experiment", "a-z, 0-9, _ and -", "'../shop'"),
    ),
    "a metric without a cutoff": (
        "statistics: {metrics: [recall]}",
        ("statistics.metrics[0]", "recall@K", "the string 'recall'"),
    ),
    "a branch for a commit": (
        "encoders: {e: {hub: {repo: a/b, revision: main}}}",
        ("encoders.e.hub.revision", "40 hexadecimal digits", "'main'"),
    ),
    "an unknown method": (
        "refinements: {mine: {method: acee}}",
        ("refinements.mine.method", "'acee'", "did you mean 'ace'?"),
    ),
    "a name that is no method": (
        "refinements: {mine: {}}",
        ("refinements.mine.method", "'mine'", "known: ace, alphafuse", "give it a method"),
    ),
    "a model that is no text": (
        "backbones: {mine: {model: [sasrec]}}",
        ("backbones.mine.model", "a string", "the list [sasrec]"),
    ),
    "an unknown reader": (
        "datasets: {d: {interactions: a, items: b, reader: recbol}}",
        ("datasets.d.reader", "'recbol'", "did you mean 'recbole'?"),
    ),
    "a reader that the source is not for": (
        "datasets: {d: {source: ml-100k, reader: yelp}}",
        ("datasets.d.reader", "recbole", "'ml-100k'", "'yelp'"),
    ),
    "an unknown encoder": (
        "encoders: {e: {source: all-minilm}}",
        ("encoders.e.source", "'all-minilm'", "did you mean 'all-minilm-l6-v2'?"),
    ),
    "a source and a file": (
        "datasets: {d: {source: ml-100k, interactions: a}}",
        ("datasets.d", "either source, or interactions and items", "source and interactions"),
    ),
    "a log without a catalog": (
        "datasets: {d: {interactions: a}}",
        ("datasets.d", "interactions and items", "got interactions"),
    ),
    "two origins of an encoder": (
        "encoders: {e: {source: all-minilm-l6-v2, path: x}}",
        ("encoders.e", "exactly one of source, path", "source and path"),
    ),
    "two dials": (
        "refinements: {ace: {lambda: 1, lambda_rel: 1}}",
        ("refinements.ace", "one of lambda, lambda_rel, target", "lambda and lambda_rel"),
    ),
    "a pooling behind an API": (
        "encoders: {e: {source: text-embedding-3-small, pooling: mean}}",
        ("encoders.e.pooling", "behind an API", "leave it out"),
    ),
    "a dim of its own": (
        "refinements: {svd: {dim: 64}}",
        ("refinements.svd.dim", "128", "64", "set the key dim at the top"),
    ),
    "heads that do not divide dim": (
        "backbones: {sasrec: {num_heads: [2, 3]}}",
        ("backbones.sasrec.num_heads", "128", "3", "choose one of 1, 2, 4, 8"),
    ),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_told_with_its_key_and_what_was_expected_and_found(text, said):
    line = one_line(text)
    assert line.startswith(f"{said[0]}: ")
    assert all(part in line for part in said)


@pytest.mark.parametrize(("text", "said"), [*TRAPS.values(), *WRONG.values()])
def test_no_line_speaks_python(text, said):
    line = one_line(text)
    words = ("None", "True", "False", "dict", "str", "int", "float", "Input should", "Traceback")
    assert not set(words) & set(line.replace("'", " ").replace("(", " ").split())


NEAR = {
    "one level deeper": ("backbones: {sasrec: {lr: 1}}", "backbones.sasrec.lr", "'training.lr'"),
    "in the section beside": (
        "backbones: {sasrec: {training: {mask_seen: true}}}",
        "backbones.sasrec.training.mask_seen",
        "'ranking.mask_seen', not in 'training'",
    ),
    "one level higher": (
        "backbones: {sasrec: {training: {dropout: 0.1}}}",
        "backbones.sasrec.training.dropout",
        "'dropout', not in 'training'",
    ),
    "in a section of the top": ("k: 3", "k", "'recommend.k'"),
    "in an entry of a backbone": ("lr: 3", "lr", "'backbones.<name>.training.lr'"),
    "in an entry of a refinement": ("gamma: 3", "gamma", "'refinements.<name>.gamma'"),
    "mistyped one level deeper": (
        "backbones: {sasrec: {batch_sise: 1}}",
        "backbones.sasrec.batch_sise",
        "'training.batch_size'",
    ),
    "both": ("seed: [1]", "seed", "'seeds' or 'statistics.seed'"),
    "a required key": (
        f"encoders: {{e: {{hub: {{repos: a/b, revision: '{'0' * 40}'}}}}}}",
        "encoders.e.hub.repos",
        "'repo'",
    ),
    "in its old spelling": (
        "encoders: {e: {source: all-minilm-l6-v2, normalise: true}}",
        "encoders.e.normalise",
        "'normalize'",
    ),
}


@pytest.mark.parametrize(("text", "key", "meant"), NEAR.values(), ids=NEAR)
def test_an_unknown_key_comes_with_the_near_one_at_any_level(text, key, meant):
    line = one_line(text)
    assert line.startswith(f"{key}: unknown key; did you mean ")
    assert meant in line


def test_where_no_key_is_near_the_known_ones_are_listed():
    line = one_line("backbones: {sasrec: {training: {zzz: 1}}}")
    assert line.startswith("backbones.sasrec.training.zzz: unknown key; known: batch_size, ")


def test_what_is_missing_comes_with_what_it_means():
    found = mistakes({"experiment": "shop"})
    assert [line.split(": ")[0] for line in found] == ["datasets", "encoders"]
    assert all("missing; " in line for line in found)


@pytest.mark.parametrize("values", [[1], None, "shop", 3])
def test_what_is_no_mapping_is_no_configuration(values):
    assert "a mapping of keys to values" in mistakes(values)[0]
