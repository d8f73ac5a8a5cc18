"""The step fetch_dataset, through its command line; no network."""

import zipfile

import pytest

from ace_steps.io.files import sha256_file
from ace_steps.steps.fetch_dataset import main

ENTRY = """
tiny:
  title: Tiny
  reader: recbole
  homepage: https://example.org/tiny
  license: a click
  files:
    interactions: {{by_hand: tiny.zip, sha256: {digest}, member: tiny/log.inter}}
    items: {{by_hand: tiny.zip, sha256: {digest}, member: tiny/gone.item}}
  expected: null
  expected_with: {{}}
"""


@pytest.fixture
def fetch(tmp_path):
    """The step on a registry of one dataset, whose archive is in the downloads folder."""
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    with zipfile.ZipFile(downloads / "tiny.zip", "w") as archive:
        archive.writestr("tiny/log.inter", "log\n")
    registry = tmp_path / "registry.yaml"
    registry.write_text(ENTRY.format(digest=sha256_file(downloads / "tiny.zip")))

    def run(source="tiny", role="interactions"):
        places = ["--output", str(tmp_path / "out/log"), "--downloads", str(downloads)]
        return main(["--source", source, "--role", role, "--registry", str(registry), *places])

    return run


def test_a_file_of_the_archive_is_put_in_place(fetch, tmp_path):
    assert fetch() == 0
    assert (tmp_path / "out/log").read_text() == "log\n"


def test_an_unknown_source_is_one_line_and_exit_code_2(fetch, tmp_path, capfd):
    assert fetch(source="tini") == 2
    error = capfd.readouterr().err
    assert "'tini'" in error
    assert "'tiny'" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out/log").exists()


def test_a_missing_archive_says_which_file_to_put_where_and_how_to_get_it(fetch, tmp_path, capfd):
    (tmp_path / "downloads/tiny.zip").unlink()
    assert fetch() == 2
    error = capfd.readouterr().err
    parts = (f"{tmp_path}/downloads/tiny.zip", "https://example.org/tiny", "tiny/log.inter")
    assert [part for part in parts if part not in error] == []
