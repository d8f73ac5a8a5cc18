"""The report's table of the texts as each encoder read them: how many, how long, how many cut."""

from ace_steps.io.provenance import Provenance
from ace_steps.reporting import wording
from ace_steps.reporting.page import Cell, Column, Table

LABELS = (
    "distinct texts",
    "tokens",
    "tokens of a text, mean",
    "longest",
    "most allowed",
    "truncated",
    "share truncated",
)


def text_tables(encoders: dict[tuple[str, str], Provenance], folder: str) -> list[Table]:
    """A row for each dataset and encoder that read texts; no table where none did.

    Args:
        encoders: How the item vectors of each (dataset, encoder) were made.
        folder: The folder of results, as the report's sources name it.
    """
    rows = tuple(
        (*(Cell(name, name) for name in pair), *_cells(note.facts))
        for pair, note in encoders.items()
        if note.facts.get("n_texts")
    )
    if not rows:
        return []
    words = (Column(word, is_number=False) for word in ("dataset", "encoder"))
    caption = (
        "The texts as each encoder read them: tokens by its own tokenizer, or as estimated for an "
        "API without one, with prompt and special tokens, after the cut at max_tokens."
    )
    source = f"{folder}/embed/<dataset>/<encoder>/item_vectors.parquet, provenance"
    return [Table(caption, (*words, *map(Column, LABELS)), rows, source)]


def _cells(facts: dict) -> list[Cell]:
    """What ``LABELS`` name; a dash for what the file does not tell."""
    n_texts, n_tokens, n_truncated = (facts.get(f"n_{n}") for n in ("texts", "tokens", "truncated"))
    mean = None if n_tokens is None else n_tokens / n_texts
    share = None if n_truncated is None else n_truncated / n_texts
    lengths = (mean, facts.get("n_tokens_longest"), facts.get("max_tokens"))
    counts = (n_texts, n_tokens, *lengths, n_truncated)
    return [*(Cell(wording.number(n), n) for n in counts), Cell(wording.share(share), share)]
