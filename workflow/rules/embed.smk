EMBEDDING = [
    f"embed/{module}.py"
    for module in (
        "settings",
        "models",
        "tokens",
        "pooling",
        "encode",
        "catalogue",
        "store",
        "texts",
    )
]


rule fetch_encoder:
    input:
        code=sources("archives.py", "fetch.py", "embed/registry.py", "steps/fetch_encoder.py"),
    output:
        directory("<resources>/encoders/{source}/model"),
    log:
        "<logs>/fetch_encoder/{source}.log",
    benchmark:
        "<benchmarks>/fetch_encoder/{source}.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime="2h",
    params:
        registry=ENCODERS,
        entry=registry_entry(ENCODERS),
        downloads=path("<resources>/downloads"),
    shell:
        "python -m ace_steps.steps.fetch_encoder"
        " --source {wildcards.source}"
        " --registry {params.registry:q}"
        " --downloads {params.downloads:q}"
        " --output {output:q}"
        " > {log:q} 2>&1"


rule embed_items:
    input:
        item_table="<results>/preprocess/{dataset}/items.parquet",
        model=model_folder,
        code=sources(*EMBEDDING, "steps/embed_items.py"),
    output:
        "<results>/embed/{dataset}/{encoder}/shards/{scatteritem}.parquet",
    log:
        "<logs>/embed_items/{dataset}/{encoder}/{scatteritem}.log",
    benchmark:
        "<benchmarks>/embed_items/{dataset}/{encoder}/{scatteritem}.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime="4h",
    params:
        settings=settings("encoder"),
        store=path("<resources>/vectors"),
    shell:
        "python -m ace_steps.steps.embed_items"
        " --items {input.item_table:q}"
        " --model {input.model:q}"
        " --settings {params.settings:q}"
        " --shard {wildcards.scatteritem}"
        " --device auto"
        " --store {params.store:q}"
        " --vectors {output:q}"
        " > {log:q} 2>&1"


rule merge_vectors:
    input:
        item_table="<results>/preprocess/{dataset}/items.parquet",
        shards=gather.embed("<results>/embed/{{dataset}}/{{encoder}}/shards/{scatteritem}.parquet"),
        code=sources("embed/merge.py", "embed/texts.py", "steps/merge_vectors.py"),
    output:
        "<results>/embed/{dataset}/{encoder}/item_vectors.parquet",
    log:
        "<logs>/merge_vectors/{dataset}/{encoder}.log",
    benchmark:
        "<benchmarks>/merge_vectors/{dataset}/{encoder}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime="1h",
    shell:
        "python -m ace_steps.steps.merge_vectors"
        " --items {input.item_table:q}"
        " --shards {input.shards:q}"
        " --vectors {output:q}"
        " > {log:q} 2>&1"
