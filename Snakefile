import sys
from pathlib import Path
from shlex import quote

from snakemake.utils import min_version

min_version("9.27.0")

# Steps and rules import ace_steps from this checkout, whatever directory the run is in; where the
# workflow is a module that is fetched file by file, from the environment.
CHECKOUT = Path(str(workflow.current_basedir))
is_main_workflow = Path(workflow.main_snakefile).parent == CHECKOUT
if (CHECKOUT / "ace_steps").is_dir():
    sys.path.insert(0, str(CHECKOUT))
    here = quote(str(CHECKOUT)).replace("{", "{{").replace("}", "}}")
    # Threads that wait sleep: where they spin, one other busy process slows a step of two threads
    # tenfold.
    shell.prefix(f"export PYTHONPATH={here} OMP_WAIT_POLICY=passive; ")


# A configuration given with --configfile stands alone; --config changes single keys of either.
if not workflow.overwrite_configfiles and "experiment" not in config:

    configfile: workflow.source_path("workflow/config/config.yaml")


report: "workflow/report/workflow.rst"


include: "workflow/rules/configuration.smk"


pathvars:
    **EXPERIMENT.paths(),
    cell="{dataset}/{encoder}/{refinement_entry}/{backbone_entry}",
    vectors="{dataset}/{encoder}/{refinement}",
    run="{dataset}/{encoder}/{refinement}/{backbone}/{seed}",


scattergather:
    embed=2,
    gram=2,
    rank=2,


include: "workflow/rules/common.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/preprocess.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/refine.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/recommend.smk"


rule all:
    default_target: True
    input:
        rules.write_config.output,
        rules.write_report.output,
        rules.write_tables.output,
    localrule: True


rule recommend:
    input:
        *of_chosen("recommendations.parquet"),
        *of_chosen("index_items.parquet"),
    localrule: True


rule cold_items:
    input:
        *of_chosen("cold_items.parquet"),
    localrule: True


# What the texts would cost at every API, before anything is sent.
rule estimate:
    input:
        filled(
            "<results>/embed/{dataset}/{encoder}/estimate.json",
            [run for run in FIRST_RUNS if run.encoder in ENCODERS_OF[entries.API]],
        ),
    localrule: True


onsuccess:
    print_summary()
