"""The encoder's settings and the configuration's schema are one."""

import yaml

from ace_steps.embed.settings import EncoderSettings
from tests.conftest import ROOT


def test_the_schema_lists_the_settings_and_where_the_model_comes_from():
    text = (ROOT / "workflow/schemas/config.schema.yaml").read_text()
    encoder = yaml.safe_load(text)["$defs"]["encoder"]
    fields = EncoderSettings.model_fields
    assert encoder["properties"].keys() - {"source", "path"} == fields.keys()
    assert set(encoder["required"]) == {n for n, field in fields.items() if field.is_required()}
    assert encoder["properties"]["pooling"]["enum"] == list(
        fields["pooling"].annotation.__args__  # of the Literal
    )
