rule fetch_encoder:
    output:
        directory("<resources>/encoders/{source}/model"),
    log:
        "<logs>/fetch_encoder/{source}.log",
    benchmark:
        "<benchmarks>/fetch_encoder/{source}.tsv"
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
        runtime="2h",
    params:
        code=code("fetch_encoder"),
        registry=lambda wildcards, output: REGISTRIES.encoders,
        entry=registry_entry(REGISTRIES.encoders),
        # The repository that the folder is named after, where it is no source.
        hub=lambda wildcards: (
            ["--hub", HUBS[wildcards.source].model_dump_json()] if wildcards.source in HUBS else []
        ),
        downloads=path("<resources>/downloads"),
    shell:
        "python -m ace_steps.steps.fetch_encoder"
        " --source {wildcards.source}"
        " {params.hub:q}"
        " --registry {params.registry:q}"
        " --downloads {params.downloads:q}"
        " --output {output:q}"
        " > {log:q} 2>&1"


rule embed_items:
    input:
        item_table="<results>/preprocess/{dataset}/items.parquet",
        model=lambda wildcards: MODELS[wildcards.encoder],
    output:
        "<results>/embed/{dataset}/{encoder}/shards/{scatteritem}.parquet",
    log:
        "<logs>/embed_items/{dataset}/{encoder}/{scatteritem}.log",
    benchmark:
        "<benchmarks>/embed_items/{dataset}/{encoder}/{scatteritem}.tsv"
    wildcard_constraints:
        encoder=one_of(ENCODERS_OF[entries.LOCAL]),
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=growing_mb(8000, per_input=50),
        runtime=growing_minutes(240),
        device="auto",
    params:
        code=code("embed_items"),
        decides=settings("encoder"),
        settings=with_origins,
        store=path("<resources>/vectors"),
    shell:
        "python -m ace_steps.steps.embed_items"
        " --items {input.item_table:q}"
        " --model {input.model:q}"
        " --settings {params.settings:q}"
        " --shard {wildcards.scatteritem} --device {resources.device}"
        " --store {params.store:q}"
        " --vectors {output:q}"
        " > {log:q} 2>&1"


rule request_vectors:
    input:
        item_table="<results>/preprocess/{dataset}/items.parquet",
    output:
        "<results>/embed/{dataset}/{encoder}/shards/{scatteritem}.parquet",
    log:
        "<logs>/request_vectors/{dataset}/{encoder}/{scatteritem}.log",
    benchmark:
        "<benchmarks>/request_vectors/{dataset}/{encoder}/{scatteritem}.tsv"
    wildcard_constraints:
        encoder=one_of(ENCODERS_OF[entries.API]),
    conda:
        "../../environment.yml"
    resources:
        mem_mb=growing_mb(2000, per_input=200),
        runtime=growing_minutes(720),
    params:
        code=code("request_vectors"),
        decides=settings("encoder"),
        settings=with_origins,
        store=path("<resources>/vectors"),
    shell:
        "python -m ace_steps.steps.request_vectors"
        " --items {input.item_table:q}"
        " --settings {params.settings:q}"
        " --shard {wildcards.scatteritem}"
        " --store {params.store:q}"
        " --vectors {output:q}"
        " > {log:q} 2>&1"


# On request: what the texts of a dataset would cost, before request_vectors sends them.
rule estimate_requests:
    input:
        item_table="<results>/preprocess/{dataset}/items.parquet",
    output:
        "<results>/embed/{dataset}/{encoder}/estimate.json",
    log:
        "<logs>/estimate_requests/{dataset}/{encoder}.log",
    benchmark:
        "<benchmarks>/estimate_requests/{dataset}/{encoder}.tsv"
    wildcard_constraints:
        encoder=one_of(ENCODERS_OF[entries.API]),
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=growing_mb(2000, per_input=20),
        runtime=growing_minutes(60),
    params:
        code=code("estimate_requests"),
        settings=settings("encoder"),
        store=path("<resources>/vectors"),
    shell:
        "python -m ace_steps.steps.estimate_requests"
        " --items {input.item_table:q}"
        " --settings {params.settings:q}"
        " --store {params.store:q}"
        " --estimate {output:q}"
        " > {log:q} 2>&1"


rule import_vectors:
    input:
        item_table="<results>/preprocess/{dataset}/items.parquet",
        own=lambda wildcards: [
            file
            for key in ("vectors", "ids")
            if (file := SETTINGS["encoder"][wildcards.encoder][key])
        ],
    output:
        "<results>/embed/{dataset}/{encoder}/item_vectors.parquet",
    log:
        "<logs>/import_vectors/{dataset}/{encoder}.log",
    benchmark:
        "<benchmarks>/import_vectors/{dataset}/{encoder}.tsv"
    wildcard_constraints:
        encoder=one_of(ENCODERS_OF[entries.PRECOMPUTED]),
    conda:
        "../../environment.yml"
    resources:
        mem_mb=growing_mb(2000, per_input=5),
        runtime=growing_minutes(60),
    params:
        code=code("import_vectors"),
        settings=settings("encoder"),
    shell:
        "python -m ace_steps.steps.import_vectors"
        " --items {input.item_table:q}"
        " --settings {params.settings:q}"
        " --vectors {output:q}"
        " > {log:q} 2>&1"


rule merge_vectors:
    input:
        item_table="<results>/preprocess/{dataset}/items.parquet",
        shards=gather.embed("<results>/embed/{{dataset}}/{{encoder}}/shards/{scatteritem}.parquet"),
    output:
        "<results>/embed/{dataset}/{encoder}/item_vectors.parquet",
    log:
        "<logs>/merge_vectors/{dataset}/{encoder}.log",
    benchmark:
        "<benchmarks>/merge_vectors/{dataset}/{encoder}.tsv"
    wildcard_constraints:
        encoder=one_of(ENCODERS_OF[entries.LOCAL] + ENCODERS_OF[entries.API]),
    conda:
        "../../environment.yml"
    resources:
        mem_mb=growing_mb(2000, per_input=1),
        runtime=growing_minutes(60),
    params:
        code=code("merge_vectors"),
    shell:
        "python -m ace_steps.steps.merge_vectors"
        " --items {input.item_table:q}"
        " --shards {input.shards:q}"
        " --vectors {output:q}"
        " > {log:q} 2>&1"
