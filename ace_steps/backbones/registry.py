"""The backbones by name; a new one is a file, a line here and an entry of the schema."""

import json
from dataclasses import dataclass

from ace_steps.backbones.bert4rec import Bert4Rec, Bert4RecSettings
from ace_steps.backbones.gru4rec import Gru4Rec, Gru4RecSettings
from ace_steps.backbones.network import Network
from ace_steps.backbones.sasrec import SasRec, SasRecSettings
from ace_steps.backbones.settings import BackboneSettings
from ace_steps.errors import InputError
from ace_steps.config.base import parse
from ace_steps.config.mistakes import unknown


@dataclass(frozen=True)
class Backbone:
    """One kind of backbone.

    Attributes:
        network: Module built from (settings, n_items, generator); called with histories and item
            vectors it gives queries.
        settings: Its settings class.
        is_causal: A position sees only itself and what came before, so that one pass trains every
            prefix; otherwise hidden positions are the targets.
    """

    network: type[Network]
    settings: type[BackboneSettings]
    is_causal: bool


BACKBONES = {
    "sasrec": Backbone(SasRec, SasRecSettings, is_causal=True),
    "gru4rec": Backbone(Gru4Rec, Gru4RecSettings, is_causal=True),
    "bert4rec": Backbone(Bert4Rec, Bert4RecSettings, is_causal=False),
}


def parse_backbone(text: str, where: str) -> BackboneSettings:
    """The settings of one backbone, of the class that its key ``model`` chooses.

    Raises:
        InputError: not a JSON object, an unknown model, or settings that are refused.
    """
    try:
        found = json.loads(text)
    except ValueError as mistake:
        raise InputError(f"{where}: not JSON ({mistake}).") from None
    if not isinstance(found, dict) or "model" not in found:
        raise InputError(f"{where}: key 'model' is missing.")
    if found["model"] not in BACKBONES:
        raise InputError(
            f"{where}: {unknown('backbone model', str(found['model']), set(BACKBONES))}"
        )
    return parse(BACKBONES[found["model"]].settings, text, where)
