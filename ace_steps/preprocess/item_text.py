"""What the encoder reads of an item: cleaned fields put into a template."""

import html
import re
from dataclasses import dataclass

import polars as pl

from ace_steps.errors import InputError
from ace_steps.validation import unknown

ATTRIBUTES = "attributes"  # every chosen column, as the authors' template lists them
DATASET = "dataset"
N_EXAMPLES = 3
_PLACE = re.compile(r"{([^{}]*)}")
_ENTITY = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
_HIDDEN = (r"(?is)<script\b.*?</script\s*>", r"(?is)<style\b.*?</style\s*>", r"(?s)<!--.*?-->")
_TAG = r"</?[A-Za-z][^<>]*>"  # "<3" and "a < b" are no tags


@dataclass(frozen=True, kw_only=True)
class TextRules:
    r"""What becomes of an item's columns.

    Attributes:
        template: Text with places: ``{title}`` is the column title, ``{attributes}`` lists the
            chosen columns that are not empty as ``title: Red lamp; price: 3;``, ``{dataset}`` is
            the dataset's name. The authors' template is
            ``The {dataset} item has the following attributes: \n {attributes}``.
        columns: Columns that ``{attributes}`` lists, in order; None means all, in file order.
        clean_html: Take out tags, turn entities into their characters.
        max_field_chars: Longest field, in characters, cut at the end; None means no limit.
        placeholder: Text of an item without any; None means that such an item is an error.
    """

    template: str
    columns: list[str] | None
    clean_html: bool
    max_field_chars: int | None
    placeholder: str | None


@dataclass(frozen=True)
class ItemTexts:
    """Texts with what was done to get them.

    Attributes:
        items: Columns item_id and text, one row an item.
        n_blank: Items of which every field that the template names is empty.
        n_shortened: Fields cut to the longest length allowed.
    """

    items: pl.DataFrame
    n_blank: int
    n_shortened: int


def write_texts(items: pl.DataFrame, dataset: str, rules: TextRules) -> ItemTexts:
    """One text per item.

    Args:
        items: Column item_id, and text columns that may hold nulls.
        dataset: Name of the dataset.
        rules: What becomes of the columns.

    Raises:
        InputError: a name in the rules is no column, or a text is blank and may not be.
    """
    known = [name for name in items.columns if name != "item_id"]
    listed = known if rules.columns is None else rules.columns
    _check_names(rules, known)
    places = _PLACE.findall(rules.template)
    direct = [name for name in places if name in known]
    used = list(dict.fromkeys(direct + (listed if ATTRIBUTES in places else [])))
    cleaned = items.select("item_id", *(_cleaned(items[name], rules.clean_html) for name in used))
    n_shortened = 0
    if rules.max_field_chars is not None and used:
        is_long = pl.col(used).str.len_chars() > rules.max_field_chars
        n_shortened = sum(cleaned.select(is_long.sum()).row(0))
        cut = pl.col(used).str.head(rules.max_field_chars).str.strip_chars_end()
        cleaned = cleaned.with_columns(cut)
    is_blank = pl.all_horizontal([pl.col(name) == "" for name in used] or [pl.lit(True)])
    texts = cleaned.select(
        "item_id", is_blank=is_blank, text=_rendered(rules.template, dataset, listed)
    )
    n_blank = int(texts["is_blank"].sum())
    if n_blank and rules.placeholder is None:
        examples = ", ".join(texts.filter("is_blank")["item_id"].sort()[:N_EXAMPLES])
        raise InputError(
            f"{n_blank} items have no text, e.g. {examples}; "
            "set blank_text to 'placeholder' to keep them."
        )
    filled = pl.when("is_blank").then(pl.lit(rules.placeholder)).otherwise("text")
    return ItemTexts(texts.select("item_id", text=filled), n_blank, n_shortened)


def template_fields(template: str) -> list[str]:
    """The names in braces of a template, in order."""
    return _PLACE.findall(template)


def clean(column: pl.Expr) -> pl.Expr:
    """Text without tags, scripts and comments, each with a space in its place."""
    for pattern in _HIDDEN:
        column = column.str.replace_all(pattern, " ")
    return column.str.replace_all(_TAG, " ")


def _cleaned(column: pl.Series, clean_html: bool) -> pl.Series:
    """The column as text without nulls, white space made single spaces."""
    text = column.cast(pl.String).fill_null("").to_frame()
    name = pl.col(column.name)
    if clean_html:
        text = text.select(clean(name))
        text = text.select(_unescaped(text[column.name]))
    return text.select(name.str.replace_all(r"\s+", " ").str.strip_chars()).to_series()


def _unescaped(column: pl.Series) -> pl.Series:
    """Entities as characters, all in one pass, so that ``&amp;lt;`` becomes ``&lt;`` and no more.

    Only the distinct entities are looked up in Python, never the rows.
    """
    entities = column.str.extract_all(_ENTITY).explode().drop_nulls().unique().sort().to_list()
    if not entities:
        return column
    return column.str.replace_many(entities, [html.unescape(entity) for entity in entities])


def _check_names(rules: TextRules, known: list[str]) -> None:
    for name in rules.columns or []:
        if name not in known:
            raise InputError(f"text_columns: {unknown('text column', name, set(known))}")
    for name in _PLACE.findall(rules.template):
        if name not in (ATTRIBUTES, DATASET, *known):
            near = unknown("place", name, {ATTRIBUTES, DATASET, *known})
            raise InputError(f"template: {near}")


def _rendered(template: str, dataset: str, listed: list[str]) -> pl.Expr:
    pieces = _PLACE.split(template)  # text, name, text, name, ..., text
    parts = [
        pl.lit(piece) if i % 2 == 0 else _place(piece, dataset, listed)
        for i, piece in enumerate(pieces)
    ]
    return pl.concat_str(parts)


def _place(name: str, dataset: str, listed: list[str]) -> pl.Expr:
    if name == DATASET:
        return pl.lit(dataset)
    if name != ATTRIBUTES:
        return pl.col(name)
    fields = [
        pl.when(pl.col(column) != "").then(
            pl.concat_str(pl.lit(f"{column}: "), column, pl.lit(";"))
        )
        for column in listed
    ]
    return pl.concat_str(fields, separator=" ", ignore_nulls=True) if fields else pl.lit("")
