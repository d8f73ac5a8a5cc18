def list_options(wildcards):
    """A params function: what the section `recommend` asks of recommend_items."""
    if "recommend" not in config:
        refuse("config: key 'recommend' is missing; recommend_items needs its k and mask_seen.")
    masking = "--mask-seen" if config["recommend"]["mask_seen"] else "--no-mask-seen"
    return f"--k {config['recommend']['k']} {masking}"


def hiding_options(wildcards):
    """A params function: what the section `cold_items` asks of rank_cold_items."""
    if "cold_items" not in config:
        refuse("config: key 'cold_items' is missing; rank_cold_items needs its share and seed.")
    return "--share {share} --hiding-seed {seed}".format(**config["cold_items"])


def recommended(name):
    """Input functions, one a cell: a file of the chosen point's run, on the first seed."""
    pattern = (
        f"<results>/recommend/{{dataset}}/{{encoder}}/{{refinement}}/{{backbone}}/{{seed}}/{name}"
    )
    return [lambda wildcards, cell=cell: filled(pattern, [chosen_of(cell)]) for cell in FIRST]


def cold_tables():
    """Inputs of the report: how new items rank, if the configuration wants it there."""
    is_wanted = config.get("cold_items", {}).get("in_report", False)
    return recommended("cold_items.parquet") if is_wanted else []


def found_cold_tables(wildcards):
    """A params function: the tables of new items that are there although the report waits for none;
    where others appear, it is written anew."""
    if cold_tables():
        return []
    folder = Path(path("<results>")) / "recommend"
    return sorted(file.as_posix() for file in folder.glob("*/*/*/*/*/cold_items.parquet"))
