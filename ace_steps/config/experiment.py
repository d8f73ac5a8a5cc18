"""The experiment: every section of a configuration, resolved from the little that a file says.

Readers, methods and models bring their own settings classes (``ace_steps.registry``);
encoders have one for each kind. What a file leaves out has the default of its class.
"""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import Field, PrivateAttr
from pydantic import ValidationError as PydanticError

from ace_steps.embed.entries import resolve_encoder
from ace_steps.embed.settings import EntrySettings, entry_class
from ace_steps.errors import InputError
from ace_steps.io.files import expand_path
from ace_steps.preprocess.settings import (
    ORIGINS,
    DatasetSettings,
    expected_counts,
    public_dataset,
)
from ace_steps.registry import NAMED_BY
from ace_steps.settings import Count, Distinct, NonNegativeCount, Seed, Settings, Share
from ace_steps.validation import (
    MAPPING,
    Mistake,
    Part,
    at_key,
    mistakes_of,
    shown,
    suggestion,
    wrong_kind,
)

NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME, description="a name of a-z, 0-9, _ and -, 64 at most")]
MetricAtCutoff = Annotated[str, Field(pattern=r"^(recall|ndcg|mrr)@(1|5|10|20|50)$")]
KINDS = ("datasets", "encoders", "refinements", "backbones")
DEFAULT_ENTRIES: dict[str, dict[str, dict]] = {
    "refinements": {"random": {"std": [0.02, 0.1]}, "svd": {}, "whitening": {}, "ace": {}},
    "backbones": {"sasrec": {}},
}


class Selection(Settings):
    """How one of an entry's grid points is chosen."""

    metric: Literal["recall", "ndcg", "mrr"] = Field(
        "ndcg", description="Metric on the validation items."
    )
    cutoff: Literal[1, 5, 10, 20, 50] = Field(10, description="K of metric@K, in items.")


class Statistics(Settings):
    """How results are sliced and compared; a change trains nothing again."""

    metrics: Annotated[list[MetricAtCutoff], Distinct] = Field(
        ["recall@20", "ndcg@20"],
        min_length=1,
        description="Metrics that differences are tested on: recall@K, ndcg@K or mrr@K with K 1, "
        "5, 10, 20 or 50; each one enters Holm's correction.",
    )
    alpha: Share = Field(
        0.05, description="Corrected p below which a difference is marked as significant."
    )
    confidence: Share = Field(0.95, description="Coverage of the bootstrap intervals.")
    resamples: Annotated[int, Field(ge=100)] = Field(
        2000, description="Bootstrap samples of users."
    )
    seed: Seed = Field(0, description="Seed of the bootstrap.")
    head_share: Share = Field(
        0.2,
        description="Share of the held-out items, those with most training events, that are head "
        "items; all others are tail items.",
    )
    long_share: Share = Field(
        0.2,
        description="Share of the users, those with most events before the held-out item, whose "
        "histories are long; all others are short.",
    )
    few_train_events: NonNegativeCount = Field(
        5, description="Training events up to which an item counts as one with few."
    )


class Recommend(Settings):
    """Lists of items for the users of the log, by `snakemake recommend`."""

    k: Count = Field(20, description="Items of each user's list.")
    mask_seen: bool = Field(
        True, description="Leave the items of a user's own history out of the list."
    )


class ColdItems(Settings):
    """How items rank that training has not seen, by `snakemake cold_items`.

    A share of the items is hidden, refinement and training go without them, and test items among
    them are ranked by their folded-in vectors; one more training for each chosen grid point.
    """

    share: Share = Field(0.1, description="Share of the items that are hidden.")
    seed: Seed = Field(0, description="Which items are hidden; the same for every run.")
    in_report: bool = Field(
        False,
        description="Whether a plain `snakemake` makes these tables for the report; otherwise the "
        "report shows those that are there.",
    )


class Pathvars(Settings):
    """Folders of what a run reads and writes."""

    results: str | None = Field(
        None, min_length=1, description="Folder of the artifacts; null is results/<experiment>."
    )
    logs: str | None = Field(
        None, min_length=1, description="Folder of the logs; null is logs/<experiment>."
    )
    benchmarks: str | None = Field(
        None, min_length=1, description="Folder of times and memory; null is <logs>/benchmarks."
    )
    resources: str = Field(
        "resources",
        min_length=1,
        description="Folder of what experiments share: downloads and embedded texts.",
    )


class Experiment(Settings):
    """What is run: datasets, encoders, refinements, backbones and seeds, and how they are judged.

    Every combination of the entries is a run. A list where a single value is described as a grid
    becomes one grid point a value; the best by validation stands for the entry.
    """

    experiment: Name = Field(
        description="Its name, which is its folder under results/ and logs/: a-z, 0-9, _ and -."
    )
    dim: Count = Field(
        128,
        description="Dimension of every refined vector and of every backbone.",
    )
    datasets: dict[Name, Any] = Field(
        min_length=1, description="Logs and item texts, by names of your choice."
    )
    encoders: dict[Name, Any] = Field(
        min_length=1,
        description="What turns item texts into vectors, by names of your choice.",
    )
    refinements: dict[Name, Any] = Field(
        DEFAULT_ENTRIES["refinements"],
        min_length=1,
        description="How the vectors are transformed before training. `method` defaults to the "
        "entry's own name.",
    )
    backbones: dict[Name, Any] = Field(
        DEFAULT_ENTRIES["backbones"],
        min_length=1,
        description="Sequential recommenders. `model` defaults to the entry's own name.",
    )
    seeds: Annotated[list[Seed], Distinct] = Field(
        [1],
        min_length=1,
        description="Each fixes initial weights, data order and dropout. Every grid point runs on "
        "the first seed, the chosen ones on all.",
    )
    selection: Selection = Field(
        Selection(), description="How one of an entry's grid points is chosen."
    )
    statistics: Statistics = Field(Statistics(), description="How results are compared.")
    report_on: Literal["planned", "finished"] = Field(
        "planned",
        description="planned: the report waits for every run. finished: it uses the runs that are "
        "there, trains nothing, and says what is missing and why.",
    )
    recommend: Recommend = Field(Recommend(), description="Lists of items for users.")
    cold_items: ColdItems = Field(ColdItems(), description="The experiment with new items.")
    pathvars: Pathvars = Field(Pathvars(), description="Folders of what a run reads and writes.")

    _origins: dict[str, dict[str, str]] = PrivateAttr(default_factory=dict)

    @property
    def origins(self) -> dict[str, dict[str, str]]:
        """By encoder, where each of its settings that were left out was taken from."""
        return self._origins

    def paths(self) -> dict[str, str]:
        """The folders results, logs, benchmarks and resources."""
        logs = self.pathvars.logs or f"logs/{self.experiment}"
        return {
            "results": self.pathvars.results or f"results/{self.experiment}",
            "logs": logs,
            "benchmarks": self.pathvars.benchmarks or f"{logs}/benchmarks",
            "resources": self.pathvars.resources,
        }

    def as_json(self) -> dict:
        """The whole experiment as plain JSON values, entries in their order."""
        plain = super().as_json()
        for kind in KINDS:
            entries = getattr(self, kind)
            plain[kind] = {name: entry.as_json() for name, entry in entries.items()}
        plain["pathvars"] = {name: at for name, at in plain["pathvars"].items() if at is not None}
        return plain


class Registries(NamedTuple):
    """Files that name public datasets and encoders."""

    datasets: Path
    encoders: Path

    @classmethod
    def shipped(cls) -> "Registries":
        """Those of this checkout, or of the installed package."""
        checkout = Path(__file__).parents[2] / "data"
        is_checkout = (checkout / "datasets.yaml").is_file()
        folder = checkout if is_checkout else Path(sys.prefix) / "share" / "ace_steps"
        return cls(folder / "datasets.yaml", folder / "encoders.yaml")


class Draft(NamedTuple):
    """What a configuration came to.

    Attributes:
        entries: By kind and name, the settings of every entry without a mistake.
        mistakes: What is wrong with the rest.
        experiment: The whole; None where there is a mistake.
    """

    entries: dict[str, dict[str, Any]]
    mistakes: list[Mistake]
    experiment: Experiment | None


class EntryRefused(Exception):
    """One entry cannot be used; its mistakes, keys relative to the entry."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__(*map(str, mistakes))
        self.mistakes = mistakes


def draft(raw: object, registries: Registries) -> Draft:
    """The experiment that a configuration asks for, defaults filled in, or all its mistakes.

    Args:
        raw: What YAML or JSON gave.
        registries: Public datasets and encoders.
    """
    resolved: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    if not isinstance(raw, dict):
        return Draft(resolved, [Mistake("", wrong_kind(MAPPING, raw))], None)
    raw = DEFAULT_ENTRIES | raw
    mistakes: list[Mistake] = []
    try:
        experiment = Experiment.model_validate(raw)  # its entries as they are in the file
    except PydanticError as refusal:
        mistakes += mistakes_of(refusal, Experiment, _parts())
    is_dim = type(raw.get("dim")) is int and raw["dim"] >= 1
    dim = raw["dim"] if is_dim else Experiment.model_fields["dim"].default
    origins: dict[str, dict[str, str]] = {}
    for kind in KINDS:
        entries = raw[kind] if isinstance(raw.get(kind), dict) else {}
        for name, entry in entries.items():
            if not isinstance(name, str):
                continue  # a mistake already
            try:
                if not isinstance(entry, dict | None):
                    raise EntryRefused(Mistake("", wrong_kind(MAPPING, entry)))
                if kind == "datasets":
                    settings = _dataset(entry or {}, registries.datasets)
                elif kind == "encoders":
                    settings, origins[name] = _encoder(entry or {}, registries.encoders)
                else:
                    settings = _named(kind, name, entry or {}, dim)
                resolved[kind][name] = settings
            except EntryRefused as refusal:
                mistakes += [mistake.under(f"{kind}.{name}") for mistake in refusal.mistakes]
    mistakes += _other_dims(resolved, dim)
    if mistakes:
        return Draft(resolved, mistakes, None)
    experiment = experiment.model_copy(update=resolved)
    experiment.origins.update(origins)
    return Draft(resolved, [], experiment)


def _other_dims(entries: dict[str, dict[str, Any]], dim: int) -> list[Mistake]:
    """Refinements and backbones of another dim, as every refinement meets every backbone."""
    return [
        Mistake(
            f"{kind}.{name}.dim",
            f"expected {dim}, the experiment's dim, got {settings.dim}; all refinements and "
            "backbones have one, so set the key dim at the top instead",
        )
        for kind in ("refinements", "backbones")
        for name, settings in entries[kind].items()
        if settings.dim != dim
    ]


def _parts() -> list[Part]:
    """The settings classes of entries, and where they stand in the tree."""
    named = [
        (f"{kind}.<name>", entry.settings_class())
        for kind in ("refinements", "backbones", "datasets")
        for entry in NAMED_BY[kind][1].values()
    ]
    return named + [("encoders.<name>", model) for model in get_args(EntrySettings)]


def located(refusal: InputError, model: type[Settings], otherwise: str = "") -> Mistake:
    """A refusal as a mistake, at the key of the model that its line begins with, or another."""
    mistake = at_key(str(refusal).rstrip("."), model)
    return mistake if mistake.key or not otherwise else mistake.under(otherwise)


def _validated(model: type[Settings], entry: dict) -> Settings:
    """The entry as its settings class has it.

    Raises:
        EntryRefused: with every mistake in it. Relations between keys are checked without the
            unknown ones too, as far as a known key is at fault.
    """
    try:
        return model.model_validate(entry)
    except PydanticError as refusal:
        mistakes = mistakes_of(refusal, model)
    try:
        model.model_validate(entry, extra="ignore")
    except PydanticError as refusal:
        if not any(error["type"] == "missing" for error in refusal.errors()):
            mistakes += [mistake for mistake in mistakes_of(refusal, model) if mistake.key]
    raise EntryRefused(*dict.fromkeys(mistakes))


def _class_of(kind: str, name: object, hint: str = "") -> type[Settings]:
    """The settings class of a reader, method or model."""
    key, registry = NAMED_BY[kind]
    if not isinstance(name, str):
        raise EntryRefused(Mistake(key, wrong_kind("a string", name)))
    if name not in registry:
        text = f"expected a known name, got {shown(name)}{hint}; {suggestion(name, registry)}"
        raise EntryRefused(Mistake(key, text))
    return registry[name].settings_class()


def _named(kind: str, name: str, entry: dict, dim: int) -> Settings:
    """A refinement or backbone; one that names no method or model has its own name for it."""
    key, _ = NAMED_BY[kind]
    chosen = name if entry.get(key) is None else entry[key]
    hint = "" if key in entry else f", its own name; give it a {key}"
    return _validated(_class_of(kind, chosen, hint), {"dim": dim} | entry | {key: chosen})


def _dataset(entry: dict, registry: Path) -> Settings:
    """A dataset: its reader is that of its source, or the one that it names, or ``table``."""
    source, reader = entry.get("source"), entry.get("reader")
    if source is not None:
        if not isinstance(source, str):
            raise EntryRefused(Mistake("source", wrong_kind("a string", source)))
        try:
            public = public_dataset(source, registry)
        except InputError as refusal:
            raise EntryRefused(located(refusal, DatasetSettings, "source")) from None
        if reader not in (None, public.reader):
            text = f"expected {public.reader}, the reader of source '{source}', got {shown(reader)}"
            raise EntryRefused(Mistake("reader", text))
        reader = public.reader
    reader = reader or "table"
    given, mistakes = [key for key in ORIGINS if entry.get(key) is not None], []
    if given not in (["source"], ["interactions", "items"]):
        text = "expected either source, or interactions and items, got "
        mistakes = [Mistake("", text + (" and ".join(given) or "none of them"))]
    try:
        settings = _validated(_class_of("datasets", reader), entry | {"reader": reader})
    except EntryRefused as refusal:
        mistakes += refusal.mistakes
    if mistakes:
        raise EntryRefused(*mistakes)
    if settings.source and settings.expected is None:
        counts = expected_counts(settings.source, settings.as_json(), registry)
        settings = settings.model_copy(update={"expected": counts})
    return settings


def _encoder(entry: dict, registry: Path) -> tuple[Settings, dict[str, str]]:
    """An encoder, and where each of its settings that it leaves out was taken from."""
    settings = _validated(entry_class(entry), entry)
    try:
        return resolve_encoder(settings, registry, local_folder(settings))
    except InputError as refusal:
        place = "source" if entry.get("source") else ""
        raise EntryRefused(located(refusal, type(settings), place)) from None


def local_folder(settings: Settings) -> Path | None:
    """The folder of an encoder's model, where it is one of the user's and is there."""
    path = getattr(settings, "path", None)
    folder = expand_path(path) if path else None
    return folder if folder and folder.is_dir() else None
