import pytest

from ace_steps.sources import PACKAGE, PLUMBING, sources_of

FILES = {
    "steps/learn.py": "from kit.deep import one\n",
    "deep/one.py": "import numpy as np\nfrom kit import two\nfrom kit.errors import Oops\n",
    "two.py": "def later():\n    import kit.three\n",
    "three.py": "from kit.deep.one import anything\n",  # a circle
    "errors.py": "from kit import unseen\n",
    "unseen.py": "",
    "other.py": "",
}


@pytest.fixture
def kit(tmp_path):
    """A package whose step imports in every way that Python has."""
    for name, text in FILES.items():
        path = tmp_path / "kit" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "kit"


def names(step, package=PACKAGE):
    return {path.relative_to(package).as_posix() for path in sources_of(step, package)}


def test_what_is_imported_anywhere_counts_and_nothing_behind_plumbing(kit):
    assert names("learn", kit) == {"steps/learn.py", "deep/one.py", "two.py", "three.py"}


def test_an_unknown_step_has_no_sources(kit):
    with pytest.raises(FileNotFoundError, match=r"steps/teach\.py"):
        sources_of("teach", kit)


def test_plumbing_is_of_this_package():
    assert all((PACKAGE / name).is_file() for name in PLUMBING)


@pytest.mark.parametrize(
    ("step", "wanted", "foreign"),
    [
        ("refine_vectors", "refine/trained.py", "embed"),
        ("embed_items", "embed/pooling.py", "refine"),
        ("request_vectors", "embed/finishing.py", "refine"),
        ("train_backbone", "backbones/item_encoders.py", "embed"),
        ("rank_targets", "evaluation/ranking.py", "reporting"),
        ("preprocess_dataset", "preprocess/splits.py", "training"),
        ("write_tables", "evaluation/metrics.py", "training"),
    ],
)
def test_a_step_has_its_own_packages_and_no_others(step, wanted, foreign):
    found = names(step)
    assert wanted in found
    assert not any(name.startswith(f"{foreign}/") for name in found)


def test_the_formula_of_ace_belongs_to_the_refinement_alone():
    users = {path.stem for path in (PACKAGE / "steps").glob("[a-z]*.py")}
    having = {step for step in users if "refine/trained.py" in names(step)}
    assert having == {"refine_vectors", "fold_in_items", "rank_cold_items"}
