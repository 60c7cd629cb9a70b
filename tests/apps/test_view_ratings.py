"""Ratings: nothing said is lost, whatever is in a comment, whoever saves at the same time."""

import csv
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itermask.apps.view.ratings import COLUMNS, LONGEST, NAME, RATINGS, Ratings, clean, escape, unescape
from itermask.errors import InputError


@given(text=st.text())
def test_a_cell_holds_any_text_in_one_line(text):
    cell = escape(text)
    assert not {"\t", "\n", "\r"} & set(cell)
    assert unescape(cell) == text


@given(text=st.text() | st.text("a\t\n\r\x00\x85\u2028\ud800"))
def test_a_clean_text_stays_as_it_is_and_is_one_line_for_any_reader(text):
    found = clean(text)
    assert clean(found) == found
    assert len(escape(found).splitlines()) <= 1
    assert found.encode().decode() == found


@settings(max_examples=20, deadline=None)  # each writes to the disk
@given(
    said=st.lists(
        st.tuples(st.sampled_from(["a", "b/c", "n/a", "tab\tline\n"]), st.sampled_from(["", *RATINGS]), st.text()),
        max_size=5,
    )
)
def test_the_last_rating_counts_and_survives_a_restart(tmp_path_factory, said):
    out = tmp_path_factory.mktemp("out")
    kept = [Ratings(out).save(scan, rating, comment.replace("n/a", ""), "me") for scan, rating, comment in said]
    again = Ratings(out)
    assert again.all() == kept
    assert again.last() == {one.scan: one for one in kept}
    assert [path.name for path in out.iterdir()] == [NAME] * bool(said), "nothing unfinished is left"


def test_the_table(tmp_path):
    ratings = Ratings(tmp_path)
    assert ratings.last() == {}
    ratings.save("sub-1", "good", "", "me")
    ratings.save("sub-1", "bad", " a\tb\r\nc \\ d\u2028\x00", "me")
    ratings.save("sub-2", "", "", "you")
    with (tmp_path / NAME).open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["scan"], row["rating"], row["comment"], row["rater"]) for row in rows] == [
        ("sub-1", "good", "n/a", "me"),
        ("sub-1", "bad", r"a\tb\nc \\ d", "me"),
        ("sub-2", "n/a", "n/a", "you"),
    ]
    assert ratings.last()["sub-1"].comment == "a\tb\nc \\ d"
    assert list(ratings.last("you")) == ["sub-2"]


def test_savers_at_the_same_time_lose_nothing(tmp_path):
    """Each has an object of its own, as programs have, so that only the lock on the folder keeps them apart."""

    def save(rater):
        own = Ratings(tmp_path)
        for number in range(8):
            own.save(f"sub-{number}", "good", f"{rater} {number}", rater)

    threads = [threading.Thread(target=save, args=(f"rater {number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = [one.comment for one in Ratings(tmp_path).all()]
    assert len(said) == 48
    assert set(said) == {f"rater {rater} {number}" for rater in range(6) for number in range(8)}


def test_a_table_that_others_have_edited(tmp_path):
    text = "\ufeffgroup\tscan\trating\tcomment\trater\ttime\r\n7\tsub-1\tgood\twell\tme\tnow\r\n\r\n8\tsub-2\todd\r\n"
    (tmp_path / NAME).write_bytes(text.encode())
    ratings = Ratings(tmp_path)
    assert [(one.scan, one.rating, one.comment) for one in ratings.all()] == [
        ("sub-1", "good", "well"),
        ("sub-2", "", ""),
    ]
    ratings.save("sub-3", "bad", "", "me")
    lines = (tmp_path / NAME).read_text().splitlines()
    assert lines[0].split("\t")[0] == "group"
    assert lines[1].split("\t")[0] == "7"
    assert lines[3].split("\t")[:3] == ["n/a", "sub-3", "bad"]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"scan\trating\n", "column comment is missing"), (b"\xff\xfes\0", "cannot be read"), (b"\n", "scan is missing")],
)
def test_what_is_no_table_is_refused_and_left_alone(tmp_path, content, words):
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(InputError, match=words):
        Ratings(tmp_path)
    assert (tmp_path / NAME).read_bytes() == content


def test_a_link_is_refused(tmp_path):
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link"):
        Ratings(tmp_path / "out")


def test_what_is_no_rating_is_refused(tmp_path):
    ratings = Ratings(tmp_path)
    with pytest.raises(ValueError, match="'great' is not a rating; ratings are good, bad, unsure"):
        ratings.save("a", "great", "", "me")
    with pytest.raises(ValueError, match="4000 characters"):
        ratings.save("a", "good", "x" * (LONGEST + 1), "me")
    assert not (tmp_path / NAME).exists()


def test_a_folder_that_is_gone(tmp_path):
    (tmp_path / "out").mkdir()
    ratings = Ratings(tmp_path / "out")
    (tmp_path / "out").rmdir()
    with pytest.raises(InputError, match=r"ratings\.tsv: cannot be written"):
        ratings.save("a", "good", "", "me")
