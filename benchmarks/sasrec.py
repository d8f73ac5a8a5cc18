"""The SASRec that the benchmarks train and rank, of the paper's shape but for the dim."""

import json

WIDTH, LAYERS, HEADS, INNER, LENGTH = 128, 2, 2, 256, 50
DROPOUT, ATTENTION_DROPOUT, LR = 0.5, 0.3, 1e-3
CUTOFF = 10


def settings_json(**training: object) -> str:
    """This package's settings; ``training`` replaces some of the usual ones."""
    usual = {"batch_size": 128, "lr": LR, "epochs": 1, "patience": 1, "cutoff": CUTOFF}
    return json.dumps(
        {
            **{"model": "sasrec", "dim": WIDTH, "num_layers": LAYERS, "num_heads": HEADS},
            **{"inner_dim": INNER, "max_length": LENGTH, "dropout": DROPOUT},
            **{"attention_dropout": ATTENTION_DROPOUT, "training": usual | training},
        }
    )
