"""The readers by name: one file and one line here each."""

from collections.abc import Callable
from pathlib import Path

from ace_steps.preprocess import read_recbole
from ace_steps.preprocess.raw_events import RawData
from ace_steps.preprocess.settings import Columns

READERS: dict[str, Callable[[Path, Path, Columns | None], RawData]] = {
    "recbole": read_recbole.read,
}
