"""Vectors as their model gives them to vectors as the settings want them."""

from dataclasses import replace

import numpy as np
import polars as pl
import torch

from ace_steps.embed.embedded import Embedded
from ace_steps.embed.pooling import finish
from ace_steps.embed.settings import ApiEncoderSettings, EncoderSettings
from ace_steps.embed.texts import check_vectors


def finished(
    found: Embedded, texts: pl.DataFrame, settings: EncoderSettings | ApiEncoderSettings
) -> Embedded:
    """The same vectors cut and scaled as the settings say.

    Raises:
        InputError: a vector is zero or not finite then.
    """
    kept = {"truncate_dim": settings.truncate_dim, "normalize": settings.normalize}
    matrix = finish(torch.from_numpy(found.matrix), **kept).numpy()
    check_vectors(matrix, np.arange(len(texts)), texts)
    return replace(found, matrix=matrix)
