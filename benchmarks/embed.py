"""Speed of embedding against plain loops and sentence-transformers, on one model and its texts.

python benchmarks/embed.py --model resources/encoders/all-minilm-l6-v2/model \
    --items results/preprocess/ml-100k/items.parquet --texts 1000 --rounds 3

Every way encodes the same texts and gives unit vectors; tokenizing is part of its time, loading the
model is not. `tokens/s` counts real tokens, without padding, and every text whole: a decoder's
common beginning of all texts is read once by us, so that `of peak` counts more than was computed
and may pass 100 %. Of several rounds, in turns, the best counts; tokens/CPU-s is what other work
on the machine stretches less. `of peak` is the share of this machine's own products of 2048 x 2048
matrices (8192 x 8192 on a GPU) in the same dtype, measured between the rounds. "transformers'
layers" is our way without fused layers, a core's own share of a batch, and the beginning read once.
The last lines compare the best of ours with the plain
loop, and with the best of sentence-transformers in the same dtype.
``--ways "plain loop" ours`` leaves the slow rest out.
sentence-transformers is no dependency of this project: its rows are left out where it is not
installed, and for GGUF files, which it does not read.

python benchmarks/embed.py --model <a tokenizer's folder> --shape 8B --batch-tokens 8192 16384 ...

measures a decoder of that Qwen3-Embedding's shape in bfloat16, with weights drawn at random: speed
does not depend on them. The texts are tokenized as ``--model`` does.
"""

import argparse
import os
import tempfile
import time
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from embed_ways import (
    MAX_TOKENS,
    OURS,
    PLAIN,
    REFERENCE,
    UNFUSED,
    Way,
    by_tokens,
    plain_loop,
    references,
    settings_of,
)
from transformers import AutoTokenizer, PreTrainedModel, Qwen3Config, Qwen3Model

from ace_steps.embed.models import DTYPES, Encoder, encoder_of, load_encoder, load_model
from ace_steps.embed.tokens import tokenize
from ace_steps.io.parquet import read_table
from ace_steps.io.tables import ITEMS
from ace_steps.runtime import select_device

PEAK_SIZES = {"cpu": 2048, "cuda": 8192}
PEAK_ROUNDS = 3
WAYS = (PLAIN, OURS, UNFUSED, REFERENCE)
SHAPES = {  # Qwen3-Embedding's, by what their cards call them
    "0.6B": {"layers": 28, "dim": 1024, "inner": 3072, "heads": 16},
    "4B": {"layers": 36, "dim": 2560, "inner": 9728, "heads": 32},
    "8B": {"layers": 36, "dim": 4096, "inner": 12288, "heads": 32},
}
KEY_HEADS, HEAD_WIDTH = 8, 128


def peak_flops(dtype: str, device: torch.device) -> float:
    """Operations a second of a large matrix product."""
    size = PEAK_SIZES[device.type]
    left = torch.randn(size, size, device=device, dtype=DTYPES[dtype])
    best = float("inf")
    for _ in range(PEAK_ROUNDS):
        begun = time.perf_counter()
        (left @ left)[0, 0].item()  # waits for the device
        best = min(best, time.perf_counter() - begun)
    return 2 * size**3 / best


def flops_per_token(model: PreTrainedModel) -> int:
    """Two for each weight of a matrix that every token passes; attention itself left out."""
    weights = [w for name, w in model.named_parameters() if w.dim() == 2 and "pooler" not in name]
    tables = [m.weight for m in model.modules() if isinstance(m, torch.nn.Embedding)]
    return 2 * (sum(w.numel() for w in weights) - sum(w.numel() for w in tables))


def ways_of(options: argparse.Namespace, device: torch.device) -> tuple[list[Way], Encoder, int]:
    """Every way, the last encoder, and the operations a token costs."""
    ways, encoder, flops = [], None, 0
    for dtype in ("float32", "bfloat16"):
        budgets = [settings_of(dtype, budget) for budget in options.batch_tokens]
        encoder = load_encoder(options.model, budgets[0], device)
        plain = load_model(options.model, budgets[0])
        flops = flops_per_token(plain)
        unfused = replace(encoder, model=plain.to(device), is_fused=False)
        ways += [plain_loop(unfused, dtype)] if dtype == "float32" else []
        ways += [by_tokens(OURS, encoder, settings) for settings in budgets]
        if device.type == "cpu":
            ways += [by_tokens(UNFUSED, unfused, settings) for settings in budgets]
        ways += references(options.model, dtype, device) if REFERENCE in options.ways else []
    return [way for way in ways if way.kind in options.ways], encoder, flops


def ways_of_shape(
    options: argparse.Namespace, device: torch.device
) -> tuple[list[Way], Encoder, int]:
    """The same for a model of a given shape, whose weights mean nothing."""
    tokenizer = AutoTokenizer.from_pretrained(options.model, local_files_only=True)
    model = shaped(options.shape, len(tokenizer), device)
    flops = flops_per_token(model)
    own = shaped(options.shape, len(tokenizer), device) if device.type == "cpu" else model
    encoder = encoder_of(tokenizer, own, device)  # which changes its layers on a CPU
    unfused = replace(encoder, model=model, is_fused=False)
    budgets = [settings_of("bfloat16", budget) for budget in options.batch_tokens]
    ways = [plain_loop(unfused, "bfloat16")]
    ways += [by_tokens(OURS, encoder, settings) for settings in budgets]
    if device.type == "cpu":
        ways += [by_tokens(UNFUSED, unfused, settings) for settings in budgets]
    if REFERENCE in options.ways:
        with tempfile.TemporaryDirectory() as folder:  # a small one to load, the large one instead
            shaped("0.6B", len(tokenizer), torch.device("cpu"), layers=1).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            ways += references(Path(folder), "bfloat16", device, model)
    return [way for way in ways if way.kind in options.ways], encoder, flops


def shaped(
    name: str, n_ids: int, device: torch.device, layers: int | None = None
) -> PreTrainedModel:
    """A Qwen3 decoder with random bfloat16 weights, made on the device."""
    shape = SHAPES[name]
    config = Qwen3Config(
        vocab_size=n_ids,
        hidden_size=shape["dim"],
        intermediate_size=shape["inner"],
        num_hidden_layers=layers or shape["layers"],
        num_attention_heads=shape["heads"],
        num_key_value_heads=KEY_HEADS,
        head_dim=HEAD_WIDTH,
        use_cache=False,
    )
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    try:
        with device:
            return Qwen3Model(config).eval()
    finally:
        torch.set_default_dtype(torch.float32)


def versions() -> str:
    """What was measured on: packages, processor, threads and how they wait."""
    parts = []
    for name in ("torch", "transformers", "sentence-transformers"):
        try:
            parts.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            parts.append(f"no {name}")
    waiting = os.environ.get("OMP_WAIT_POLICY", "the library's own")
    parts += [torch.backends.cpu.get_cpu_capability(), f"{torch.get_num_threads()} threads"]
    return ", ".join([*parts, f"wait policy {waiting}"])


def best(ways: list[Way], kind: str, dtype: str) -> tuple[float, float] | None:
    """Least seconds and least CPU seconds of a kind in a dtype; None where there is none."""
    matches = [way for way in ways if (way.kind, way.dtype) == (kind, dtype)]
    if not matches:
        return None
    return min(way.seconds for way in matches), min(way.cpu_seconds for way in matches)


def show_ratios(ways: list[Way]) -> None:
    """How many times faster the best of ours is than the best of what it is compared with."""
    others = (PLAIN, UNFUSED, REFERENCE)
    pairs = [
        ((OURS, "bfloat16"), (PLAIN, "float32")),
        *(((OURS, dtype), (other, dtype)) for dtype in DTYPES for other in others),
    ]
    for one, other in pairs:
        left, right = best(ways, *one), best(ways, *other)
        if left is not None and right is not None:
            print(
                f"{', '.join(one)} over {', '.join(other)}: {right[0] / left[0]:.2f} times the "
                f"tokens/s, {right[1] / left[1]:.2f} times the tokens/CPU-s"
            )


def show(ways: list[Way], n_texts: int, n_tokens: int, flops: int, peaks: dict[str, float]) -> None:
    for way in ways:
        rate = n_tokens / way.seconds
        cosine = (way.vectors * ways[0].vectors).sum(axis=1).min()
        print(
            f"{way.kind:22} {way.dtype:9} {way.batches:>11} a batch {rate:7.0f} tokens/s "
            f"{n_texts / way.seconds:5.0f} items/s {n_tokens / way.cpu_seconds:6.0f} tokens/CPU-s "
            f"{rate * flops / peaks[way.dtype]:4.0%} of peak, "
            f"least cosine to the first row {cosine:.6f}"
        )


def options_of() -> argparse.Namespace:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--model", type=Path, required=True)
    options.add_argument("--shape", choices=SHAPES)
    options.add_argument("--items", type=Path, required=True)
    options.add_argument("--texts", type=int, default=500)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--batch-tokens", type=int, nargs="+", default=[1024])
    options.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    options.add_argument("--device", default="auto")
    return options.parse_args()


def main() -> None:
    options = options_of()
    device = select_device(options.device)
    texts = read_table(options.items, ITEMS)["text"].unique(maintain_order=True)
    texts = texts.sample(min(options.texts, len(texts)), seed=0, shuffle=True).to_list()
    ways, encoder, flops = (ways_of_shape if options.shape else ways_of)(options, device)
    n_tokens = len(tokenize(encoder.tokenizer, texts, prompt="{text}", max_tokens=MAX_TOKENS).ids)
    peaks = dict.fromkeys(DTYPES, 0.0)
    for _ in range(options.rounds):
        peaks = {dtype: max(peaks[dtype], peak_flops(dtype, device)) for dtype in DTYPES}
        for way in ways:
            way.measure(texts)
    print(versions())
    reached = ", ".join(f"{dtype} {peak / 1e9:.0f} GFLOP/s" for dtype, peak in peaks.items())
    print(f"{len(texts)} texts of {n_tokens} tokens on {device}, peak {reached}")
    show(ways, len(texts), n_tokens, flops, peaks)
    show_ratios(ways)


if __name__ == "__main__":
    main()
