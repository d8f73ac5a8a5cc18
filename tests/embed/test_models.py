"""Loading a model's folder, and what cannot be loaded."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from ace_steps.embed.models import load_encoder, model_facts
from ace_steps.errors import InputError
from tests.embed.conftest import encoder_settings
from tests.toy import save_as_gguf

CPU = torch.device("cpu")


@pytest.fixture
def copied(decoder_folder, tmp_path):
    return shutil.copytree(decoder_folder, tmp_path / "model")


def refusal(folder, **changes):
    with pytest.raises(InputError) as caught:
        load_encoder(folder, encoder_settings(**changes), CPU)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def change_config(folder, name, **changes):
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, **changes}))


def test_a_decoder_is_causal_and_a_reader_is_not(decoder_folder, reader_folder):
    assert load_encoder(decoder_folder, encoder_settings(), CPU).is_causal
    assert not load_encoder(reader_folder, encoder_settings(), CPU).is_causal


def test_weights_have_the_dtype_that_is_asked_for(decoder_folder):
    encoder = load_encoder(decoder_folder, encoder_settings(dtype="bfloat16"), CPU)
    assert {weight.dtype for weight in encoder.model.parameters()} == {torch.bfloat16}


def test_a_folder_that_lacks_something_is_refused_before_it_is_loaded(copied):
    torch.save(load_file(copied / "model.safetensors"), copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    (copied / "tokenizer.json").unlink()
    text = refusal(copied)
    assert "pytorch_model.bin is a pickle, which is not read" in text
    assert "expected a tokenizer.json" in text


def test_a_damaged_file_is_refused_in_one_line(copied, tmp_path):
    content = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(content[:1000])
    assert f"{copied}: not readable (SafetensorError" in refusal(copied)
    (tmp_path / "broken.gguf").write_bytes(b"GGUF but no more")
    assert f"{tmp_path}: not readable" in refusal(tmp_path)


def without_weights(source, folder, part):
    """A copy of a model that lacks the weights with a part in their names."""
    shutil.copytree(source, folder)
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if part not in name}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_missing_weights_are_never_replaced_by_random_ones(decoder_folder, tmp_path):
    folder = without_weights(decoder_folder, tmp_path / "lacking", "mlp.up_proj")
    assert "lacks 2 weights, e.g. layers.0.mlp.up_proj.weight" in refusal(folder)


def test_a_pooler_is_not_needed(reader_folder, tmp_path):
    assert load_encoder(
        without_weights(reader_folder, tmp_path / "without", "pooler"), encoder_settings(), CPU
    )


def test_code_in_the_folder_does_not_run_unless_it_is_trusted(copied):
    classes = {"AutoConfig": "own.Own", "AutoModel": "own.Own"}
    change_config(copied, "config.json", model_type="own", auto_map=classes)
    (copied / "own.py").write_text("raise SystemExit('the code ran')")
    refusal(copied)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"max_tokens": 513}, "max_tokens: expected 1 to 512 with"),
        ({"layer": 3}, "layer: expected -3 to 2 with"),
        ({"layer": -4}, "layer: expected -3 to 2 with"),
        ({"truncate_dim": 17}, "truncate_dim: expected 1 to 16 with"),
    ],
)
def test_settings_beyond_the_model_are_refused(decoder_folder, change, text):
    assert text in refusal(decoder_folder, **change)


def test_the_tokenizers_limit_counts_too(copied):
    change_config(copied, "tokenizer_config.json", model_max_length=100)
    assert "max_tokens: expected 1 to 100" in refusal(copied, max_tokens=101)
    assert load_encoder(copied, encoder_settings(max_tokens=100), CPU)


def test_the_digest_is_of_every_visible_file_and_not_of_the_models_source(copied, decoder_folder):
    before = model_facts(decoder_folder)
    note = {"source": "toy", "revision": "toy==1"}
    (copied / "ace_source.json").write_text(json.dumps(note))
    (copied / ".cache").mkdir()
    (copied / ".cache/x").write_text("hidden")
    after = model_facts(copied)
    assert (before["model"], before["revision"]) == ("decoder", None)
    assert (after["model"], after["revision"]) == ("toy", "toy==1")
    assert after["model_sha256"] == before["model_sha256"]
    (copied / "1_Pooling").mkdir()
    (copied / "1_Pooling/config.json").write_text("{}")
    assert model_facts(copied)["model_sha256"] != before["model_sha256"]


def test_a_gguf_file_gives_the_states_of_the_folder_it_was_made_from(decoder_folder, tmp_path):
    save_as_gguf(decoder_folder, tmp_path / "toy.gguf")
    ids = torch.tensor([[5, 6, 7, 80]])
    folder, packed = (
        load_encoder(place, encoder_settings(), CPU) for place in (decoder_folder, tmp_path)
    )
    assert packed.tokenizer("red hat").input_ids == folder.tokenizer("red hat").input_ids
    with torch.inference_mode():
        expected = folder.model(ids).last_hidden_state
        torch.testing.assert_close(packed.model(ids).last_hidden_state, expected)
    assert packed.is_causal
