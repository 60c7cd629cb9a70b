"""Content hashes: of what is in the file now, and read once only."""

import hashlib
import os
from pathlib import Path

import pytest
from tiny_cohort import write_model

from itermask.apps.cohort.hashes import Hashes, model_hash, sha256
from itermask.models import choice


def hashed(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "scan.nii"
    path.write_bytes(b"first")
    return path


def test_hashes_are_those_of_the_content_and_none_where_nothing_can_be_read(file, tmp_path):
    hashes = Hashes(tmp_path / "logs")
    assert hashes.of(file) == sha256(file) == hashed(b"first")
    file.write_bytes(b"second")
    assert hashes.of(file) == hashed(b"second")
    assert hashes.of(None) is hashes.of(tmp_path / "missing") is hashes.of(tmp_path) is None
    assert not (tmp_path / "logs").exists(), "nothing is remembered unless asked"


def test_a_file_is_read_again_only_when_its_size_or_time_has_changed(file, tmp_path, monkeypatch):
    first = Hashes(tmp_path / "logs", "1of2")
    first.of(file)
    first.close()
    seen = []
    monkeypatch.setattr(
        "itermask.apps.cohort.hashes.sha256", lambda path: seen.append(path) or hashed(path.read_bytes())
    )
    later = Hashes(tmp_path / "logs", "2of2")
    assert later.of(file) == hashed(b"first")
    assert seen == []
    os.utime(file, ns=(1, 1))
    assert later.of(file) == hashed(b"first")
    file.write_bytes(b"other")
    assert later.of(file) == hashed(b"other")
    assert seen == [file, file]
    later.close()
    assert Hashes(tmp_path / "logs").of(file) == hashed(b"other"), "the later word counts"
    assert seen == [file, file]


def test_a_memory_that_was_cut_off_is_used_as_far_as_it_goes(file, tmp_path):
    first = Hashes(tmp_path / "logs", "1of1")
    first.of(file)
    first.close()
    memory = tmp_path / "logs" / "hashes-1of1.jsonl"
    memory.write_text(memory.read_text() + '{"path": "/x", "si')
    again = Hashes(tmp_path / "logs", "1of1")
    (tmp_path / "two.nii").write_bytes(b"two")
    assert again.of(tmp_path / "two.nii") == hashed(b"two")
    again.close()
    assert {Path(path).name for path in Hashes(tmp_path / "logs")._known} == {"scan.nii", "two.nii"}


def test_a_models_hash_is_of_weights_and_card(tmp_path, monkeypatch):
    model_hash.cache_clear()
    folder = write_model(tmp_path / "model")
    monkeypatch.setattr(choice, "BUNDLED", tmp_path)
    found = model_hash(str(folder), "T1w")
    assert found
    assert model_hash(None, "T1w") == found, "the only bundled one"
    assert model_hash(None, "FLAIR") == model_hash("nothing", "T1w") == ""
    (folder / "card.json").write_text((folder / "card.json").read_text() + "\n")
    model_hash.cache_clear()
    assert model_hash(str(folder), "T1w") != found
    model_hash.cache_clear()
