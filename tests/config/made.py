"""Configurations made by hand, and what refuses them."""

import copy

import pytest

from ace_steps.config import loading
from ace_steps.errors import InputError

SMALL = {
    "experiment": "shop",
    "datasets": {"ml": {"source": "ml-100k"}},
    "encoders": {"minilm": {"source": "all-minilm-l6-v2"}},
}


def small(**changes) -> dict:
    """The least that a configuration says, with other sections."""
    return copy.deepcopy(SMALL) | changes


def mistakes(values: object, **options) -> list[str]:
    """The lines of a refusal below its first, which counts them."""
    with pytest.raises(InputError) as refusal:
        loading.resolve(values, "shop.yaml", **options)
    first, *lines = str(refusal.value).split("\n")
    count = f"{len(lines)} error{'s' if len(lines) > 1 else ''}"
    assert first == f"shop.yaml: {count}"
    return [line.strip() for line in lines]


def mistakes_of_text(tmp_path, text: str) -> list[str]:
    """The same of a YAML text in a file."""
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as refusal:
        loading.load(path)
    return [line.strip() for line in str(refusal.value).split("\n")[1:]]
