"""How an artifact was made: digests of files and code."""

import pytest

from ace_steps import provenance
from ace_steps.provenance import code_sha256


@pytest.fixture
def write_package(tmp_path, monkeypatch):
    """Makes a package of two modules the one that digests are of."""

    def write(name, *, first="a.py", content="x = 1", unread="1"):
        folder = tmp_path / name / "part"
        folder.mkdir(parents=True)
        (folder / first).write_text(content)
        (folder / "z.py").write_text("z = 1")
        (folder.parent / "unread.py").write_text(unread)
        monkeypatch.setattr(provenance, "PACKAGE", folder.parent)

    return write


def test_the_digest_of_code_is_of_names_and_bytes_of_the_files_that_match(write_package):
    write_package("one")
    first = code_sha256("part/*.py")
    write_package("other_place", unread="2")
    assert code_sha256("part/*.py") == code_sha256("part/z.py", "part/a.py") == first
    write_package("edited", content="x = 2")
    assert code_sha256("part/*.py") != first
    write_package("renamed", first="b.py")
    assert code_sha256("part/*.py") != first


def test_an_edit_while_a_process_runs_is_not_of_its_code(write_package):
    write_package("one")
    first = code_sha256("part/*.py")
    (provenance.PACKAGE / "part" / "a.py").write_text("x = 2")
    assert code_sha256("part/*.py") == first


def test_a_pattern_that_matches_no_code_is_refused(write_package):
    write_package("one")
    with pytest.raises(ValueError, match=r"no file of the package matches 'prat/\*\.py'"):
        code_sha256("part/*.py", "prat/*.py")
