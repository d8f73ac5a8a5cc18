"""What a name in the configuration stands for: one line for each reader, refinement and backbone.

The names are texts, so that a new line changes no step's code digest, and nothing is imported
before it is used.
"""

from importlib import import_module
from typing import Any, NamedTuple

from ace_steps.io.code_digest import run_partially


class Entry(NamedTuple):
    """A reader, a refinement or a backbone."""

    module: str  # the file that it stands in, settings included
    settings: str  # name of its settings class there
    name: str  # name of its function or class there

    def settings_class(self) -> type:
        """The settings class, without importing the rest of the file: torch takes seconds."""
        return run_partially(self.module, self.settings)

    def implementation(self) -> Any:
        """The reader's or refinement's function, or the backbone's class."""
        return getattr(import_module(self.module), self.name)


READERS = {
    "table": Entry("ace_steps.preprocess.read_table", "TableSettings", "read"),
    "recbole": Entry("ace_steps.preprocess.read_recbole", "RecboleSettings", "read"),
    "amazon_2014": Entry(
        "ace_steps.preprocess.read_public", "Amazon2014Settings", "read_amazon_2014"
    ),
    "amazon_2023": Entry(
        "ace_steps.preprocess.read_public", "Amazon2023Settings", "read_amazon_2023"
    ),
    "movielens": Entry("ace_steps.preprocess.read_public", "MovielensSettings", "read_movielens"),
    "yelp": Entry("ace_steps.preprocess.read_public", "YelpSettings", "read_yelp"),
}
REFINEMENTS = {
    "random": Entry("ace_steps.refine.baselines", "RandomSettings", "random"),
    "llm2x": Entry("ace_steps.refine.baselines", "Llm2xSettings", "llm2x"),
    "svd": Entry("ace_steps.refine.baselines", "SvdSettings", "svd"),
    "whitening": Entry("ace_steps.refine.baselines", "WhiteningSettings", "whitening"),
    "ace": Entry("ace_steps.refine.ace", "AceSettings", "ace"),
    "whitenrec_plus": Entry(
        "ace_steps.refine.baselines", "WhitenrecPlusSettings", "whitenrec_plus"
    ),
    "alpharec": Entry("ace_steps.refine.baselines", "AlpharecSettings", "alpharec"),
    "llmemb": Entry("ace_steps.refine.baselines", "LlmembSettings", "llmemb"),
    "alphafuse": Entry("ace_steps.refine.baselines", "AlphafuseSettings", "alphafuse"),
}
BACKBONES = {
    "sasrec": Entry("ace_steps.backbones.sasrec", "SasRecSettings", "SasRec"),
    "gru4rec": Entry("ace_steps.backbones.gru4rec", "Gru4RecSettings", "Gru4Rec"),
    "bert4rec": Entry("ace_steps.backbones.bert4rec", "Bert4RecSettings", "Bert4Rec"),
}
# By kind of entry in a configuration: the key that names one of them, and what it may name.
NAMED_BY = {
    "datasets": ("reader", READERS),
    "refinements": ("method", REFINEMENTS),
    "backbones": ("model", BACKBONES),
}
