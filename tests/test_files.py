"""Files that appear whole or not at all."""

import hashlib

import pytest

from ace_steps import files


def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "deep" / "table.bin"
    files.write_text(target, "old")

    def broken():
        with files.atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        broken()
    assert target.read_text() == "old"
    assert list(target.parent.iterdir()) == [target]


def test_a_written_file_has_the_permissions_of_any_other(tmp_path):
    files.write_text(tmp_path / "ours", "x")
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_digests_are_those_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes("gauche \u00e9".encode())
    expected = hashlib.sha256("gauche \u00e9".encode()).hexdigest()
    assert files.sha256_file(tmp_path / "a") == files.sha256_text("gauche \u00e9") == expected


def test_json_has_sorted_keys(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": 1, "a": "\u00e9"})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": "\u00e9",\n  "b": 1\n}\n'
