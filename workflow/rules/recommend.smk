rule recommend_items:
    input:
        interactions="<results>/preprocess/{dataset}/interactions.parquet",
        user_table="<results>/preprocess/{dataset}/users.parquet",
        item_table="<results>/preprocess/{dataset}/items.parquet",
        vectors="<results>/refine/<vectors>/item_vectors.parquet",
        weights="<results>/train/<run>/best.safetensors",
    output:
        "<results>/recommend/<run>/recommendations.parquet",
    log:
        "<logs>/recommend_items/<run>.log",
    benchmark:
        "<benchmarks>/recommend_items/<run>.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=growing_mb(4000, per_input=4),
        runtime=growing_minutes(120),
        device="auto",
    params:
        code=code("recommend_items", "backbone"),
        settings=settings("backbone"),
        run=run_options,
        k=EXPERIMENT.recommend.k,
        masking="--mask-seen" if EXPERIMENT.recommend.mask_seen else "--no-mask-seen",
    shell:
        "python -m ace_steps.steps.recommend_items"
        " --interactions {input.interactions:q}"
        " --user-table {input.user_table:q}"
        " --items {input.item_table:q}"
        " --vectors {input.vectors:q}"
        " --weights {input.weights:q}"
        " --settings {params.settings:q}"
        " {params.run} --device {resources.device}"
        " --k {params.k} {params.masking}"
        " --recommendations {output:q}"
        " > {log:q} 2>&1"


rule export_index:
    input:
        interactions="<results>/preprocess/{dataset}/interactions.parquet",
        user_table="<results>/preprocess/{dataset}/users.parquet",
        item_table="<results>/preprocess/{dataset}/items.parquet",
        vectors="<results>/refine/<vectors>/item_vectors.parquet",
        weights="<results>/train/<run>/best.safetensors",
    output:
        index_items="<results>/recommend/<run>/index_items.parquet",
        index_queries="<results>/recommend/<run>/index_queries.parquet",
    log:
        "<logs>/export_index/<run>.log",
    benchmark:
        "<benchmarks>/export_index/<run>.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=growing_mb(4000, per_input=4),
        runtime=growing_minutes(120),
        device="auto",
    params:
        code=code("export_index", "backbone"),
        settings=settings("backbone"),
        run=run_options,
    shell:
        "python -m ace_steps.steps.export_index"
        " --interactions {input.interactions:q}"
        " --user-table {input.user_table:q}"
        " --items {input.item_table:q}"
        " --vectors {input.vectors:q}"
        " --weights {input.weights:q}"
        " --settings {params.settings:q}"
        " {params.run} --device {resources.device}"
        " --index-items {output.index_items:q}"
        " --index-queries {output.index_queries:q}"
        " > {log:q} 2>&1"


# The experiment with new items: a training of its own, without the hidden ones.
rule rank_cold_items:
    input:
        interactions="<results>/preprocess/{dataset}/interactions.parquet",
        item_table="<results>/preprocess/{dataset}/items.parquet",
        vectors="<results>/embed/{dataset}/{encoder}/item_vectors.parquet",
    output:
        "<results>/recommend/<run>/cold_items.parquet",
    log:
        "<logs>/rank_cold_items/<run>.log",
    benchmark:
        "<benchmarks>/rank_cold_items/<run>.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=growing_mb(4000, per_input=8),
        runtime=growing_minutes(480),
        device="auto",
    params:
        code=code("rank_cold_items", "refinement", "backbone"),
        settings=settings("backbone"),
        run=run_options,
        refinement=settings("refinement"),
        share=EXPERIMENT.cold_items.share,
        seed=EXPERIMENT.cold_items.seed,
        state=lambda wildcards, output: Path(output[0]).parent / "state",
    shell:
        "python -m ace_steps.steps.rank_cold_items"
        " --interactions {input.interactions:q}"
        " --items {input.item_table:q}"
        " --vectors {input.vectors:q}"
        " --settings {params.settings:q}"
        " --refinement-settings {params.refinement:q}"
        " --share {params.share} --hiding-seed {params.seed}"
        " {params.run} --device {resources.device}"
        " --state {params.state:q}"
        " --cold-items {output:q}"
        " > {log:q} 2>&1"
