rule train_backbone:
    input:
        interactions="<results>/preprocess/{dataset}/interactions.parquet",
        item_table="<results>/preprocess/{dataset}/items.parquet",
        vectors="<results>/refine/<vectors>/item_vectors.parquet",
    output:
        best="<results>/train/<run>/best.safetensors",
        last="<results>/train/<run>/last.safetensors",
        curve="<results>/train/<run>/training_curve.parquet",
    log:
        "<logs>/train_backbone/<run>.log",
    benchmark:
        "<benchmarks>/train_backbone/<run>.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=growing_mb(4000, per_input=8),
        runtime=growing_minutes(480),
        device="auto",
    params:
        code=code("train_backbone", "backbone"),
        settings=settings("backbone"),
        run=run_options,
        state=lambda wildcards, output: Path(output.best).parent / "state",
    # glibc maps blocks from 1 MB on by themselves: freed, they leave no holes (docs/training.md).
    shell:
        "MALLOC_MMAP_THRESHOLD_=1048576 "
        "python -m ace_steps.steps.train_backbone"
        " --interactions {input.interactions:q}"
        " --items {input.item_table:q}"
        " --vectors {input.vectors:q}"
        " --settings {params.settings:q}"
        " {params.run} --device {resources.device}"
        " --state {params.state:q}"
        " --best {output.best:q} --last {output.last:q}"
        " --curve {output.curve:q}"
        " > {log:q} 2>&1"


rule rank_targets:
    input:
        interactions="<results>/preprocess/{dataset}/interactions.parquet",
        item_table="<results>/preprocess/{dataset}/items.parquet",
        vectors="<results>/refine/<vectors>/item_vectors.parquet",
        weights="<results>/train/<run>/best.safetensors",
    output:
        "<results>/rank/<run>/shards/{scatteritem}.parquet",
    log:
        "<logs>/rank_targets/<run>/{scatteritem}.log",
    benchmark:
        "<benchmarks>/rank_targets/<run>/{scatteritem}.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=growing_mb(4000, per_input=4),
        runtime=growing_minutes(120),
        device="auto",
    params:
        code=code("rank_targets", "backbone"),
        settings=settings("backbone"),
        run=run_options,
    shell:
        "python -m ace_steps.steps.rank_targets"
        " --interactions {input.interactions:q}"
        " --items {input.item_table:q}"
        " --vectors {input.vectors:q}"
        " --weights {input.weights:q}"
        " --settings {params.settings:q}"
        " {params.run}"
        " --shard {wildcards.scatteritem} --device {resources.device}"
        " --ranks {output:q}"
        " > {log:q} 2>&1"


rule merge_ranks:
    input:
        shards=gather.rank("<results>/rank/<run>/shards/{scatteritem}.parquet"),
    output:
        "<results>/rank/<run>/ranks.parquet",
    log:
        "<logs>/merge_ranks/<run>.log",
    benchmark:
        "<benchmarks>/merge_ranks/<run>.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=growing_mb(1000, per_input=10),
        runtime=growing_minutes(30),
    params:
        code=code("merge_ranks"),
    shell:
        "python -m ace_steps.steps.merge_ranks"
        " --shards {input.shards:q}"
        " --ranks {output:q}"
        " > {log:q} 2>&1"
