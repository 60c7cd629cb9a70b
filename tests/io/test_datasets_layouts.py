"""Releases as downloaded: subjects, sequences, lesion maps, brain masks, groups, and what is passed over."""

import pytest

from itermask.errors import InputError
from itermask.io.datasets import Case, read_dataset
from itermask.io.datasets.adni import sequence_described


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def by_name(cases):
    return {(case.subject, case.session): case for case in cases}


def names(case):
    return {sequence: path.name for sequence, path in case.paths.items()}


def test_brats_of_all_years(tmp_path):
    touch(
        tmp_path,
        *(
            f"2020/BraTS20_Training_001/BraTS20_Training_001_{what}.nii.gz"
            for what in ("flair", "t1", "t1ce", "t2", "seg")
        ),
        "2020/BraTS20_Training_355/BraTS20_Training_355_flair.nii",
        "2020/BraTS20_Training_355/W39_1998.09.19_Segm.nii",
        "2020/BraTS20_Validation_001/BraTS20_Validation_001_flair.nii",
        "HGG/Brats18_CBICA_AAM_1/Brats18_CBICA_AAM_1_t1.nii.gz",
        *(f"2021/BraTS2021_00000/BraTS2021_00000_{what}.nii.gz" for what in ("t1ce", "seg")),
        *(f"BraTS-GLI-00000-000/BraTS-GLI-00000-000-{what}.nii.gz" for what in ("t1n", "t1c", "t2w", "t2f", "seg")),
        "BraTS-GLI-00000-001/BraTS-GLI-00000-001-t1c.nii.gz",
        "BraTS-PED-00007-000/BraTS-PED-00007-000-t2f.nii.gz",
        "2020/name_mapping.csv",
    )
    cases = by_name(read_dataset(tmp_path))
    assert all(case.healthy is False for case in cases.values())
    assert names(cases["BraTS20_Training_001", ""]) == {
        "FLAIR": "BraTS20_Training_001_flair.nii.gz",
        "T1ce": "BraTS20_Training_001_t1ce.nii.gz",
        "T1w": "BraTS20_Training_001_t1.nii.gz",
        "T2w": "BraTS20_Training_001_t2.nii.gz",
    }
    assert cases["BraTS20_Training_001", ""].lesion.name == "BraTS20_Training_001_seg.nii.gz"
    assert cases["BraTS20_Training_355", ""].lesion.name == "W39_1998.09.19_Segm.nii"
    assert cases["BraTS20_Validation_001", ""].lesion is None
    assert names(cases["Brats18_CBICA_AAM_1", ""]) == {"T1w": "Brats18_CBICA_AAM_1_t1.nii.gz"}
    assert set(cases["BraTS2021_00000", ""].paths) == {"T1ce"}
    first = cases["BraTS-GLI-00000", "000"]
    assert names(first) == {
        "FLAIR": "BraTS-GLI-00000-000-t2f.nii.gz",
        "T1ce": "BraTS-GLI-00000-000-t1c.nii.gz",
        "T1w": "BraTS-GLI-00000-000-t1n.nii.gz",
        "T2w": "BraTS-GLI-00000-000-t2w.nii.gz",
    }
    assert (first.lesion.name, first.group) == ("BraTS-GLI-00000-000-seg.nii.gz", {"cohort": "GLI"})
    assert cases["BraTS-GLI-00000", "001"].lesion is None
    assert cases["BraTS-PED-00007", "000"].group == {"cohort": "PED"}
    assert len(cases) == 8


def test_the_same_image_twice_is_one_line(tmp_path):
    touch(tmp_path, "a/BraTS20_Training_001_t1.nii", "b/BraTS20_Training_001_t1.nii.gz")
    with pytest.raises(InputError, match=r"two files are the T1w of BraTS20_Training_001: .*keep one") as caught:
        read_dataset(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))
    touch(tmp_path / "2023", "BraTS-GLI-00000-000-seg.nii", "BraTS-GLI-00000-000-seg.nii.gz")
    with pytest.raises(InputError, match="the lesion map of BraTS-GLI-00000, session 000"):
        read_dataset(tmp_path / "2023")


@pytest.mark.parametrize(("raw", "flair"), [("", "FLAIR"), ("rawdata/", "flair")])
def test_isles_2022_in_both_of_its_layouts(tmp_path, raw, flair):
    anat, dwi = ("", "") if raw else ("anat/", "dwi/")
    visit = f"{raw}sub-strokecase0001/ses-0001/"
    touch(
        tmp_path,
        f"{visit}{anat}sub-strokecase0001_ses-0001_{flair}.nii.gz",
        f"{visit}{dwi}sub-strokecase0001_ses-0001_dwi.nii.gz",
        f"{visit}{dwi}sub-strokecase0001_ses-0001_adc.nii.gz",
        f"{raw}sub-strokecase0002/ses-0001/{dwi}sub-strokecase0002_ses-0001_dwi.nii.gz",
        "derivatives/sub-strokecase0001/ses-0001/sub-strokecase0001_ses-0001_msk.nii.gz",
    )
    cases = by_name(read_dataset(tmp_path))
    case = cases["sub-strokecase0001", "0001"]
    assert set(case.paths) == {"FLAIR", "DWI", "ADC"}
    assert case.paths["DWI"] == tmp_path / f"{visit}{dwi}sub-strokecase0001_ses-0001_dwi.nii.gz"
    assert case.lesion.name == "sub-strokecase0001_ses-0001_msk.nii.gz"
    assert cases["sub-strokecase0002", "0001"].lesion is None
    assert len(cases) == 2


def test_isles_2015_keeps_its_parts_apart(tmp_path):
    for part in ("SISS2015_Training/1", "SISS2015_Testing/1", "SISS2015_Training/2"):
        for what in ("MR_Flair", "MR_T1", "MR_T2", "MR_DWI", "MR_TTP"):
            touch(tmp_path, f"{part}/VSD.Brain.XX.O.{what}.70614/VSD.Brain.XX.O.{what}.70614.nii")
    touch(tmp_path, "SISS2015_Training/1/VSD.Brain.XX.O.OT.70700/VSD.Brain.XX.O.OT.70700.nii")
    cases = by_name(read_dataset(tmp_path))
    assert {subject for subject, _ in cases} == {"siss-training-1", "siss-testing-1", "siss-training-2"}
    assert all(set(case.paths) == {"FLAIR", "T1w", "T2w", "DWI"} for case in cases.values())
    assert cases["siss-training-1", ""].lesion.name == "VSD.Brain.XX.O.OT.70700.nii"
    assert cases["siss-testing-1", ""].lesion is None
    part = by_name(read_dataset(tmp_path / "SISS2015_Training"))
    assert part == {key: case for key, case in cases.items() if "training" in key[0]}


@pytest.mark.parametrize(
    ("kind", "place", "subject"),
    [
        ("isles", "SISS2015_{}/1/VSD.Brain.XX.O.MR_T1.1.nii", "siss-{}-1"),
        ("msseg", "{}/Center_01/Patient_02/Raw_Data/FLAIR.nii.gz", "{}-Center_01-Patient_02"),
    ],
)
def test_the_part_of_a_release_is_told_by_the_nearest_folder(tmp_path, kind, place, subject):
    root = tmp_path / "training on testing sets"
    touch(root, place.format("Training"), place.format("Testing"))
    assert {case.subject for case in read_dataset(root, kind)} == {
        subject.format("training"),
        subject.format("testing"),
    }


def test_atlas_with_its_sites(tmp_path):
    scan = "Training/R0{0}/sub-r0{0}s001/ses-1/anat/sub-r0{0}s001_ses-1_space-MNI152NLin2009aSym_{1}.nii.gz"
    touch(tmp_path, scan.format("01", "T1w"), scan.format("01", "label-L_desc-T1lesion_mask"), scan.format("27", "T1w"))
    lesion = tmp_path / scan.format("01", "label-L_desc-T1lesion_mask")
    assert read_dataset(tmp_path) == [
        Case("r001s001", "1", {"T1w": tmp_path / scan.format("01", "T1w")}, lesion, None, {"site": "R001"}, False),
        Case("r027s001", "1", {"T1w": tmp_path / scan.format("27", "T1w")}, None, None, {"site": "R027"}, False),
    ]


def test_msseg_takes_preprocessed_before_raw_images(tmp_path):
    for part in ("Training/Center_01/Patient_01", "Training/Center_07/Patient_01", "Testing/Center_01/Patient_01"):
        touch(tmp_path, *(f"{part}/Raw_Data/{what}.nii.gz" for what in ("FLAIR", "T1", "T2", "DP", "GADO")))
        touch(
            tmp_path, *(f"{part}/Masks/{what}.nii.gz" for what in ("Consensus", "Brain_Mask", "ManualSegmentation_1"))
        )
    prepared = "Training/Center_01/Patient_01/Preprocessed_Data"
    touch(tmp_path, f"{prepared}/FLAIR_preprocessed.nii.gz", f"{prepared}/GADO_preprocessed.nii.gz")
    cases = by_name(read_dataset(tmp_path))
    case = cases["training-Center_01-Patient_01", ""]
    assert names(case) == {"FLAIR": "FLAIR_preprocessed.nii.gz", "T1ce": "GADO_preprocessed.nii.gz"}
    assert (case.lesion.name, case.brain_mask.name) == ("Consensus.nii.gz", "Brain_Mask.nii.gz")
    other = cases["training-Center_07-Patient_01", ""]
    assert (set(other.paths), other.group) == ({"FLAIR", "T1w", "T2w", "PDw", "T1ce"}, {"site": "Center_07"})
    assert cases["testing-Center_01-Patient_01", ""].group == {"site": "Center_01"}
    assert len(cases) == 3
    assert {case.subject for case in read_dataset(tmp_path / "Testing")} == {"testing-Center_01-Patient_01"}


def test_open_ms_as_archived(tmp_path):
    for patient in ("patient01", "patient02"):
        touch(
            tmp_path,
            *(f"{patient}/{patient}_{what}.nii.gz" for what in ("FLAIR", "T1W", "T1WKS", "T2W", "consensus_gt")),
        )
        touch(tmp_path, *(f"{patient}/raw/{patient}_{what}.nii.gz" for what in ("FLAIR", "T1W")))
    touch(tmp_path, "patient01/patient01_brainmask.nii.gz")
    cases = by_name(read_dataset(tmp_path))
    case = cases["patient01", ""]
    assert case.paths["T1ce"] == tmp_path / "patient01/patient01_T1WKS.nii.gz"
    assert set(case.paths) == {"FLAIR", "T1w", "T1ce", "T2w"}
    assert (case.lesion.name, case.brain_mask.name) == ("patient01_consensus_gt.nii.gz", "patient01_brainmask.nii.gz")
    assert cases["patient02", ""].brain_mask is None
    assert all("raw" not in path.parts for case in cases.values() for path in case.paths.values())
    assert len(cases) == 2


def test_open_ms_as_copied_with_both_of_its_sets(tmp_path):
    for state in ("coregistered", "coregistered_resampled", "raw"):
        touch(
            tmp_path, *(f"cross_sectional/{state}/patient01/{what}.nii.gz" for what in ("FLAIR", "T1W", "consensus_gt"))
        )
        touch(tmp_path, *(f"longitudinal/{state}/patient01/study{n}_FLAIR.nii.gz" for n in (1, 2)))
    touch(tmp_path, "cross_sectional/raw/patient02/FLAIR.nii.gz", "cross_sectional/raw/patient02/consensus_gt.nii.gz")
    touch(tmp_path, *(f"longitudinal/coregistered/patient01/{what}.nii.gz" for what in ("gt", "brainmask")))
    touch(tmp_path, "cross_sectional/MNI/patient01/FLAIR_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz")
    cases = by_name(read_dataset(tmp_path))
    assert cases["patient01", ""].paths["FLAIR"] == tmp_path / "cross_sectional/coregistered/patient01/FLAIR.nii.gz"
    assert cases["patient01", ""].lesion.parts[-3] == "coregistered"
    assert cases["patient02", ""].lesion.parts[-3] == "raw"
    for study in ("study1", "study2"):
        case = cases["longitudinal-patient01", study]
        assert names(case) == {"FLAIR": f"{study}_FLAIR.nii.gz"}
        assert case.brain_mask == tmp_path / "longitudinal/coregistered/patient01/brainmask.nii.gz"
        assert case.lesion is None
    assert len(cases) == 4


def test_patients_in_folders_without_particular_names_are_plain_folders(tmp_path):
    touch(tmp_path, "patient01/FLAIR.nii.gz", "patient01/lesion.nii.gz", "patient01/brain.nii.gz")
    assert read_dataset(tmp_path) == read_dataset(tmp_path, "folders")


def test_ixi_as_downloaded_and_as_kept_here(tmp_path):
    touch(tmp_path, *(f"IXI-{what}/IXI002-Guys-0828-{what}.nii.gz" for what in ("T1", "T2", "PD", "MRA", "DTI-00")))
    touch(tmp_path, "IXI013-HH-1212_T1w.nii.gz", "IXI013-HH-1212_labels.nii.gz", "IXI013-HH-1212_brain.nii.gz")
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tsplit\tage\tsex\thealthy\nIXI013-HH-1212\tval\t46.71\tM\t\nIXI999-IOP-0001\ttrain\t\t\tno\n"
    )
    first, second = read_dataset(tmp_path)
    assert (first.subject, first.split, first.group, first.healthy) == ("IXI002-Guys-0828", "", {"site": "Guys"}, True)
    assert set(first.paths) == {"T1w", "T2w", "PDw"}
    assert (second.split, second.healthy) == ("val", True)
    assert second.group == {"site": "HH", "age": "46.71", "sex": "M"}
    assert second.brain_mask == tmp_path / "IXI013-HH-1212_brain.nii.gz"


OASIS = "disc1/{0}/PROCESSED/MPRAGE/{1}/{0}_mpr_n4_anon_{2}"


def test_oasis_takes_the_average_before_the_repeats(tmp_path):
    for visit in ("OAS1_0001_MR1", "OAS1_0002_MR1", "OAS1_0002_MR2"):
        touch(tmp_path, *(f"disc1/{visit}/RAW/{visit}_mpr-{n}_anon.{end}" for n in (1, 2) for end in ("img", "hdr")))
    touch(
        tmp_path,
        *(OASIS.format("OAS1_0001_MR1", "SUBJ_111", "sbj_111") + end for end in (".img", ".hdr", "_sag_95.gif")),
    )
    touch(tmp_path, OASIS.format("OAS1_0001_MR1", "T88_111", "111_t88_gfc.img"))
    touch(tmp_path, "disc1/OAS1_0001_MR1/FSL_SEG/OAS1_0001_MR1_mpr_n4_anon_111_t88_masked_gfc_fseg.img")
    cases = by_name(read_dataset(tmp_path))
    assert list(cases) == [
        ("OAS1_0001", "MR1"),
        ("OAS1_0002", "MR1_mpr-1"),
        ("OAS1_0002", "MR1_mpr-2"),
        ("OAS1_0002", "MR2_mpr-1"),
        ("OAS1_0002", "MR2_mpr-2"),
    ]
    assert names(cases["OAS1_0001", "MR1"]) == {"T1w": "OAS1_0001_MR1_mpr_n4_anon_sbj_111.img"}
    assert names(cases["OAS1_0002", "MR2_mpr-1"]) == {"T1w": "OAS1_0002_MR2_mpr-1_anon.img"}


def test_oasis_converted_beside_the_original_and_with_its_table(tmp_path):
    for subject in "1234":
        visit = f"OAS1_000{subject}_MR1"
        touch(tmp_path, *(OASIS.format(visit, "SUBJ_111", "sbj_111") + end for end in (".img", ".hdr", ".nii.gz")))
    (tmp_path / "oasis_cross-sectional.csv").write_text(
        "ID,M/F,Hand,Age,Educ,SES,MMSE,CDR,eTIV,nWBV,ASF,Delay\n"
        "OAS1_0001_MR1,F,R,74,2,3,29,0,1344,0.743,1.306,N/A\n"
        "OAS1_0002_MR1,M,R,73,4,1,20,0.5,1454,0.708,1.207,N/A\n"
        "OAS1_0003_MR1,M,R,21,,,,,1516,0.83,1.157,\n"
    )
    cases = read_dataset(tmp_path)
    assert all(case.paths["T1w"].suffix == ".gz" for case in cases)
    assert [case.healthy for case in cases] == [True, False, None, None]
    assert cases[1].group == {"age": "73", "sex": "M", "cdr": "0.5"}
    assert cases[2].group == {"age": "21", "sex": "M"}
    (tmp_path / "oasis_cross-sectional.csv").write_text("ID,CDR\nOAS1_0001_MR1,mild\n")
    with pytest.raises(InputError, match="line 2: CDR is 'mild'"):
        read_dataset(tmp_path)


ADNI = "ADNI/{0}/{1}/{2}_08_20_30.0/{3}/ADNI_{0}_MR_{1}_br_raw_20060418193713091_1_S13408_{3}.nii"


def test_adni_with_its_table(tmp_path):
    touch(
        tmp_path,
        ADNI.format("002_S_0295", "MP-RAGE", "2006-04-18", "I13722"),
        ADNI.format("002_S_0295", "MPR__GradWarp__B1_Correction__N3__Scaled", "2006-04-18", "I45108"),
        ADNI.format("002_S_0295", "Hippocampal_Mask", "2006-04-18", "I93328"),
        ADNI.format("002_S_0295", "MPRAGE", "2011-06-02", "I238627"),
        ADNI.format("002_S_0295", "Axial_T2-FLAIR", "2011-06-02", "I238628"),
        ADNI.format("137_S_10001", "Accelerated_Sag_IR-FSPGR", "2018-01-02", "I99"),
        "ADNI/137_S_10001/Sagittal_3D_FLAIR/2018-01-02_09_00_00.0/I100/converted_by_a_tool_7.nii.gz",
    )
    (tmp_path / "collection_4_20_2022.csv").write_text(
        '"Image Data ID","Subject","Group","Sex","Age","Visit","Modality"\n'
        '"I13722","002_S_0295","CN","M","85","sc","MRI"\n'
        '"I99","137_S_10001","LMCI","F","70","",""\n'
    )
    cases = by_name(read_dataset(tmp_path))
    assert list(cases) == [
        ("002_S_0295", "2006-04-18_I13722"),
        ("002_S_0295", "2006-04-18_I45108"),
        ("002_S_0295", "2011-06-02"),
        ("137_S_10001", "2018-01-02"),
    ]
    first = cases["002_S_0295", "2006-04-18_I13722"]
    assert (first.healthy, first.group) == (
        True,
        {"site": "002", "group": "CN", "sex": "M", "age": "85", "visit": "sc"},
    )
    assert set(cases["002_S_0295", "2011-06-02"].paths) == {"T1w", "FLAIR"}
    assert cases["002_S_0295", "2011-06-02"].healthy is None
    last = cases["137_S_10001", "2018-01-02"]
    assert (set(last.paths), last.healthy, last.group["site"]) == ({"T1w", "FLAIR"}, False, "137")


def test_adni_files_without_their_folders_go_by_name(tmp_path):
    touch(tmp_path, "AD/ADNI_033_S_1308_MR_MP-RAGE__br_raw_20080228150456528_3_S46343_I93697.nii")
    (case,) = read_dataset(tmp_path)
    assert (case.subject, case.session, set(case.paths)) == ("033_S_1308", "I93697", {"T1w"})


@pytest.mark.parametrize(
    ("description", "sequence"),
    [
        ("MP-RAGE_REPEAT", "T1w"),
        ("MPR-R__GradWarp__N3__Scaled", "T1w"),
        ("MT1__GradWarp__N3m", "T1w"),
        ("Sagittal_3D_FLAIR", "FLAIR"),
        ("Axial_T2-FLAIR", "FLAIR"),
        ("Axial_T2_STAR", "T2starw"),
        ("Axial_T2-Star", "T2starw"),
        ("T2-weighted_trace", "T2w"),
        ("Axial_PD_T2_FSE", None),
        ("Resting_State_fMRI", None),
        ("Axial_DTI", None),
        ("FreeSurfer_Cross-Sectional_Processing_brainmask", None),
        ("B1-calibration_Head", None),
        ("3-plane_localizer", None),
    ],
)
def test_what_a_series_description_tells(description, sequence):
    assert sequence_described(description) == sequence


def test_folders_in_folders_and_a_case_as_root(tmp_path):
    touch(tmp_path, "a/01/t1W.nii", "a/01/brain_mask.nii.gz", "b/01/DWI.nii.gz", "b/01/other.nii.gz", "c/lesion.nii.gz")
    cases = read_dataset(tmp_path)
    assert [case.subject for case in cases] == ["a-01", "b-01"]
    assert set(cases[0].paths) == {"T1w"}
    assert cases[0].brain_mask.name == "brain_mask.nii.gz"
    assert set(cases[1].paths) == {"DWI"}
    assert [case.subject for case in read_dataset(tmp_path / "a" / "01")] == ["01"]


def test_flat_files_with_participants(tmp_path):
    touch(tmp_path, *(f"TCGA_CS_4941_{what}.nii.gz" for what in ("FLAIR", "T1w", "lesion", "brain")))
    touch(tmp_path, "more/TCGA_CS_5393_flair.nii", "more/TCGA_CS_5393_lesion_mask.nii", "x_T1w_labels.nii.gz")
    (tmp_path / "participants.tsv").write_text("participant_id\tsplit\thas_T1w\nTCGA_CS_4941\ttrain\tyes\n")
    first, second = read_dataset(tmp_path)
    assert (first.subject, first.split, first.group) == ("TCGA_CS_4941", "train", {"has_t1w": "yes"})
    assert (first.lesion.name, first.brain_mask.name) == ("TCGA_CS_4941_lesion.nii.gz", "TCGA_CS_4941_brain.nii.gz")
    assert (second.subject, set(second.paths), second.lesion.name) == (
        "TCGA_CS_5393",
        {"FLAIR"},
        "TCGA_CS_5393_lesion_mask.nii",
    )
