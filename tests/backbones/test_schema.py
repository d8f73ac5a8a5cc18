"""The settings classes and their entries in the schema name the same keys."""

import pytest
import yaml

from ace_steps.backbones.registry import BACKBONES
from ace_steps.backbones.settings import RankingSettings, TrainingSettings

ENTRIES = {
    **{name: kind.settings for name, kind in BACKBONES.items()},
    "training": TrainingSettings,
    "ranking": RankingSettings,
}


@pytest.mark.parametrize("name", ENTRIES)
def test_schema_and_settings_agree(root, name):
    schema = yaml.safe_load((root / "workflow/schemas/config.schema.yaml").read_text())
    entry = schema["$defs"][name]
    assert ENTRIES[name].model_fields.keys() == entry["properties"].keys()
    assert sorted(entry["required"]) == sorted(entry["properties"])
    assert entry["additionalProperties"] is False


def test_every_backbone_can_be_chosen_in_the_schema(root):
    schema = yaml.safe_load((root / "workflow/schemas/config.schema.yaml").read_text())
    assert schema["$defs"]["backbone"]["properties"]["model"]["enum"] == list(BACKBONES)
