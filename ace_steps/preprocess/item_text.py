"""What the encoder gets of an item: cleaned fields put into a template."""

import html
import re

import polars as pl

from ace_steps.errors import InputError
from ace_steps.preprocess.raw_data import N_EXAMPLES
from ace_steps.preprocess.settings import DatasetSettings
from ace_steps.validation import unknown

ATTRIBUTES = "attributes"  # every chosen column, as the authors' template lists them
DATASET = "dataset"
_FIELD = re.compile(r"{([^{}]*)}")
_ENTITY = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
_TAGS = (
    *(r"(?is)<script\b.*?</script\s*>", r"(?is)<style\b.*?</style\s*>", r"(?s)<!--.*?-->"),
    r"</?[A-Za-z][^<>]*>",  # "<3" and "a < b" are no tags
)


def template_fields(template: str) -> list[str]:
    """The names in braces of a template, in order."""
    return _FIELD.findall(template)


def write_texts(
    items: pl.DataFrame, dataset: str, settings: DatasetSettings
) -> tuple[pl.DataFrame, dict[str, int]]:
    r"""One text per item.

    In the template, ``{title}`` is the column title, ``{attributes}`` lists the chosen columns that
    are not empty as ``title: Red lamp; price: 3;``, and ``{dataset}`` is the dataset's name. The
    authors' template is ``The {dataset} item has the following attributes: \n {attributes}``.

    Args:
        items: Column item_id, and text columns that may hold nulls.
        dataset: Name of the dataset.
        settings: Template, columns, cleaning, longest field and what becomes of blank texts.

    Returns:
        The columns item_id and text, and how many texts were blank and how many fields shortened.

    Raises:
        InputError: a name in the settings is no column, or a text is blank and may not be.
    """
    columns = [name for name in items.columns if name != "item_id"]
    listed = columns if settings.text_columns is None else settings.text_columns
    fields = template_fields(settings.template)
    for key, names, known in (
        ("text_columns", listed, columns),
        ("template", fields, [ATTRIBUTES, DATASET, *columns]),
    ):
        for name in names:
            if name not in known:
                raise InputError(f"{key}: {unknown('column', name, known)}")
    direct = [name for name in fields if name in columns]
    used = list(dict.fromkeys(direct + (listed if ATTRIBUTES in fields else [])))
    cleaned = items.select("item_id", *(_cleaned(items[n], settings.clean_html) for n in used))
    n_shortened = 0
    if settings.max_field_chars is not None and used:
        is_long = pl.col(used).str.len_chars() > settings.max_field_chars
        n_shortened = sum(cleaned.select(is_long.sum()).row(0))
        cut = pl.col(used).str.head(settings.max_field_chars).str.strip_chars_end()
        cleaned = cleaned.with_columns(cut)
    is_blank = pl.all_horizontal([pl.col(name) == "" for name in used] or [pl.lit(True)])
    pieces = _FIELD.split(settings.template)  # text, name, text, name, ..., text
    parts = [
        _field(piece, dataset, listed) if i % 2 else pl.lit(piece) for i, piece in enumerate(pieces)
    ]
    texts = cleaned.select("item_id", is_blank=is_blank, text=pl.concat_str(parts))
    blank = texts.filter("is_blank")["item_id"].sort()
    if len(blank) and settings.blank_text == "error":
        raise InputError(
            f"{len(blank)} items have no text, e.g. {', '.join(blank[:N_EXAMPLES])}; "
            "set blank_text to 'placeholder' to keep them."
        )
    filled = pl.when("is_blank").then(pl.lit(settings.placeholder)).otherwise("text")
    counts = {"blank_texts": len(blank), "shortened_fields": n_shortened}
    return texts.select("item_id", text=filled), counts


def _field(name: str, dataset: str, listed: list[str]) -> pl.Expr:
    if name == DATASET:
        return pl.lit(dataset)
    if name != ATTRIBUTES:
        return pl.col(name)
    if not listed:
        return pl.lit("")
    entries = (
        pl.when(pl.col(column) != "").then(pl.format("{}: {};", pl.lit(column), column))
        for column in listed
    )
    return pl.concat_str(entries, separator=" ", ignore_nulls=True)


def _cleaned(column: pl.Series, clean_html: bool) -> pl.Series:
    """The column as text without nulls, white space made single spaces."""
    text = column.cast(pl.String).fill_null("")
    if clean_html:
        for pattern in _TAGS:
            text = text.str.replace_all(pattern, " ")
        # All entities in one pass, so that `&amp;lt;` becomes `&lt;` and no more; only the
        # distinct ones are looked up in Python.
        entities = text.str.extract_all(_ENTITY).explode().drop_nulls().unique().sort().to_list()
        if entities:
            text = text.str.replace_many(entities, [html.unescape(entity) for entity in entities])
    return text.str.replace_all(r"\s+", " ").str.strip_chars()
