"""The refinements by name."""

from collections.abc import Callable
from typing import NamedTuple

from ace_steps.errors import InputError
from ace_steps.refine import frozen, trained
from ace_steps.refine import settings as kinds
from ace_steps.refine.plan import Plan, Source
from ace_steps.config.base import Settings, parse
from ace_steps.config.mistakes import unknown


class Method(NamedTuple):
    """A refinement: the class of its settings, and the function that plans it."""

    settings: type[Settings]
    plan: Callable[[Settings, Source], Plan]


METHODS = {
    "random": Method(kinds.RandomSettings, trained.random),
    "llm2x": Method(kinds.Llm2xSettings, trained.llm2x),
    "svd": Method(kinds.SvdSettings, trained.svd),
    "whitening": Method(kinds.WhiteningSettings, trained.whitening),
    "ace": Method(kinds.AceSettings, trained.ace),
    "whitenrec_plus": Method(kinds.WhitenrecPlusSettings, frozen.whitenrec_plus),
    "alpharec": Method(kinds.AlpharecSettings, frozen.alpharec),
    "llmemb": Method(kinds.LlmembSettings, frozen.llmemb),
    "alphafuse": Method(kinds.AlphafuseSettings, frozen.alphafuse),
}


def parse_settings(text: str, where: str) -> Settings:
    """The settings of the refinement that a JSON object names in its key ``method``.

    Raises:
        InputError: no such refinement, or see ``ace_steps.settings.parse``.
    """
    method = parse(kinds.AnyMethod, text, where).method
    if method not in METHODS:
        raise InputError(f"{where}: {unknown('refinement', method, list(METHODS))}")
    return parse(METHODS[method].settings, text, where)


def plan(settings: Settings, source: Source) -> Plan:
    """The refinement that the settings name, planned for these vectors."""
    return METHODS[settings.method].plan(settings, source)
