"""Archives: single members come out, nothing else; what is damaged is refused in one line."""

import io
import random
import tarfile
import zipfile

import pytest

from ace_steps.errors import InputError
from ace_steps.io.archives import take_member, take_members


def packed(tmp_path, kind):
    path = tmp_path / f"archive.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as opened:
            opened.writestr("folder/a.txt", "A")
            opened.writestr("../up.txt", "U")
        return path
    with tarfile.open(path, "w:gz") as opened:
        for name, text in (("folder/a.txt", b"A"), ("../up.txt", b"U")):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            opened.addfile(info, io.BytesIO(text))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        opened.addfile(link)
    return path


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_only_the_named_member_is_written_and_only_to_the_target(tmp_path, kind):
    folder = tmp_path / "deep" / "folder"
    take_members(packed(tmp_path, kind), {"folder/a.txt": "a.txt", "../up.txt": "up.txt"}, folder)
    assert {path.name for path in folder.iterdir()} == {"a.txt", "up.txt"}
    assert not (tmp_path / "deep" / "up.txt").exists()


@pytest.mark.parametrize("name", ["../out.txt", "/tmp/out.txt", "a/../../out.txt", ""])
def test_a_target_outside_the_folder_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="it is outside"):
        take_members(packed(tmp_path, "zip"), {"folder/a.txt": name}, tmp_path / "folder")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_member_that_is_not_there_is_named_with_its_nearest(tmp_path, kind):
    with pytest.raises(
        InputError, match=r"unknown member 'folder/b\.txt'; did you mean 'folder/a\.txt"
    ):
        take_member(packed(tmp_path, kind), "folder/b.txt", tmp_path / "out")


def test_a_link_in_a_tar_is_no_member(tmp_path):
    with pytest.raises(InputError, match="unknown member 'link'"):
        take_member(packed(tmp_path, "tar"), "link", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("n_cut", [30, 130])
def test_a_damaged_archive_is_one_line_and_leaves_nothing(tmp_path, n_cut):
    path = packed(tmp_path, "tar")
    path.write_bytes(path.read_bytes()[:-n_cut])
    with pytest.raises(InputError, match="not a readable zip or tar archive"):
        take_member(path, "../up.txt", tmp_path / "out")
    assert not (tmp_path / "out").exists()


WRONG = {"zip": slice(60, 2000), "gz": slice(30_000, -100), "xz": slice(30_000, -100)}


@pytest.mark.parametrize(("kind", "place"), WRONG.items(), ids=WRONG)
def test_an_archive_with_wrong_bytes_behind_its_headers_is_one_line(tmp_path, kind, place):
    path, noise = tmp_path / f"archive.{kind}", random.Random(0).randbytes(2**16)
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            opened.writestr("noise", noise.hex())
    else:
        with tarfile.open(path, f"w:{kind}") as opened:
            info = tarfile.TarInfo("noise")
            info.size = len(noise)
            opened.addfile(info, io.BytesIO(noise))
    content = bytearray(path.read_bytes())
    content[place] = b"\xff" * len(content[place])
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a readable zip or tar archive"):
        take_member(path, "noise", tmp_path / "out")
    assert not (tmp_path / "out").exists()
