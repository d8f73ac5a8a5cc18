"""The refinements by name."""

from ace_steps.refine.plan import Plan, Source
from ace_steps.refine.settings import RefinementSettings
from ace_steps.registry import REFINEMENTS
from ace_steps.settings import parse_named


def parse_settings(text: str, where: str) -> RefinementSettings:
    """The settings of the refinement that a JSON object names in its key ``method``.

    Raises:
        InputError: no such refinement, or settings that are refused.
    """
    return parse_named(REFINEMENTS, "method", text, where)


def plan(settings: RefinementSettings, source: Source) -> Plan:
    """The refinement that the settings name, planned for these vectors."""
    return REFINEMENTS[settings.method].implementation()(settings, source)
