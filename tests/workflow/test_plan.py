"""What a dry run plans, and how a wrong configuration is refused before anything runs."""

import json
import re
import subprocess

import numpy as np
import pytest
import yaml

from ace_steps.config import grid, loading
from ace_steps.registry import REFINEMENTS
from tests.conftest import ROOT
from tests.workflow.conftest import ACE_5, make_checkout

PAPER = ROOT / "workflow/config/paper.yaml"


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


def plan_of(path):
    return grid.Plan(loading.load(path).as_json())


def assert_plans_every_first_run(checkout, path):
    """Without raw files, which are fetched or put there by hand later."""
    plan = plan_of(path)
    jobs = checkout.jobs("--configfile", str(path), "--quiet", "rules")
    assert jobs["train_backbone"] == sum(len(plan.first_runs(cell)) for cell in plan.cells)
    assert jobs["select_points"] == len(plan.cells)
    assert jobs["compare_runs"] == jobs["write_tables"] == jobs["write_report"] == 1


def test_the_paper_has_every_dataset_encoder_backbone_and_method():
    config = loading.load(PAPER).as_json()
    sizes = [len(config[kind]) for kind in ("datasets", "encoders", "backbones", "seeds")]
    assert sizes == [4, 4, 3, 5]
    assert {entry["method"] for entry in config["refinements"].values()} == set(REFINEMENTS)
    n_random = 4 * 3 * 1  # once a dataset and backbone, not once an encoder too
    assert len(plan_of(PAPER).cells) == 4 * 4 * 3 * (len(REFINEMENTS) - 1) + n_random


def test_a_part_of_the_paper_plans_every_grid_point_on_the_first_seed(checkout, tmp_path):
    lines = yaml.safe_load(PAPER.read_text())
    for kind, n_kept in (("datasets", 1), ("encoders", 2), ("backbones", 2)):
        lines[kind] = dict(list(lines[kind].items())[:n_kept])
    path = tmp_path / "part.yaml"
    path.write_text(yaml.safe_dump(lines, sort_keys=False))
    assert_plans_every_first_run(checkout, path)


@pytest.mark.slow
def test_the_whole_paper_plans_every_grid_point_on_the_first_seed(checkout):
    assert_plans_every_first_run(checkout, PAPER)


def test_the_toy_plan_fetches_no_data(checkout):
    assert "fetch_dataset" not in checkout.jobs()


def _edges(text):
    return set(re.findall(r"^\s*(\w+) --> (\w+)$", text, re.M))


def test_the_docs_draw_the_rules_as_snakemake_does(checkout):
    config = str(checkout.folder / "workflow/config/config.yaml")
    drawn = checkout.snakemake("--rulegraph", "mermaid-js", "--configfile", config).stdout
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]", drawn, re.M))
    edges = {(names[a], names[b]) for a, b in _edges(drawn) if names[b] != "all"}
    assert _edges((ROOT / "docs/artifacts.md").read_text()) == edges


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
    assert "seeds[0]: expected an integer, got the string 'one'" in done.stderr


def test_the_linter_is_content(checkout):
    done = checkout.snakemake("--lint")
    assert done.returncode == 0, done.stdout + done.stderr


def refused(checkout, *options):
    """The lines of a refusal before anything is planned."""
    done = checkout.snakemake("--dry-run", *options)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if "workflow specific profile" not in line]
    assert "Traceback" not in done.stderr
    return lines


def test_every_mistake_is_told_at_once_before_anything_runs(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    file = "workflow/config/toy.yaml"
    checkout.edit(file, "lambda: [0, 5]", "lamda: [0, 5]")
    checkout.edit(file, "max_length: 6", "max_length: 6\n    num_heads: 3")
    checkout.edit(file, "min_item_events: 2", 'min_item_events: 2\n    template: "{titel}"')
    checkout.edit(file, "source: toy", "source: toi")
    first, *lines = refused(checkout)
    assert first == f"{checkout.folder}/{file}: 4 errors"
    assert sorted(line.split(":")[0].strip() for line in lines) == [
        "backbones.sasrec.num_heads",
        "datasets.toy.template",
        "encoders.toy.source",
        "refinements.ace.lamda",
    ]
    text = "\n".join(lines)
    for way_out in ("'lambda'?", "choose one of 1, 2, 4", "'title'?", "'toy'?"):
        assert way_out in text


def test_a_target_that_the_experiment_does_not_have_is_told_with_those_it_has(checkout):
    lines = refused(checkout, "--", "results/toy/refine/toy/toy/llm2x/item_vectors.parquet")
    assert "'llm2x'" in lines[-1]
    assert ACE_5 in lines[-1]


def test_a_second_configuration_lies_over_the_first(checkout, tmp_path):
    over = tmp_path / "more.yaml"
    over.write_text("refinements: {ace: {lambda: [0, 5, 7]}}\nseeds: [1]\n")
    config = str(checkout.folder / "workflow/config/toy.yaml")
    jobs = checkout.jobs("--configfile", config, str(over))
    assert (jobs["refine_vectors"], jobs["train_backbone"]) == (4, 4)


def test_keys_of_the_command_line_are_nested(checkout):
    given = "backbones={sasrec: {training: {epochs: 0}}}"
    lines = refused(checkout, "--config", given)
    assert any("backbones.sasrec.training.epochs" in line for line in lines)


def test_targets_stand_before_the_configuration(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    call = ["python", "-m", "snakemake", "--cores=1", "--dry-run", "cold_items"]
    done = subprocess.run(
        [*call, "--configfile", "workflow/config/toy.yaml"],
        cwd=checkout.folder,
        env=checkout.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rank_cold_items" in done.stdout + done.stderr


def test_a_missing_raw_file_is_one_line_and_exit_code_2(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    (checkout.folder / "data/toy/toy.inter").unlink()
    done = checkout.snakemake("--dry-run")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "datasets.toy.interactions: no such file or folder: data/toy/toy.inter" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_new_items_are_folded_in_on_request(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    new = checkout.folder / "results/toy/embed/toy/toy/new_items/spring.parquet"
    new.parent.mkdir(parents=True)
    new.touch()
    target = f"results/toy/refine/toy/toy/{ACE_5}/new_items/spring.parquet"
    jobs = checkout.jobs("--", target)
    assert jobs["fold_in_items"] == jobs["refine_vectors"] == 1


LOCAL = "{source: toy, dtype: float32, batch_tokens: 512}"
API = "{api: {base_url: http://127.0.0.1:9/v1, model: m, dim: 16}}"


def replace_encoder(checkout, entry):
    """Put another entry in the place of the toy configuration's encoder."""
    checkout.edit("workflow/config/toy.yaml", LOCAL, entry)


def test_an_encoder_behind_an_api_is_asked_and_merged(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    replace_encoder(checkout, API)
    jobs = checkout.jobs()
    assert (jobs["request_vectors"], jobs["merge_vectors"]) == (2, 1)
    assert not {"embed_items", "import_vectors", "estimate_requests"} & jobs.keys()
    target = "results/toy/embed/toy/toy/estimate.json"
    done = checkout.snakemake("--", target)  # needs neither key nor server
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((checkout.folder / target).read_text())["n_requests"] > 0


def test_vectors_of_ones_own_take_the_place_of_the_embedding(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    raw = (checkout.folder / "data/toy/toy.item").read_text().splitlines()[1:]
    ids = [line.split("\t")[0] for line in raw]
    np.save(checkout.folder / "mine.npy", np.random.default_rng(0).standard_normal((len(ids), 20)))
    (checkout.folder / "ids.txt").write_text("\n".join(ids))
    replace_encoder(checkout, "{vectors: mine.npy, ids: ids.txt}")
    jobs = checkout.jobs()
    assert jobs["import_vectors"] == 1
    assert not {"embed_items", "request_vectors", "merge_vectors"} & jobs.keys()
    done = checkout.snakemake("--", f"results/toy/refine/toy/toy/{ACE_5}/item_vectors.parquet")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_hub_repository_at_a_commit_is_fetched_into_a_folder_of_its_own(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    revision = "0123456789abcdef" * 2 + "01234567"
    replace_encoder(checkout, f"{{hub: {{repo: own/model, revision: '{revision}'}}}}")
    done = checkout.snakemake("--dry-run", "--printshellcmds")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resources/encoders/own--model--0123456789ab/model" in done.stdout
    assert f'--hub \'{{"repo":"own/model","revision":"{revision}"}}\'' in done.stdout


def test_a_commit_of_ones_own_goes_before_the_registrys(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    replace_encoder(checkout, f"{{source: qwen3-embedding-0.6b, revision: {'ab' * 20}}}")
    done = checkout.snakemake("--dry-run", "--printshellcmds")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resources/encoders/Qwen--Qwen3-Embedding-0.6B--abababababab/model" in done.stdout


def test_recommendations_are_made_on_request(checkout):
    """Until the choice in the grid of ace is made, only the grid point of random is known."""
    jobs = checkout.jobs("--", "recommend")
    assert jobs["recommend_items"] == jobs["export_index"] == jobs["select_points"] == 1
    assert jobs["train_backbone"] == 3
    assert "recommend_items" not in checkout.jobs()


def test_cold_items_are_ranked_on_request(checkout):
    jobs = checkout.jobs("--", "cold_items")
    assert jobs["rank_cold_items"] == jobs["select_points"] == 1
    assert "rank_cold_items" not in checkout.jobs()


def test_a_report_that_is_to_show_cold_items_asks_for_them(tmp_path):
    checkout = make_checkout(tmp_path / "ace")
    checkout.edit("workflow/config/toy.yaml", "share: 0.2", "share: 0.2, in_report: true")
    assert checkout.jobs()["rank_cold_items"] == 1  # of random; of ace once it is known
