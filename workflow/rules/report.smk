rule write_report:
    input:
        *each_cell(CURVES),
        *(of_chosen("cold_items.parquet") if EXPERIMENT.cold_items.in_report else []),
        config=rules.write_config.output,
        metrics=rules.collect_metrics.output.metrics,
        runs=rules.collect_metrics.output.runs,
        selection=rules.collect_metrics.output.selection,
        gaps=rules.collect_metrics.output.gaps,
        comparisons=rules.compare_runs.output,
        data_reports=filled("<results>/preprocess/{dataset}/data_report.parquet", FIRST_RUNS),
        geometries=filled(f"{REFINED}/geometry.parquet", FIRST_RUNS),
        spectra=filled(f"{REFINED}/spectrum.parquet", FIRST_RUNS),
    output:
        report=report(
            "<results>/report/report.html", caption="../report/report.rst", category="Report"
        ),
        data=figures("data", "{dataset}", "Data"),
        spectra=figures("spectra", "{dataset}/{encoder}", "Spectra"),
        grids=figures("grid", BY_BACKBONE, "Grids on validation"),
        grids_on_test=figures("grid_test", BY_BACKBONE, "Grids on test, no part in the choice"),
        geometries=figures("geometry", BY_BACKBONE, "Geometry against metric"),
        differences=figures("differences", BY_BACKBONE, "Differences"),
        slices=figures("slices", BY_BACKBONE, "Gains by slice"),
        curves=figures("curves", BY_BACKBONE, "Training curves"),
        costs=figures("cost", "{figure}", "Time and memory"),
        markdown="<results>/report/report.md",
        summary="<results>/report/summary.txt",
    log:
        "<logs>/write_report/all.log",
    benchmark:
        "<benchmarks>/write_report/all.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=growing_mb(2000, per_input=20),
        runtime=growing_minutes(30),
    params:
        code=code("write_report"),
        assets=assets("reporting/report.*.jinja", "reporting/*.css", "reporting/*.js"),
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
