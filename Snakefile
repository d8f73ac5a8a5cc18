import sys
from shlex import quote

from snakemake.utils import min_version

min_version("9.27.0")
sys.path.insert(0, str(workflow.basedir))

# Steps import ace_steps from this checkout, whatever directory the run is in. Threads that wait
# sleep: where they spin, one other busy process slows a step of two threads tenfold.
shell.prefix(f"export PYTHONPATH={quote(str(workflow.basedir))} OMP_WAIT_POLICY=passive; ")


# A configuration given with --configfile stands alone; --config changes single keys of either.
if "datasets" not in config:

    configfile: f"{workflow.basedir}/workflow/config/config.yaml"


report: "workflow/report/workflow.rst"


pathvars:
    benchmarks="logs/benchmarks",
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
include: "workflow/rules/common_recommend.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/recommend.smk"


rule all:
    default_target: True
    input:
        rules.write_report.output,
        rules.write_tables.output,
    localrule: True


if "recommend" in config:

    rule recommend:
        input:
            *recommended("recommendations.parquet"),
            *recommended("index_items.parquet"),
        localrule: True


if "cold_items" in config:

    rule cold_items:
        input:
            *recommended("cold_items.parquet"),
        localrule: True


onsuccess:
    print_summary()
