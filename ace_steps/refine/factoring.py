"""From a file of vectors to everything that any refinement of them needs."""

from collections import deque
from collections.abc import Iterator

import numpy as np

from ace_steps.errors import InputError
from ace_steps.io import parquet
from ace_steps.refine.algebra import Algebra, algebra
from ace_steps.refine.artifacts import Factored, UniqueIds, VectorFile
from ace_steps.refine.factor import factorise
from ace_steps.refine.geometry import SampleTaker, neighbours, sample_of
from ace_steps.refine.measures import raw_geometry
from ace_steps.refine.moments import Moments
from ace_steps.refine.partial import LEAVES, sum_leaves


def factor_file(file: VectorFile, *, device: str, joined: Moments | None) -> tuple[Factored, str]:
    """Both factors of a file's unit rows, and the geometry of the rows themselves.

    Args:
        file: The vectors.
        device: ``auto``, ``cpu`` or ``cuda``.
        joined: Moments of all rows where shards summed them up; where None they are summed here,
            in the one pass that also takes the sample for neighbours.

    Returns:
        What was found, and the device that was used.

    Raises:
        InputError: the table is empty, an id comes twice, or a row is NaN, infinite or all zero.

    Cost:
        One pass, O(rows x width^2 + width^3) time; memory for about six arrays of width x width,
        one chunk, the sample (20,000 rows, float32) and eight bytes an id.
    """
    n_rows = parquet.count_rows(file.path)
    if not n_rows:
        raise InputError(f"{file.path}: the table is empty; there are no item vectors to factor.")
    sample = sample_of(n_rows)
    used = algebra(device, file.width())
    moments, rows = _pass(file, n_rows, used, SampleTaker(sample), joined=joined)
    raw = factorise(moments, center=False, solve=used.solve)
    centred = factorise(moments, center=True, solve=used.solve)
    geometry = raw_geometry(raw, centred, rows)
    return Factored(raw, centred, sample, neighbours(rows), geometry), used.device


def _pass(
    file: VectorFile,
    n_rows: int,
    used: Algebra,
    taker: SampleTaker,
    *,
    joined: Moments | None,
) -> tuple[Moments, np.ndarray]:
    ids = UniqueIds(file)

    def seen(rows: range | None) -> Iterator[np.ndarray]:
        for chunk in file.chunks(rows):
            ids.add(chunk.ids)
            taker.add(chunk.rows)
            yield chunk.rows

    moments = joined or sum_leaves(range(LEAVES), n_rows, used.new_sum, seen)[0]
    if joined:
        deque(seen(None), maxlen=0)
    ids.check()
    return moments, taker.rows()
