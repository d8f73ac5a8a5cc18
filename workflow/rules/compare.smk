# Every grid point runs on the first seed; a choice by validation in each cell (dataset,
# encoder, refinement entry, backbone entry) decides which one goes on to all seeds.


checkpoint select_points:
    input:
        ranks=ranks_of_cell,
    output:
        "<results>/select/<cell>/selection.parquet",
    log:
        "<logs>/select_points/<cell>.log",
    benchmark:
        "<benchmarks>/select_points/<cell>.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=growing_mb(1000, per_input=10),
        runtime=growing_minutes(30),
    params:
        code=code("select_points"),
        metric=EXPERIMENT.selection.metric,
        cutoff=EXPERIMENT.selection.cutoff,
    shell:
        "python -m ace_steps.steps.select_points"
        " --ranks {input.ranks:q}"
        " --refinement-entry {wildcards.refinement_entry}"
        " --backbone-entry {wildcards.backbone_entry}"
        " --metric {params.metric} --cutoff {params.cutoff}"
        " --selection {output:q}"
        " > {log:q} 2>&1"


rule collect_metrics:
    input:
        *each_cell(RANKS),
        config=rules.write_config.output,
        selections=filled(CHOICES, FIRST),
    output:
        metrics=report(
            "<results>/report/metrics.parquet", caption="../report/metrics.rst", category="Metrics"
        ),
        runs="<results>/report/runs.parquet",
        selection="<results>/report/selection.parquet",
        gaps="<results>/report/gaps.parquet",
    log:
        "<logs>/collect_metrics/all.log",
    benchmark:
        "<benchmarks>/collect_metrics/all.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=growing_mb(2000, per_input=10),
        runtime=growing_minutes(120),
    params:
        code=code("collect_metrics"),
        results=lambda wildcards, output: Path(output.metrics).parents[1],
        logs=path("<logs>"),
    shell:
        "python -m ace_steps.steps.collect_metrics"
        " --config {input.config:q}"
        " --results {params.results:q}"
        " --logs {params.logs:q}"
        " --metrics {output.metrics:q}"
        " --runs {output.runs:q}"
        " --selection {output.selection:q}"
        " --gaps {output.gaps:q}"
        " > {log:q} 2>&1"


rule compare_runs:
    input:
        *each_cell(RANKS),
        config=rules.write_config.output,
        metrics=rules.collect_metrics.output.metrics,
        runs=rules.collect_metrics.output.runs,
    output:
        "<results>/report/comparisons.parquet",
    log:
        "<logs>/compare_runs/all.log",
    benchmark:
        "<benchmarks>/compare_runs/all.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=growing_mb(4000, per_input=10),
        runtime=growing_minutes(120),
    params:
        code=code("compare_runs"),
        results=lambda wildcards, output: Path(output[0]).parents[1],
    shell:
        "python -m ace_steps.steps.compare_runs"
        " --config {input.config:q}"
        " --results {params.results:q}"
        " --metrics {input.metrics:q}"
        " --runs {input.runs:q}"
        " --comparisons {output:q}"
        " > {log:q} 2>&1"


rule write_tables:
    input:
        config=rules.write_config.output,
        metrics=rules.collect_metrics.output.metrics,
        runs=rules.collect_metrics.output.runs,
        comparisons=rules.compare_runs.output,
    output:
        expand(
            "<results>/report/tables/{table}.{format}",
            table=["results", "comparisons"],
            format=["md", "tex"],
        ),
    log:
        "<logs>/write_tables/all.log",
    benchmark:
        "<benchmarks>/write_tables/all.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=growing_mb(2000, per_input=10),
        runtime=growing_minutes(30),
    params:
        code=code("write_tables"),
        assets=assets("reporting/results.*.jinja", "reporting/comparisons.*.jinja"),
        others=sha256_file(PUBLISHED),
        published=lambda wildcards, output: PUBLISHED,
        tables=lambda wildcards, output: Path(output[0]).parent,
    shell:
        "python -m ace_steps.steps.write_tables"
        " --config {input.config:q}"
        " --metrics {input.metrics:q}"
        " --runs {input.runs:q}"
        " --comparisons {input.comparisons:q}"
        " --published {params.published:q}"
        " --tables {params.tables:q}"
        " > {log:q} 2>&1"
