"""The backbones by name."""

from ace_steps.backbones.settings import BackboneSettings
from ace_steps.registry import BACKBONES
from ace_steps.settings import parse_named


def parse_backbone(text: str, where: str) -> BackboneSettings:
    """The settings of one backbone, of the class that its key ``model`` chooses.

    Raises:
        InputError: not a JSON object, an unknown model, or settings that are refused.
    """
    return parse_named(BACKBONES, "model", text, where)
