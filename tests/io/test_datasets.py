"""Every kind of data set is recognised by its names alone, from one walk, and bad roots are one line."""

import os
from collections import Counter
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itermask.errors import InputError
from itermask.io.datasets import ADAPTERS, GENERIC, SPECIFIC, Case, read_dataset
from itermask.io.datasets.adapter import Found, part_runs
from itermask.io.datasets.tree import File, Tree, walk

ADNI = "ADNI/002_S_0295/MPRAGE/2006-04-18_08_20_30.0/I40966/ADNI_002_S_0295_MR_MPRAGE_br_raw_20060418_1_S13408_I40966"
SISS = "SISS2015_Training/1/VSD.Brain.XX.O.MR_Flair.70614/VSD.Brain.XX.O.MR_Flair.70614"
LAYOUTS = {
    "brats": (
        "BraTS20_Training_001/BraTS20_Training_001_flair.nii",
        "BraTS20_Training_001/BraTS20_Training_001_seg.nii",
    ),
    "isles": (f"{SISS}.nii",),
    "atlas": ("R001/sub-r001s001/ses-1/anat/sub-r001s001_ses-1_space-MNI152NLin2009aSym_T1w.nii.gz",),
    "msseg": ("Center_01/Patient_01/Raw_Data/FLAIR.nii.gz", "Center_01/Patient_01/Masks/Consensus.nii.gz"),
    "open-ms": ("patient01/patient01_FLAIR.nii.gz", "patient01/patient01_consensus_gt.nii.gz"),
    "ixi": ("IXI-T1/IXI002-Guys-0828-T1.nii.gz", "IXI-T2/IXI002-Guys-0828-T2.nii.gz"),
    "oasis1": ("disc1/OAS1_0001_MR1/PROCESSED/MPRAGE/SUBJ_111/OAS1_0001_MR1_mpr_n4_anon_sbj_111.img",),
    "adni": (f"{ADNI}.nii",),
    "bids": ("sub-01/anat/sub-01_T1w.nii.gz", "derivatives/x/sub-01/anat/sub-01_label-lesion_mask.nii.gz"),
    "folders": ("case-1/FLAIR.nii.gz", "case-1/lesion.nii.gz"),
    "flat": ("case-1_FLAIR.nii.gz", "case-1_lesion.nii.gz"),
}


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def tree_of(*names):
    """A tree in memory."""
    files = [
        File(
            Path("/root", name), Path(name).name.split(".nii")[0].removesuffix(".img"), ("root", *Path(name).parts[:-1])
        )
        for name in names
    ]
    return Tree(Path("/root"), tuple(sorted(files)))


def test_there_is_an_example_for_every_adapter():
    assert set(LAYOUTS) | {"table"} == set(ADAPTERS)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_every_kind_is_recognised_and_recognised_alone(tmp_path, kind):
    touch(tmp_path, *LAYOUTS[kind], "readme.txt", "notes/paper.pdf")
    cases = read_dataset(tmp_path)
    assert len(cases) == 1
    assert cases == read_dataset(str(tmp_path), kind) == ADAPTERS[kind](tmp_path)
    assert cases[0].healthy is (True if kind == "ixi" else None if kind in ("oasis1", "adni") else False)
    for adapter in SPECIFIC:
        assert (adapter.name == kind) == bool(adapter.collect(walk(tmp_path)))


@pytest.mark.parametrize("kind", LAYOUTS)
def test_the_root_may_be_any_level_of_a_release(tmp_path, kind):
    touch(tmp_path / "downloads" / "unpacked", *LAYOUTS[kind])
    if kind == "folders":
        assert read_dataset(tmp_path)[0].subject == "downloads-unpacked-case-1"
    else:
        inner, outer = read_dataset(tmp_path / "downloads" / "unpacked"), read_dataset(tmp_path)
        assert inner == outer


@pytest.mark.parametrize("kind", LAYOUTS)
def test_another_kind_says_what_it_looked_for(tmp_path, kind):
    other = "ixi" if kind != "ixi" else "brats"
    touch(tmp_path, *LAYOUTS[other])
    with pytest.raises(InputError, match=rf"no {kind} case among its 2 images; looked for \S") as caught:
        read_dataset(tmp_path, kind)
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_root_without_a_case_names_everything_looked_for(tmp_path):
    touch(tmp_path, "photo.jpg", "scan.nii.gz", "sub-01/func/sub-01_task-rest_bold.nii.gz", "case-9_lesion.nii.gz")
    with pytest.raises(InputError, match="no data set recognised among its 3 images") as caught:
        read_dataset(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert all(adapter.expected in message for adapter in (*SPECIFIC, *GENERIC))
    assert "participant_id" in message


def test_nothing_there_and_unknown_kinds_are_one_line(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"'brain' is no kind of data set; known are auto, brats, .*table"):
        read_dataset(tmp_path, "brain")
    with pytest.raises(InputError, match="not a table"):
        read_dataset(tmp_path, "table")
    touch(tmp_path, "a.tsv")
    with pytest.raises(InputError, match="no such folder"):
        read_dataset(tmp_path / "a.tsv", "bids")


@pytest.mark.parametrize("pair", [("brats", "ixi"), ("ixi", "folders"), ("ixi", "flat"), ("bids", "folders")])
def test_two_data_sets_in_one_root_are_not_guessed_between(tmp_path, pair):
    for kind in pair:
        touch(tmp_path / kind, *LAYOUTS[kind])
    with pytest.raises(InputError, match=f"holds several data sets \\({', '.join(pair)}\\)"):
        read_dataset(tmp_path)
    for kind in pair:
        assert len(read_dataset(tmp_path / kind)) == 1
    assert read_dataset(tmp_path, pair[0])


def test_what_was_made_of_a_release_beside_it_is_no_second_data_set(tmp_path):
    touch(tmp_path, *LAYOUTS["atlas"], "derivatives/tool/sub-r001s001/anat/sub-r001s001_desc-preproc_T1w.nii.gz")
    assert [case.subject for case in read_dataset(tmp_path)] == ["r001s001"]


def test_each_folder_is_looked_into_once_and_no_image_is_opened(tmp_path, monkeypatch):
    touch(tmp_path, *LAYOUTS["bids"], "sub-02/anat/sub-02_T1w.nii.gz")
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    seen, scandir = Counter(), os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: seen.update([str(path)]) or scandir(path))
    assert len(read_dataset(tmp_path)) == 2
    assert seen == Counter(map(str, [tmp_path, *folders]))


def test_the_walk_takes_images_and_leaves_hidden_names(tmp_path):
    touch(tmp_path, "a/b.nii", "a/c.NII.GZ", "d.img", "d.hdr", "e.json", ".git/f.nii", "a/._b.nii", "g.nii.gz/h.txt")
    tree = walk(tmp_path)
    name = tmp_path.name
    assert [(file.stem, file.folders) for file in tree.files] == [
        ("b", (name, "a")),
        ("c", (name, "a")),
        ("d", (name,)),
    ]
    assert all(file.path.is_file() for file in tree.files)


def test_a_link_to_itself_is_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / "a_T1w.nii.gz").symlink_to("a_T1w.nii.gz")
    (tmp_path / "loop").symlink_to("loop")
    assert [file.path.name for file in walk(tmp_path).files] == ["a_T1w.nii.gz"]


def test_links_are_followed_once_and_never_in_a_circle(tmp_path):
    touch(tmp_path, "elsewhere/b.nii.gz", "root/a/a.nii.gz", "c.nii.gz")
    for link, target in [
        ("root/link", "elsewhere"),
        ("root/again", "elsewhere"),
        ("root/a/up", "root"),
        ("root/above", "."),
        ("elsewhere/back", "root"),
        ("root/c.nii.gz", "c.nii.gz"),
    ]:
        (tmp_path / link).symlink_to(tmp_path / target)
    assert sorted(file.stem for file in walk(tmp_path / "root").files) == ["a", "b", "c"]


def test_a_case_is_frozen_and_needs_a_name_only():
    case = Case("01")
    assert (case.session, case.paths, case.lesion, case.healthy, case.split) == ("", {}, None, None, "")
    with pytest.raises(FrozenInstanceError):
        case.split = "train"


NAMINGS = {  # kind: how a subject's files are called, and what they are
    "brats": (
        "BraTS2021_{0:05}/BraTS2021_{0:05}_{1}.nii.gz",
        {"t1": "T1w", "t1ce": "T1ce", "t2": "T2w", "flair": "FLAIR"},
        "seg",
    ),
    "ixi": ("IXI{0:03}-HH-{0:04}-{1}.nii.gz", {"T1": "T1w", "T2": "T2w", "PD": "PDw"}, "lesion"),
    "folders": ("case{0:03}/{1}.nii.gz", {"T1w": "T1w", "FLAIR": "FLAIR", "T2w": "T2w"}, "lesion"),
    "flat": ("case{0:03}_{1}.nii.gz", {"T1w": "T1w", "FLAIR": "FLAIR", "T2w": "T2w"}, "lesion"),
    "bids": ("sub-{0:02}/anat/sub-{0:02}_{1}.nii.gz", {"T1w": "T1w", "FLAIR": "FLAIR"}, "label-lesion_mask"),
}


@given(
    st.sampled_from(sorted(NAMINGS)),
    st.sets(st.tuples(st.integers(1, 12), st.integers(0, 4)), min_size=1, max_size=40),
    st.randoms(),
)
def test_any_pieces_in_any_order_give_the_cases_that_have_an_image(kind, present, random):
    naming, sequences, label = NAMINGS[kind]
    pieces = [*sequences, label]
    present = {(number, pieces[piece]) for number, piece in present if piece < len(pieces)}
    names = [naming.format(number, piece) for number, piece in present]
    random.shuffle(names)
    collect = next(adapter.collect for adapter in (*SPECIFIC, *GENERIC) if adapter.name == kind)
    cases = collect(tree_of(*names))
    wanted: dict[int, dict[str, Path]] = {}
    for number, piece in present:
        if piece != label:
            wanted.setdefault(number, {})[sequences[piece]] = Path("/root", naming.format(number, piece))
    assert [case.paths for case in cases] == [wanted[number] for number in sorted(wanted)]
    for number, case in zip(sorted(wanted), cases, strict=True):
        assert case.lesion == (Path("/root", naming.format(number, label)) if (number, label) in present else None)
    assert [case.subject for case in cases] == sorted({case.subject for case in cases})


@given(
    st.sets(
        st.tuples(
            st.sampled_from("ab"),
            st.sampled_from(["", "1", "2"]),
            st.sampled_from(["T1w", "FLAIR"]),
            st.sampled_from("xyz"),
        )
    )
)
def test_no_image_is_lost_or_taken_twice_when_runs_part(images):
    found = [Found(*image, Path("_".join(image))) for image in sorted(images)]
    parted = part_runs(found)
    assert sorted(image.path for image in parted) == sorted(image.path for image in found)
    places = [(image.subject, image.session, image.sequence) for image in parted]
    assert len(set(places)) == len(places)
    before = {image.path: image for image in found}
    counts = Counter((image.subject, image.session, image.sequence) for image in found)
    repeated = {place[:2] for place, count in counts.items() if count > 1}
    for image in parted:
        visit = (image.subject, before[image.path].session)
        assert (image.session == visit[1]) == (visit not in repeated)


@pytest.mark.shared
def test_the_local_folders(shared_data):
    ixi = read_dataset(shared_data / "ixi-t1")
    assert Counter(case.split for case in ixi) == {"train": 112, "val": 8, "test": 15}
    assert all(case.healthy and set(case.paths) == {"T1w"} and case.lesion is None for case in ixi)
    assert Counter(case.group["site"] for case in ixi).keys() <= {"HH", "Guys", "IOP"}
    assert all(float(case.group.get("age", 20)) > 18 for case in ixi)
    glioma = read_dataset(shared_data / "lgg-flair")
    assert len(glioma) == 80
    assert sum("T1w" in case.paths for case in glioma) == 77
    assert all("FLAIR" in case.paths and case.lesion and case.brain_mask and case.split for case in glioma)
    lesions = {case.subject: case for case in read_dataset(shared_data / "lesions-3d")}
    assert set(lesions["ms-patient26"].paths) == {"T1w", "T2w", "FLAIR"}
    assert lesions["ms-patient26"].brain_mask is None
    assert lesions["msseg-example"].brain_mask.name == "brain.nii.gz"
    assert len(lesions) == 5
    assert all(case.lesion and case.healthy is False for case in lesions.values())
    oasis = read_dataset(shared_data / "oasis-t1")
    assert len(oasis) == 6
    assert all(case.healthy is None for case in oasis)
    files = [path for case in (*ixi, *glioma, *lesions.values(), *oasis) for path in case.paths.values()]
    assert all(path.is_file() for path in files)
    with pytest.raises(InputError, match="several data sets"):
        read_dataset(shared_data)
