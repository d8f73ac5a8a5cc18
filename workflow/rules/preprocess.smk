rule fetch_dataset:
    input:
        registry=workflow.source_path("../../data/datasets.yaml"),
        code=sources("fetch.py", "steps/fetch_dataset.py"),
    output:
        "<resources>/datasets/{source}/{role}",
    log:
        "<logs>/fetch_dataset/{source}/{role}.log",
    benchmark:
        "<benchmarks>/fetch_dataset/{source}/{role}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="1h",
    localrule: True
    shell:
        "python -m ace_steps.steps.fetch_dataset"
        " --source {wildcards.source}"
        " --role {wildcards.role}"
        " --registry {input.registry:q}"
        " --downloads <resources>/downloads"
        " --output {output:q}"
        " > {log:q} 2>&1"


rule preprocess_dataset:
    input:
        interactions=raw_file("interactions"),
        items=raw_file("items"),
        code=sources("preprocess/*.py", "steps/preprocess_dataset.py"),
    output:
        interactions="<results>/preprocess/{dataset}/interactions.parquet",
        users="<results>/preprocess/{dataset}/users.parquet",
        items="<results>/preprocess/{dataset}/items.parquet",
        data_report="<results>/preprocess/{dataset}/data_report.parquet",
    log:
        "<logs>/preprocess_dataset/{dataset}.log",
    benchmark:
        "<benchmarks>/preprocess_dataset/{dataset}.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        settings=settings("dataset", without=("source", "files")),
    shell:
        "python -m ace_steps.steps.preprocess_dataset"
        " --raw-interactions {input.interactions:q}"
        " --raw-items {input.items:q}"
        " --dataset {wildcards.dataset}"
        " --settings {params.settings:q}"
        " --interactions {output.interactions:q}"
        " --users {output.users:q}"
        " --items {output.items:q}"
        " --data-report {output.data_report:q}"
        " > {log:q} 2>&1"
