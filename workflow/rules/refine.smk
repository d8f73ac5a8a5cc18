rule factor_vectors:
    input:
        vectors="<results>/embed/{dataset}/{encoder}/item_vectors.parquet",
        code=sources("refine/factor.py", "steps/factor_vectors.py"),
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
        mem_mb=4000,
        runtime="1h",
    shell:
        "python -m ace_steps.steps.factor_vectors"
        " --vectors {input.vectors:q}"
        " --device auto"
        " --factor {output:q}"
        " > {log:q} 2>&1"


rule refine_vectors:
    input:
        vectors="<results>/embed/{dataset}/{encoder}/item_vectors.parquet",
        factor="<results>/factor/{dataset}/{encoder}/factor.safetensors",
        code=sources("refine/*.py", "steps/refine_vectors.py"),
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
        mem_mb=4000,
        runtime="1h",
    params:
        settings=settings("refinement"),
    shell:
        "python -m ace_steps.steps.refine_vectors"
        " --vectors {input.vectors:q}"
        " --factor {input.factor:q}"
        " --settings {params.settings:q}"
        " --dataset {wildcards.dataset}"
        " --encoder {wildcards.encoder}"
        " --refinement {wildcards.refinement}"
        " --refined {output.refined:q}"
        " --map {output.map:q}"
        " --spectrum {output.spectrum:q}"
        " --geometry {output.geometry:q}"
        " > {log:q} 2>&1"
