"""What a dry run plans, and how a wrong configuration is refused before anything runs."""

import json
import re

import numpy as np
import pytest

from ace_steps import configuration, grid
from ace_steps.refine.methods import METHODS
from tests.conftest import ROOT
from tests.workflow.conftest import make_checkout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return make_checkout(tmp_path_factory.mktemp("plan") / "ace")


def test_the_default_plan_has_every_stage(checkout):
    config = str(checkout.folder / "workflow/config/config.yaml")
    jobs = checkout.jobs("--configfile", config)
    assert jobs["fetch_dataset"] == 2
    assert jobs["fetch_encoder"] == 1
    assert jobs["embed_items"] == 2
    assert jobs["factor_vectors"] == 1
    assert jobs["train_backbone"] == jobs["merge_ranks"] == jobs["refine_vectors"] > 4
    assert jobs["rank_targets"] == 2 * jobs["merge_ranks"]
    assert jobs["write_report"] == 1


def test_the_plan_of_the_paper_has_every_point_on_the_first_seed(checkout):
    """Without its raw files, which are fetched or put there by hand later."""
    path = checkout.folder / "workflow/config/paper.yaml"
    config = configuration.load(str(path))
    sizes = [len(config[kind]) for kind in ("datasets", "encoders", "backbones", "seeds")]
    assert sizes == [4, 4, 3, 5]
    assert {entry["method"] for entry in config["refinements"].values()} == set(METHODS)
    plan = grid.Plan(config)
    jobs = checkout.jobs("--configfile", str(path), "--quiet", "rules")
    assert jobs["train_backbone"] == sum(len(plan.first_runs(cell)) for cell in plan.cells)
    assert jobs["select_points"] == len(plan.cells)
    n_random = 4 * 3 * 1  # once a dataset and backbone, not once an encoder too
    assert len(plan.cells) == 4 * 4 * 3 * (len(METHODS) - 1) + n_random
    assert jobs["compare_runs"] == jobs["write_tables"] == jobs["write_report"] == 1


def test_the_toy_plan_fetches_nothing(checkout):
    jobs = checkout.jobs()
    assert not {"fetch_dataset", "fetch_encoder"} & jobs.keys()


def _edges(text):
    return set(re.findall(r"^\s*(\w+) --> (\w+)$", text, re.M))


def test_the_readme_draws_the_rules_as_snakemake_does(checkout):
    config = str(checkout.folder / "workflow/config/config.yaml")
    drawn = checkout.snakemake("--rulegraph", "mermaid-js", "--configfile", config).stdout
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]", drawn, re.M))
    edges = {(names[a], names[b]) for a, b in _edges(drawn) if names[b] != "all"}
    assert _edges((ROOT / "README.md").read_text()) == edges


def test_the_scatter_count_comes_from_outside(checkout):
    jobs = checkout.jobs("--set-scatter", "embed=5", "gram=3", "rank=4")
    assert (jobs["embed_items"], jobs["gram_vectors"]) == (5, 3)
    assert jobs["rank_targets"] == 4 * jobs["train_backbone"]


def test_lists_and_mappings_of_the_command_line_hold_numbers(checkout):
    one, three = (
        checkout.jobs("--config", given, "statistics={alpha: 0.01}")
        for given in ("seeds=[1]", "seeds=[1, 2, 3]")
    )
    assert three["train_backbone"] > one["train_backbone"]
    done = checkout.snakemake("--dry-run", "--config", "seeds=[one]")
    assert done.returncode == 2
    assert "config: seeds.0: 'one' is not of type 'integer'." in done.stdout + done.stderr


def test_the_linter_is_content(checkout):
    done = checkout.snakemake("--lint")
    assert done.returncode == 0, done.stdout + done.stderr


BAD = {
    "a mistyped key": ("method: ace\n", "method: ace\n    lamda: 2\n", "unknown key 'lamda'; did"),
    "a negative lambda": ("lambda: [", "lambda: [-1, ", "refinements.ace.lambda"),
    "an unknown refinement": ("method: ace\n", "method: acee\n", "unknown value 'acee'"),
    "an unknown backbone": ("model: sasrec", "model: sasrek", "unknown value 'sasrek'"),
    "an unknown data set": (
        "    files:\n      interactions: data/toy/toy.inter\n      items: data/toy/toy.item\n",
        "    source: ml-100\n",
        "unknown source 'ml-100'; did you mean 'ml-100k'?",
    ),
    "a lambda that is no number": ("lambda: [", "lambda: [.nan, ", "refinements.ace"),
    "a table of another width": (
        "method: ace\n    width: 16",
        "method: ace\n    width: 8",
        "refinements.ace: width 8, but refinements.random has width 16",
    ),
    "an unset variable": ("$ACE_TOY_ENCODER", "$ACE_NOT_SET", "'$ACE_NOT_SET' names an environ"),
    "an unknown source": (
        "path: $ACE_TOY_ENCODER",
        "source: smollm3-135m",
        "unknown source 'smollm3-135m'; did you mean 'smollm2-135m'?",
    ),
    "an encoder from two places": (
        "path: $ACE_TOY_ENCODER",
        "path: $ACE_TOY_ENCODER\n    source: smollm2-135m",
        "exactly one of source, path, hub, api, vectors is wanted, found source and path",
    ),
    "a branch for a commit": (
        "path: $ACE_TOY_ENCODER",
        "hub: {repo: own/model, revision: main}",
        "encoders.toy.hub.revision: 'main' does not match",
    ),
    "a source without a known commit": (
        "path: $ACE_TOY_ENCODER",
        "source: kalm-embedding-gemma3-12b",
        "no commit of 'kalm-embedding-gemma3-12b' is known here; give `revision`",
    ),
    "a source behind an API": (
        "path: $ACE_TOY_ENCODER",
        "source: text-embedding-3-small",
        "'text-embedding-3-small' is behind an API; write `api` instead of `source`",
    ),
    "a commit of an archive": (
        "path: $ACE_TOY_ENCODER",
        f"source: smollm2-135m\n    revision: {'ab' * 20}",
        "'smollm2-135m' is one checked archive and has no `revision`",
    ),
    "a commit of a folder": (
        "path: $ACE_TOY_ENCODER",
        f"path: $ACE_TOY_ENCODER\n    revision: {'ab' * 20}",
        "`revision` belongs to `source`",
    ),
}


@pytest.mark.parametrize(("old", "new", "message"), BAD.values(), ids=BAD)
def test_a_wrong_configuration_is_one_line_and_exit_code_2(tmp_path, old, new, message):
    checkout = make_checkout(tmp_path / "ace")
    checkout.edit("workflow/config/toy.yaml", old, new)
    done = checkout.snakemake("--dry-run")
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if "workflow specific profile" not in line]
    assert len(lines) == 1
    assert lines[0].startswith("config: ")
    assert message in lines[0]


def test_a_missing_raw_file_is_one_line_and_exit_code_2(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    (checkout.folder / "data/toy/toy.inter").unlink()
    done = checkout.snakemake("--dry-run")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "config: datasets.toy: no such file or folder: data/toy/toy.inter." in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_new_items_are_folded_in_on_request(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    new = checkout.folder / "results/embed/toy/toy/new_items/spring.parquet"
    new.parent.mkdir(parents=True)
    new.touch()
    target = "results/refine/toy/toy/ace-lambda_5/new_items/spring.parquet"
    jobs = checkout.jobs("--", target)
    assert jobs["fold_in_items"] == jobs["refine_vectors"] == 1


LOCAL = "    path: $ACE_TOY_ENCODER\n"
READING = '    prompt: "{text}"\n    max_tokens: 256\n    truncate_dim: null\n    normalise: true\n'
API = (
    "    api:\n      base_url: http://127.0.0.1:9/v1\n      model: m\n      key_variable: NO_KEY\n"
    "      width: 16\n      send_dimensions: false\n      encoding_format: base64\n"
    "      max_inputs: 8\n      max_request_tokens: 1000\n      concurrency: 1\n"
    "      timeout_s: 5\n      attempts: 1\n      tokenizer: null\n      chars_per_token: 4\n"
    "      price: null\n"
)


def replace_encoder(checkout, entry):
    """Put another entry in the place of the toy configuration's encoder."""
    path = checkout.folder / "workflow/config/toy.yaml"
    text = path.read_text()
    before, after = text.index("  toy:\n    path:"), text.index("\nrefinements:")
    path.write_text(f"{text[:before]}  toy:\n{entry}{text[after:]}")


def test_an_encoder_behind_an_api_is_asked_and_merged(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    replace_encoder(checkout, API + READING)
    jobs = checkout.jobs()
    assert (jobs["request_vectors"], jobs["merge_vectors"]) == (2, 1)
    assert not {"embed_items", "import_vectors", "estimate_requests"} & jobs.keys()
    target = "results/embed/toy/toy/estimate.json"
    done = checkout.snakemake("--", target)  # needs neither key nor server
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((checkout.folder / target).read_text())["n_requests"] > 0


def test_vectors_of_ones_own_take_the_place_of_the_embedding(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    raw = (checkout.folder / "data/toy/toy.item").read_text().splitlines()[1:]
    ids = [line.split("\t")[0] for line in raw]
    np.save(checkout.folder / "mine.npy", np.random.default_rng(0).standard_normal((len(ids), 20)))
    (checkout.folder / "ids.txt").write_text("\n".join(ids))
    replace_encoder(checkout, "    vectors: mine.npy\n    ids: ids.txt\n")
    jobs = checkout.jobs()
    assert jobs["import_vectors"] == 1
    assert not {"embed_items", "request_vectors", "merge_vectors"} & jobs.keys()
    done = checkout.snakemake("--", "results/refine/toy/toy/ace-lambda_5/item_vectors.parquet")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_hub_repository_at_a_commit_is_fetched_into_a_folder_of_its_own(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    revision = "0123456789abcdef" * 2 + "01234567"
    hub = f"    hub: {{repo: own/model, revision: {revision}}}\n"
    checkout.edit("workflow/config/toy.yaml", LOCAL, hub)
    done = checkout.snakemake("--dry-run", "--printshellcmds")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resources/encoders/own--model--0123456789ab/model" in done.stdout
    assert f'--hub \'{{"repo":"own/model","revision":"{revision}"}}\'' in done.stdout


def test_a_commit_of_ones_own_goes_before_the_registrys(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    source = f"    source: qwen3-embedding-0.6b\n    revision: {'ab' * 20}\n"
    checkout.edit("workflow/config/toy.yaml", LOCAL, source)
    done = checkout.snakemake("--dry-run", "--printshellcmds")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resources/encoders/Qwen--Qwen3-Embedding-0.6B--abababababab/model" in done.stdout


def test_recommendations_are_made_on_request(checkout):
    """Until the choice in the grid of ace is made, only the point of random is known."""
    jobs = checkout.jobs("--", "recommend")
    assert jobs["recommend_items"] == jobs["export_index"] == jobs["select_points"] == 1
    assert jobs["train_backbone"] == 3
    assert "recommend_items" not in checkout.jobs()


def test_without_its_section_there_is_no_target_to_recommend(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    checkout.edit("workflow/config/toy.yaml", "recommend:\n  k: 3\n  mask_seen: true\n", "")
    done = checkout.snakemake("--dry-run", "--", "recommend")
    assert done.returncode != 0
    assert "recommend" in done.stdout + done.stderr
    assert "recommend_items" not in done.stdout
    file = "results/recommend/toy/toy/random/sasrec/1/recommendations.parquet"
    done = checkout.snakemake("--dry-run", "--", file)
    assert done.returncode == 2
    assert "config: key 'recommend' is missing" in done.stderr


def test_cold_items_are_ranked_on_request(checkout):
    jobs = checkout.jobs("--", "cold_items")
    assert jobs["rank_cold_items"] == jobs["select_points"] == 1
    assert "rank_cold_items" not in checkout.jobs()


def test_a_report_that_is_to_show_cold_items_asks_for_them(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    checkout.edit("workflow/config/toy.yaml", "in_report: false", "in_report: true")
    assert checkout.jobs()["rank_cold_items"] == 1  # of random; of ace once it is known
