rule gram_vectors:
    input:
        vectors="<results>/embed/{dataset}/{encoder}/item_vectors.parquet",
    output:
        "<results>/factor/{dataset}/{encoder}/shards/{scatteritem}.safetensors",
    log:
        "<logs>/gram_vectors/{dataset}/{encoder}/{scatteritem}.log",
    benchmark:
        "<benchmarks>/gram_vectors/{dataset}/{encoder}/{scatteritem}.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=growing_mb(2000, per_input=1),
        runtime=growing_minutes(60),
        device="auto",
    params:
        code=code("gram_vectors"),
    shell:
        "python -m ace_steps.steps.gram_vectors"
        " --vectors {input.vectors:q}"
        " --shard {wildcards.scatteritem} --device {resources.device}"
        " --gram {output:q}"
        " > {log:q} 2>&1"


rule factor_vectors:
    input:
        vectors="<results>/embed/{dataset}/{encoder}/item_vectors.parquet",
        grams=gather.gram(
            "<results>/factor/{{dataset}}/{{encoder}}/shards/{scatteritem}.safetensors"
        ),
    output:
        "<results>/factor/{dataset}/{encoder}/factor.safetensors",
    log:
        "<logs>/factor_vectors/{dataset}/{encoder}.log",
    benchmark:
        "<benchmarks>/factor_vectors/{dataset}/{encoder}.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=growing_mb(4000, per_input=1),
        runtime=growing_minutes(60),
        device="auto",
    params:
        code=code("factor_vectors"),
    shell:
        "python -m ace_steps.steps.factor_vectors"
        " --vectors {input.vectors:q}"
        " --grams {input.grams:q}"
        " --device {resources.device}"
        " --factor {output:q}"
        " > {log:q} 2>&1"


rule refine_vectors:
    input:
        vectors="<results>/embed/{dataset}/{encoder}/item_vectors.parquet",
        factor="<results>/factor/{dataset}/{encoder}/factor.safetensors",
    output:
        refined="<results>/refine/<vectors>/item_vectors.parquet",
        map="<results>/refine/<vectors>/refinement.safetensors",
        spectrum="<results>/refine/<vectors>/spectrum.parquet",
        geometry="<results>/refine/<vectors>/geometry.parquet",
    log:
        "<logs>/refine_vectors/<vectors>.log",
    benchmark:
        "<benchmarks>/refine_vectors/<vectors>.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=growing_mb(4000, per_input=1),
        runtime=growing_minutes(60),
    params:
        code=code("refine_vectors", "refinement"),
        settings=settings("refinement"),
    shell:
        "python -m ace_steps.steps.refine_vectors"
        " --vectors {input.vectors:q}"
        " --factor {input.factor:q}"
        " --settings {params.settings:q}"
        " --dataset {wildcards.dataset} --encoder {wildcards.encoder}"
        " --refinement {wildcards.refinement}"
        " --refined {output.refined:q}"
        " --map {output.map:q}"
        " --spectrum {output.spectrum:q}"
        " --geometry {output.geometry:q}"
        " > {log:q} 2>&1"


# On request: vectors of new items, put into results/embed/<dataset>/<encoder>/new_items/, become
# refined vectors through the map of a refinement that stands, without a new solve.
rule fold_in_items:
    input:
        vectors="<results>/embed/{dataset}/{encoder}/new_items/{batch}.parquet",
        map="<results>/refine/<vectors>/refinement.safetensors",
    output:
        "<results>/refine/<vectors>/new_items/{batch}.parquet",
    log:
        "<logs>/fold_in_items/<vectors>/{batch}.log",
    benchmark:
        "<benchmarks>/fold_in_items/<vectors>/{batch}.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=growing_mb(2000, per_input=1),
        runtime=growing_minutes(60),
    params:
        code=code("fold_in_items"),
    shell:
        "python -m ace_steps.steps.fold_in_items"
        " --vectors {input.vectors:q}"
        " --map {input.map:q}"
        " --refined {output:q}"
        " > {log:q} 2>&1"
