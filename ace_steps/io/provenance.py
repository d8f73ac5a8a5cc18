"""How an artifact was made: the note that every Parquet and safetensors file carries."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import ace_steps
from ace_steps.errors import InputError
from ace_steps.io.files import sha256_file

METADATA_KEY = "ace"  # one key: safetensors does not keep the order of several


@dataclass(frozen=True)
class Provenance:
    """Deterministic facts about one artifact; no time, host or path but what a setting says.

    Attributes:
        step: Name of the step that wrote it.
        settings: The settings that its numbers depend on, as JSON values.
        inputs: SHA-256 of each input file, by its option's name.
        facts: What the step determined: device, seed, solved lambda, model revision...
        version: Version of this package.
    """

    step: str
    settings: dict = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    facts: dict = field(default_factory=dict)
    version: str = ace_steps.__version__

    def to_json(self) -> str:
        """The note as JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes, where: Path) -> "Provenance":
        """The note that ``to_json`` wrote.

        Args:
            text: The note.
            where: The file that carries it, for the error line.

        Raises:
            InputError: it is no such note.
        """
        try:
            note = cls(**json.loads(text))
        except (TypeError, ValueError) as mistake:
            raise InputError(f"{where}: its provenance cannot be used ({mistake}).") from None
        if not all(isinstance(part, dict) for part in (note.settings, note.inputs, note.facts)):
            raise InputError(f"{where}: its provenance cannot be used ({text!r:.80}).")
        return note


def digests(**inputs: Path | list[Path]) -> dict[str, str]:
    """SHA-256 of each input file by name; several files of one name are numbered from 0."""
    files: dict[str, Path] = {}
    for name, paths in inputs.items():
        if isinstance(paths, list):
            files |= {f"{name}/{i}": path for i, path in enumerate(paths)}
        else:
            files[name] = paths
    return {name: sha256_file(path) for name, path in files.items()}
