"""The SASRec that the benchmarks train and rank, of the paper's shape but for the width."""

import json

WIDTH, LAYERS, HEADS, INNER, LENGTH = 128, 2, 2, 256, 50
DROPOUT, ATTENTION_DROPOUT, LR = 0.5, 0.3, 1e-3
CUTOFF = 10


def settings_json(**training: object) -> str:
    """This package's settings; ``training`` replaces some of the usual ones."""
    usual = {
        **{"train_targets": "all", "window_stride": 25, "negatives": 0, "batch_sequences": 128},
        **{"optimiser": "adam", "lr": LR, "weight_decay": 0.0, "warmup_steps": 0},
        **{"lr_decay": "none", "precision": "float32", "epochs": 1, "patience": 1},
        **{"metric": "ndcg", "cutoff": CUTOFF},
    }
    return json.dumps(
        {
            **{"model": "sasrec", "width": WIDTH, "layers": LAYERS, "heads": HEADS},
            **{"inner": INNER, "max_length": LENGTH, "dropout": DROPOUT},
            **{"attention_dropout": ATTENTION_DROPOUT, "training": usual | training},
            "ranking": {"tie_policy": "expected", "mask_seen": False},
        }
    )
