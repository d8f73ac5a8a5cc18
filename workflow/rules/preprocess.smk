# What was resolved stands beside the results and can be run again as it is.
rule write_config:
    output:
        "<results>/config.yaml",
    log:
        "<logs>/write_config/all.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=500,
        runtime="10m",
    params:
        config=lambda wildcards: json.dumps(RESOLVED),
        code=code("write_config"),
    shell:
        "python -m ace_steps.steps.write_config"
        " --config {params.config:q}"
        " --output {output:q}"
        " > {log:q} 2>&1"


rule fetch_dataset:
    output:
        "<resources>/datasets/{source}/{role}",
    log:
        "<logs>/fetch_dataset/{source}/{role}.log",
    benchmark:
        "<benchmarks>/fetch_dataset/{source}/{role}.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
        runtime="1h",
    params:
        code=code("fetch_dataset"),
        registry=lambda wildcards, output: REGISTRIES.datasets,
        entry=registry_entry(REGISTRIES.datasets),
        downloads=path("<resources>/downloads"),
    shell:
        "python -m ace_steps.steps.fetch_dataset"
        " --source {wildcards.source} --role {wildcards.role}"
        " --registry {params.registry:q}"
        " --downloads {params.downloads:q}"
        " --output {output:q}"
        " > {log:q} 2>&1"


rule preprocess_dataset:
    input:
        interactions=lambda wildcards: RAW[wildcards.dataset]["interactions"],
        item_table=lambda wildcards: RAW[wildcards.dataset]["items"],
    output:
        interactions="<results>/preprocess/{dataset}/interactions.parquet",
        users="<results>/preprocess/{dataset}/users.parquet",
        item_table="<results>/preprocess/{dataset}/items.parquet",
        data_report="<results>/preprocess/{dataset}/data_report.parquet",
    log:
        "<logs>/preprocess_dataset/{dataset}.log",
    benchmark:
        "<benchmarks>/preprocess_dataset/{dataset}.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=growing_mb(2000, per_input=10),
        runtime=growing_minutes(60),
    params:
        code=code("preprocess_dataset", "dataset"),
        settings=settings("dataset"),
    shell:
        "python -m ace_steps.steps.preprocess_dataset"
        " --raw-interactions {input.interactions:q}"
        " --raw-items {input.item_table:q}"
        " --dataset {wildcards.dataset}"
        " --settings {params.settings:q}"
        " --interactions {output.interactions:q}"
        " --users {output.users:q} --items {output.item_table:q}"
        " --data-report {output.data_report:q}"
        " > {log:q} 2>&1"
