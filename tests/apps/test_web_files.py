"""Files that may be shown: those below the folder, however they are asked for, and no other."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itermask.apps.web.files import inside, kind_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("files")
    (root / "shown" / "a").mkdir(parents=True)
    (root / "shown" / "a" / "one.html").write_text("one")
    (root / "secret.txt").write_text("secret")
    (root / "shown" / "out.txt").symlink_to(root / "secret.txt")
    (root / "shown" / "up").symlink_to(root)
    (root / "shown" / "again.html").symlink_to(root / "shown" / "a" / "one.html")
    (root / "shown" / "circle").symlink_to(root / "shown" / "circle")
    return root / "shown"


PARTS = st.sampled_from(
    ["..", ".", "", "a", "up", "one.html", "secret.txt", "out.txt", "again.html", "circle", "shown"]
)


@settings(deadline=None)
@given(parts=st.lists(PARTS, max_size=7), absolute=st.booleans())
def test_what_is_found_lies_below_the_folder(folder, parts, absolute):
    found = inside(folder, ("/" if absolute else "") + "/".join(parts))
    assert found in (None, folder / "a" / "one.html"), "the only real file below it"


@given(name=st.text(max_size=40))
def test_any_name_can_be_asked_for(folder, name):
    assert inside(folder, name) is None


def test_files_and_links_within(folder):
    for name in ("a/one.html", "again.html", "a/../a/./one.html"):
        assert inside(folder, name) == folder / "a" / "one.html"
    for name in (str(folder.parent / "secret.txt"), "a", "", "a/one.html\0", "x" * 5000, "out.txt", "up/secret.txt"):
        assert inside(folder, name) is None


def test_a_folder_behind_a_link(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert inside(tmp_path / "link", "a/one.html") == folder / "a" / "one.html"


def test_kinds():
    assert [kind_of(Path(name)) for name in ("a.HTML", "a.nii.gz", "a.odd", "a")] == [
        "text/html", "application/gzip", "application/octet-stream", "application/octet-stream",
    ]  # fmt: skip
