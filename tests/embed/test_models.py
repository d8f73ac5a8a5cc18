"""Loading a model's folder, and what cannot be loaded."""

import json
import shutil

import pytest
import torch

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
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_decoder_is_causal_and_a_reader_is_not(decoder_folder, reader_folder):
    settings = encoder_settings()
    assert load_encoder(decoder_folder, settings, CPU).is_causal
    assert not load_encoder(reader_folder, settings, CPU).is_causal


def test_weights_have_the_dtype_that_is_asked_for(decoder_folder):
    encoder = load_encoder(decoder_folder, encoder_settings(dtype="bfloat16"), CPU)
    assert {weight.dtype for weight in encoder.model.parameters()} == {torch.bfloat16}


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    assert "gone: expected a model" in refusal(tmp_path / "gone")


DAMAGES = {
    "no tokenizer": ("tokenizer.json", None, "tokenizer"),
    "no weights": ("model.safetensors", None, "no usable model"),
    "weights cut short": ("model.safetensors", 1000, "no usable model (SafetensorError"),
}


@pytest.mark.parametrize(("name", "n_bytes", "text"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_folder_is_refused(copied, name, n_bytes, text):
    content = (copied / name).read_bytes()
    (copied / name).unlink()
    if n_bytes:
        (copied / name).write_bytes(content[:n_bytes])
    else:
        (copied / "tokenizer_config.json").unlink()
    assert text in refusal(copied)


@pytest.mark.parametrize(
    ("names", "text"), [(["a"], "no usable tokenizer"), (["a", "b"], "got a.gguf, b.gguf")]
)
def test_a_broken_gguf_file_or_two_of_them_are_refused(tmp_path, names, text):
    for name in names:
        (tmp_path / f"{name}.gguf").write_bytes(b"GGUF but no more")
    assert text in refusal(tmp_path)


def test_weights_in_a_pickle_are_not_read(copied):
    from safetensors.torch import load_file

    torch.save(load_file(copied / "model.safetensors"), copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    assert "no usable model" in refusal(copied)


def test_missing_weights_are_never_replaced_by_random_ones(copied):
    from safetensors.torch import load_file, save_file

    weights = load_file(copied / "model.safetensors")
    lacking = {name: value for name, value in weights.items() if "mlp.up_proj" not in name}
    save_file(lacking, copied / "model.safetensors", metadata={"format": "pt"})
    assert "lacks 2 weights, e.g. layers.0.mlp.up_proj.weight" in refusal(copied)


def test_code_in_the_folder_does_not_run_unless_it_is_trusted(copied):
    config = json.loads((copied / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModel": "own.Own"}}
    (copied / "config.json").write_text(json.dumps(config))
    (copied / "own.py").write_text("raise SystemExit('the code ran')")
    refusal(copied)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"max_tokens": 513}, "max_tokens = 513, but .* encodes at most 512"),
        ({"layer": 3}, r"layer = 3, but .* has the layers 0 \(its input\) to 2"),
        ({"layer": -4}, "layer = -4, but"),
        ({"truncate_dim": 17}, "truncate_dim = 17, but .* has dim 16"),
    ],
)
def test_settings_beyond_the_model_are_refused(decoder_folder, change, text):
    with pytest.raises(InputError, match=text):
        load_encoder(decoder_folder, encoder_settings(**change), CPU)


def test_the_tokenizers_limit_counts_too(copied):
    config = json.loads((copied / "tokenizer_config.json").read_text())
    (copied / "tokenizer_config.json").write_text(json.dumps({**config, "model_max_length": 100}))
    assert "max_tokens = 101, but" in refusal(copied, max_tokens=101)
    assert load_encoder(copied, encoder_settings(max_tokens=100), CPU)


def test_the_digest_is_of_the_model_and_not_of_where_it_came_from(copied, decoder_folder):
    before = model_facts(decoder_folder)
    note = {"source": "toy", "revision": "toy==1"}
    (copied / "ace_source.json").write_text(json.dumps(note))
    (copied / ".cache").mkdir()
    (copied / ".cache/x").write_text("hidden")
    after = model_facts(copied)
    assert (before["model"], before["revision"]) == ("decoder", None)
    assert (after["model"], after["revision"]) == ("toy", "toy==1")
    assert after["model_sha256"] == before["model_sha256"]
    (copied / "config.json").write_text("{}")
    assert model_facts(copied)["model_sha256"] != before["model_sha256"]


def test_a_gguf_file_gives_the_states_of_the_folder_it_was_made_from(decoder_folder, tmp_path):
    save_as_gguf(decoder_folder, tmp_path / "toy.gguf")
    ids = torch.tensor([[5, 6, 7, 80]])
    settings = encoder_settings()
    folder, packed = (load_encoder(place, settings, CPU) for place in (decoder_folder, tmp_path))
    assert packed.tokenizer("red hat").input_ids == folder.tokenizer("red hat").input_ids
    with torch.inference_mode():
        expected = folder.model(ids).last_hidden_state
        torch.testing.assert_close(packed.model(ids).last_hidden_state, expected)
    assert packed.is_causal
