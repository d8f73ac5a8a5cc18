"""Every mistake is one line: key, what was expected, what was given, a way out."""

import pytest
import yaml

from ace_steps.validation import suggestion, unknown
from tests.config.made import mistakes, mistakes_of_text, small


def test_a_file_with_seven_mistakes_lists_seven(tmp_path):
    text = """
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
    expected = {  # key: what was given, way out
        "datasets.ml.source": ("'ml-100'", "did you mean 'ml-100k'?"),
        "encoders.minilm.poling": ("unknown key", "did you mean 'pooling'?"),
        "refinements.ace.lamda": ("unknown key", "did you mean 'lambda'?"),
        "refinements.ace.gamma": ("the string '1e-3'", "write 0.001"),
        "backbones.sasrec.lr": ("unknown key", "did you mean 'training.lr'?"),
        "backbones.sasrec.num_heads": ("3", "choose one of 1, 2, 4"),
        "seeds": ("1 twice", "each value once"),
    }
    lines = dict(line.split(": ", 1) for line in mistakes_of_text(tmp_path, text))
    assert lines.keys() == expected.keys()
    for key, parts in expected.items():
        assert all(part in lines[key] for part in parts)


TRAPS = [  # a section as YAML, then the key and what its line must say
    ("backbones: {sasrec: {training: {lr: 1e-3}}}",
     "backbones.sasrec.training.lr", "a number", "the string '1e-3'", "write 0.001"),
    ("backbones: {sasrec: {training: {lr: 5e-12}}}",
     "backbones.sasrec.training.lr", "the string '5e-12'", "write 0.000000000005"),
    ('backbones: {sasrec: {training: {epochs: "20"}}}',
     "backbones.sasrec.training.epochs", "an integer", "the string '20'", "write 20"),
    ("backbones: {sasrec: {training: {epochs: 20.0}}}",
     "backbones.sasrec.training.epochs", "an integer", "20.0", "write 20"),
    ("datasets: {ml: {source: ml-100k, time_end: off}}",
     "datasets.ml.time_end", "a string", "YAML reads on, off", "put it in quotes"),
    ("datasets: {ml: {source: ml-100k, clean_html: 'yes'}}",
     "datasets.ml.clean_html", "true or false", "the string 'yes'", "without quotes"),
    ("datasets: {ml: {source: ml-100k, time_start: 2019-01-31}}",
     "datasets.ml.time_start", "a string", "2019-01-31", "as a date", "in quotes"),
    (f"encoders: {{e: {{hub: {{repo: a/b, revision: {'1234567890' * 4}}}}}}}",
     "encoders.e.hub.revision", "a string", "the number 1234567890", "put it in quotes"),
    ("selection: {cutoff: '20'}", "selection.cutoff", "1, 5, 10, 20, 50", "the string '20'"),
    ("encoders: {off: {source: toy}}", "encoders", "a string as a key", "false", "in quotes"),
    ("encoders: {e: {source: all-minilm-l6-v2, on: 1}}",
     "encoders.e", "a string as a key", "true", "put it in quotes"),
]  # fmt: skip
WRONG = [
    ("refinements: [ace, svd]",
     "refinements", "a mapping of keys to values", "the list [ace, svd]", "{ace: {}}"),
    ("encoders: {e: toy}", "encoders.e", "a mapping of keys to values", "the string 'toy'"),
    ("datasets: {ml: {source: ml-100k, text_columns: title}}",
     "datasets.ml.text_columns", "a list", "the string 'title'", "write [title]"),
    ("seeds: {2019-01-31: 1}", "seeds", "a list", "the mapping {}"),
    ("seeds: 1", "seeds", "a list", "the number 1", "write [1]"),
    ("backbones: {sasrec: {dropout: [0.1, 0.2]}}",
     "backbones.sasrec.dropout", "a number", "the list [0.1, 0.2]", "one value"),
    ("backbones: {sasrec: {training: [1]}}",
     "backbones.sasrec.training", "a mapping of keys to values", "the list [1]"),
    ("dim:", "dim", "an integer", "nothing (null)"),
    ("refinements: {}", "refinements", "at least 1", "the mapping {}"),
    ("backbones: {sasrec: {training: {lr: []}}}",
     "backbones.sasrec.training.lr", "at least 1", "the list []"),
    ("datasets: {ml: {source: ml-100k, template: ''}}",
     "datasets.ml.template", "at least 1", "the string ''"),
    ("refinements: {ace: {lambda: [0, -1]}}", "refinements.ace.lambda[1]", ">= 0,", "-1"),
    ("statistics: {alpha: 2}", "statistics.alpha", "< 1,", "got 2"),
    ("refinements: {ace: {lambda: .nan}}", "refinements.ace.lambda", "finite", "nan"),
    ("selection: {metric: ndgc}",
     "selection.metric", "recall, ndcg, mrr", "'ndgc'", "did you mean 'ndcg'?"),
    ("datasets: {ML: {source: ml-100k}}", "datasets.ML", "a-z, 0-9, _ and -", "'ML'"),
    ("experiment: ../shop", "experiment", "a-z, 0-9, _ and -", "'../shop'"),
    ("statistics: {metrics: [recall]}",
     "statistics.metrics[0]", "recall@K", "the string 'recall'"),
    ("encoders: {e: {hub: {repo: a/b, revision: main}}}",
     "encoders.e.hub.revision", "40 hexadecimal digits", "'main'"),
    ("refinements: {mine: {method: acee}}",
     "refinements.mine.method", "'acee'", "did you mean 'ace'?"),
    ("refinements: {mine: {}}",
     "refinements.mine.method", "'mine'", "known: ace, alphafuse", "give it a method"),
    ("backbones: {mine: {model: [sasrec]}}",
     "backbones.mine.model", "a string", "the list [sasrec]"),
    ("datasets: {d: {interactions: a, items: b, reader: recbol}}",
     "datasets.d.reader", "'recbol'", "did you mean 'recbole'?"),
    ("datasets: {d: {source: ml-100k, reader: yelp}}",
     "datasets.d.reader", "recbole", "'ml-100k'", "'yelp'"),
    ("encoders: {e: {source: all-minilm}}",
     "encoders.e.source", "'all-minilm'", "did you mean 'all-minilm-l6-v2'?"),
    ("datasets: {d: {source: ml-100k, interactions: a}}",
     "datasets.d", "either source, or interactions and items", "source and interactions"),
    ("datasets: {d: {interactions: a}}",
     "datasets.d", "interactions and items", "got interactions"),
    ("encoders: {e: {source: all-minilm-l6-v2, path: x}}",
     "encoders.e", "exactly one of source, path", "source and path"),
    ("refinements: {ace: {lambda: 1, lambda_rel: 1}}",
     "refinements.ace", "one of lambda, lambda_rel, target", "lambda and lambda_rel"),
    ("encoders: {e: {source: text-embedding-3-small, pooling: mean}}",
     "encoders.e.pooling", "behind an API", "leave it out"),
    ("refinements: {svd: {dim: 64}}",
     "refinements.svd.dim", "128", "64", "set the key dim at the top"),
    ("backbones: {sasrec: {num_heads: [2, 3]}}",
     "backbones.sasrec.num_heads", "128", "3", "choose one of 1, 2, 4, 8"),
]  # fmt: skip
UNKNOWN = [  # the key, and what it may mean
    ("backbones: {sasrec: {lr: 1}}", "backbones.sasrec.lr", "'training.lr'"),
    ("backbones: {sasrec: {training: {mask_seen: true}}}",
     "backbones.sasrec.training.mask_seen", "'ranking.mask_seen', not in 'training'"),
    ("backbones: {sasrec: {training: {dropout: 0.1}}}",
     "backbones.sasrec.training.dropout", "'dropout', not in 'training'"),
    ("k: 3", "k", "'recommend.k'"),
    ("metric: mrr", "metric", "'selection.metric'"),  # and not a backbone's training.metric
    ("gamma: 3", "gamma", "'refinements.<name>.gamma'"),
    ("backbones: {sasrec: {batch_sise: 1}}",
     "backbones.sasrec.batch_sise", "'training.batch_size'"),
    ("seed: [1]", "seed", "'seeds'"),
    (f"encoders: {{e: {{hub: {{repos: a/b, revision: '{'0' * 40}'}}}}}}",
     "encoders.e.hub.repos", "'repo'"),
    ("backbones: {sasrec: {training: {zzz: 1}}}",
     "backbones.sasrec.training.zzz", "known: batch_size, "),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "key", "parts"),
    [
        (text, key, parts)
        for text, key, *parts in [*TRAPS, *WRONG, *((*case, "unknown key; ") for case in UNKNOWN)]
    ],
)
def test_a_wrong_value_or_key_is_one_line_with_what_was_expected_and_given(text, key, parts):
    (line,) = mistakes(small(**yaml.safe_load(text)))
    assert line.startswith(f"{key}: ")
    assert all(part in line for part in parts)
    python = {"None", "True", "False", "dict", "str", "int", "float", "Input", "Traceback"}
    assert not python & set(line.replace("'", " ").replace("(", " ").split())


def test_what_is_missing_comes_with_what_it_means():
    lines = mistakes({"experiment": "shop"})
    assert [line.split(": ")[0] for line in lines] == ["datasets", "encoders"]
    assert all("missing; " in line for line in lines)


def test_what_is_no_mapping_is_no_configuration():
    assert "a mapping of keys to values" in mistakes([1])[0]


def test_an_unknown_name_comes_with_the_nearest_known_one_or_with_some_of_many():
    assert "did you mean 'sasrec'?" in unknown("backbone", "sasrek", ["sasrec", "gru4rec"])
    names = [f"name{i:02d}" for i in range(15)]
    assert suggestion("x", names) == f"known: {', '.join(names[:12])} and 3 more"
