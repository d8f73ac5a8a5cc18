rule write_report:
    input:
        *each_cell(CURVES),
        *cold_tables(),
        config=rules.write_config.output,
        metrics=rules.collect_metrics.output.metrics,
        runs=rules.collect_metrics.output.runs,
        selection=rules.collect_metrics.output.selection,
        gaps=rules.collect_metrics.output.gaps,
        comparisons=rules.compare_runs.output,
        data_reports=each_first_run("<results>/preprocess/{dataset}/data_report.parquet"),
        geometries=each_first_run(
            "<results>/refine/{dataset}/{encoder}/{refinement}/geometry.parquet"
        ),
        spectra=each_first_run("<results>/refine/{dataset}/{encoder}/{refinement}/spectrum.parquet"),
    output:
        report=report(
            "<results>/report/report.html", caption="../report/report.rst", category="Report"
        ),
        data=report(
            directory("<results>/report/figures/data"),
            patterns=["{dataset}.svg"],
            caption="../report/data.rst",
            category="Data",
            labels={"dataset": "{dataset}"},
        ),
        spectra=report(
            directory("<results>/report/figures/spectra"),
            patterns=["{dataset}/{encoder}.svg"],
            caption="../report/spectra.rst",
            category="Spectra",
            labels={"dataset": "{dataset}", "encoder": "{encoder}"},
        ),
        grids=report(
            directory("<results>/report/figures/grid"),
            patterns=["{dataset}/{encoder}/{backbone}.svg"],
            caption="../report/grid.rst",
            category="Grids on validation",
            labels={"dataset": "{dataset}", "encoder": "{encoder}", "backbone": "{backbone}"},
        ),
        grids_on_test=report(
            directory("<results>/report/figures/grid_test"),
            patterns=["{dataset}/{encoder}/{backbone}.svg"],
            caption="../report/grid_test.rst",
            category="Grids on test, no part in the choice",
            labels={"dataset": "{dataset}", "encoder": "{encoder}", "backbone": "{backbone}"},
        ),
        geometries=report(
            directory("<results>/report/figures/geometry"),
            patterns=["{dataset}/{encoder}/{backbone}.svg"],
            caption="../report/geometry.rst",
            category="Geometry against metric",
            labels={"dataset": "{dataset}", "encoder": "{encoder}", "backbone": "{backbone}"},
        ),
        differences=report(
            directory("<results>/report/figures/differences"),
            patterns=["{dataset}/{encoder}/{backbone}.svg"],
            caption="../report/differences.rst",
            category="Differences",
            labels={"dataset": "{dataset}", "encoder": "{encoder}", "backbone": "{backbone}"},
        ),
        slices=report(
            directory("<results>/report/figures/slices"),
            patterns=["{dataset}/{encoder}/{backbone}.svg"],
            caption="../report/slices.rst",
            category="Gains by slice",
            labels={"dataset": "{dataset}", "encoder": "{encoder}", "backbone": "{backbone}"},
        ),
        curves=report(
            directory("<results>/report/figures/curves"),
            patterns=["{dataset}/{encoder}/{backbone}.svg"],
            caption="../report/curves.rst",
            category="Training curves",
            labels={"dataset": "{dataset}", "encoder": "{encoder}", "backbone": "{backbone}"},
        ),
        costs=report(
            directory("<results>/report/figures/cost"),
            patterns=["{figure}.svg"],
            caption="../report/cost.rst",
            category="Time and memory",
            labels={"figure": "{figure}"},
        ),
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
        mem_mb=growing_mb(2000, per_input=20),
        runtime=growing_minutes(30),
    params:
        code=code("write_report"),
        assets=assets("reporting/*.jinja", "reporting/*.css", "reporting/*.js"),
        results=lambda wildcards, output: Path(output.report).parents[1],
        benchmarks=path("<benchmarks>"),
        logs=path("<logs>"),
        finished_cold_tables=finished_cold_tables,
        figures=lambda wildcards, output: Path(output.spectra).parent,
    shell:
        "python -m ace_steps.steps.write_report"
        " --config {input.config:q}"
        " --results {params.results:q}"
        " --benchmarks {params.benchmarks:q}"
        " --logs {params.logs:q}"
        " --report {output.report:q}"
        " --markdown {output.markdown:q}"
        " --summary {output.summary:q}"
        " --figures {params.figures:q}"
        " > {log:q} 2>&1"
