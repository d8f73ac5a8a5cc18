rule collect_metrics:
    input:
        ranks=each_run(
            "<results>/rank/{dataset}/{encoder}/{refinement}/{backbone}/{seed}/ranks.parquet"
        ),
        code=sources("evaluation/metrics.py", "reporting/summary.py", "steps/collect_metrics.py"),
    output:
        metrics="<results>/report/metrics.parquet",
        runs="<results>/report/runs.parquet",
    log:
        "<logs>/collect_metrics/all.log",
    benchmark:
        "<benchmarks>/collect_metrics/all.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        config=whole_config,
        ranks=lambda wildcards, output: Path(output.metrics).parents[1] / "rank",
    shell:
        "python -m ace_steps.steps.collect_metrics"
        " --config {params.config:q}"
        " --ranks-folder {params.ranks:q}"
        " --metrics {output.metrics:q}"
        " --runs {output.runs:q}"
        " > {log:q} 2>&1"


rule write_report:
    input:
        metrics=rules.collect_metrics.output.metrics,
        runs=rules.collect_metrics.output.runs,
        curves=each_run(
            "<results>/train/{dataset}/{encoder}/{refinement}/{backbone}/{seed}/training_curve.parquet"
        ),
        code=sources("reporting/*", "steps/write_report.py"),
    output:
        report="<results>/report/report.html",
        markdown="<results>/report/report.md",
        summary="<results>/report/summary.txt",
    log:
        "<logs>/write_report/all.log",
    benchmark:
        "<benchmarks>/write_report/all.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime="30m",
    params:
        config=whole_config,
        results=lambda wildcards, output: Path(output.report).parents[1],
        benchmarks=path("<benchmarks>"),
    shell:
        "python -m ace_steps.steps.write_report"
        " --config {params.config:q}"
        " --results {params.results:q}"
        " --benchmarks {params.benchmarks:q}"
        " --report {output.report:q}"
        " --markdown {output.markdown:q}"
        " --summary {output.summary:q}"
        " > {log:q} 2>&1"
