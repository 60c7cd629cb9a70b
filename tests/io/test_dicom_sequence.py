"""The guess of a sequence: usual protocols are recognised, contradictions and maps give none."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itermask.io.dicom.sequence import SequenceHeader, guess_sequence, is_localiser
from itermask.io.names import SEQUENCES


def header(description="", kinds=(), tr=None, te=None, ti=None, flip=None, **more):
    return SequenceHeader(description, "", "", kinds, (), "", tr, te, ti, flip, **more)


GR, SE, IR_GR, IR_SE, EPI = ("GR",), ("SE",), ("GR", "IR"), ("SE", "IR"), ("EP", "SE")

# Timings as scanners have them; the name is what was typed there.
PROTOCOLS = [
    ("T1w", header("SAG MPRAGE 220 FOV", IR_GR, 2000, 2.52, 900, 9)),
    ("T1w", header("MP-RAGE", IR_GR, 2300, 2.98, 900, 9)),
    ("T1w", header("Ax BRAVO", ("RM",), 8.2, 3.2, 450, 12)),
    ("T1w", header("sT1W_3D_TFE", GR, 8.1, 3.7, None, 8)),
    ("T1w", header("AX T1 FLAIR", ("RM",), 2200, 24, 860, 110)),
    ("T1w", header("t1_se_tra", SE, 550, 9, None, 90)),
    ("T1w", header("t1_tse_dark-fluid_tra", IR_SE, 2000, 9, 860)),
    ("T1ce", header("t1_mprage_sag_post KM", IR_GR, 2000, 2.5, 900, 9)),
    ("T1ce", header("AX T1 +C", SE, 600, 10)),
    ("T1ce", header("3D T1", IR_GR, 2000, 2.5, 900, 9, agent="Gadovist")),
    ("T1w", header("T1 pre contrast", SE, 600, 10, agent="NONE")),
    ("T1w", header("t1_mprage w/o contrast", IR_GR, 2000, 2.5, 900)),
    ("T2w", header("t2_tse_tra", SE, 5000, 95)),
    ("T2w", header("T2 SPACE", SE, 3200, 402)),
    ("PDw", header("PD TSE", SE, 3000, 15)),
    ("FLAIR", header("t2_tirm_tra_dark-fluid", IR_SE, 9000, 85, 2500)),
    ("FLAIR", header("Sag 3D T2 FLAIR CUBE", ("RM",), 6000, 120, 1850)),
    ("FLAIR", header("FLAIR_longTR", SE, 11000, 125)),  # no inversion time in the header
    ("T2starw", header("t2_fl2d_tra_hemo", GR, 620, 20, None, 20)),
    ("T2starw", header("AX T2* GRE", GR, 700, 15, None, 20)),
    ("DWI", header("ep2d_diff_tracew", EPI, 4000, 90, b_value=1000.0)),
    ("DWI", header("DWI b0", EPI, 4000, 90, b_value=0.0)),
    ("T1w", header("", IR_GR, 2300, 2.98, 900, 9)),  # nameless: timing alone
    ("T1w", header("", GR, 20, 4, None, 20)),
    ("T1w", header("", SE, 500, 12)),
    ("T2w", header("", SE, 4500, 100)),
    ("PDw", header("", SE, 2500, 20)),
    ("FLAIR", header("", IR_SE, 9000, 110, 2400)),
    ("T2starw", header("", GR, 600, 20, None, 20)),
    ("T2w", header("t2 axial")),  # name alone
    ("FLAIR", replace(header(), contrast="FLUID_ATTENUATED")),
    ("FLAIR", replace(header(), protocol="Flair 3D")),
    ("DWI", replace(header("axial", EPI, 4000, 90), pulse_sequence="*ep_b1000#1")),
    (None, header("ADC")),
    (None, replace(header("ep2d_diff_ADC"), image_type=("DERIVED", "PRIMARY", "DIFFUSION", "ADC"))),
    (None, header("TOF_3D_multi-slab", GR, 22, 3.9, None, 18)),
    (None, replace(header("", GR, 22, 3.9, None, 18), angiography=True)),
    (None, header("ep2d_bold_rest", ("EP", "GR"), 2000, 30)),
    (None, header("ep2d_perf", ("EP", "GR"), 1500, 30)),
    (None, header("Mag_SWI_Images", GR, 28, 20)),
    (None, header("t1_mp2rage_INV1", IR_GR, 5000, 3, 700)),
    (None, header("gre_field_mapping", GR, 400, 4.9, None, 60)),
    (None, header("cor stir", IR_SE, 4000, 40, 150)),
    (None, header("", IR_SE, 4000, 40, 150)),
    (None, replace(header("", GR, 22, 3.9), contrast="FLOW_ENCODED")),
    (None, header("T1 T2 mixed")),
    (None, header("brain")),
    (None, header()),
    (None, header("T1 axial", SE, 5000, 100)),  # name and timing contradict each other
    (None, header("t2 axial", IR_GR, 2300, 3, 900)),
]


@pytest.mark.parametrize(("sequence", "made"), PROTOCOLS, ids=lambda each: str(each)[:60])
def test_protocols(sequence, made):
    assert guess_sequence(made).sequence == sequence


def test_the_evidence_names_times_and_description():
    found = guess_sequence(header("MPRAGE", IR_GR, 2300, 2.98, 900, 9))
    assert found.evidence == "TI 900 ms, TR 2300 ms, TE 2.98 ms, description 'MPRAGE'"
    assert "called T1w, but its timing is that of T2w" in guess_sequence(header("T1", SE, 5000, 100)).evidence
    assert guess_sequence(header()).evidence == "neither description nor timing tells"
    assert "contrast agent 'Gd'" in guess_sequence(header("T1", agent="Gd")).evidence
    assert "protocol 'flair'" in guess_sequence(replace(header(), protocol="flair")).evidence


@given(
    st.builds(
        SequenceHeader,
        description=st.text(max_size=30),
        protocol=st.text(max_size=10),
        pulse_sequence=st.text(max_size=10),
        kinds=st.lists(st.sampled_from(["SE", "GR", "IR", "EP", "RM"])).map(tuple),
        image_type=st.lists(st.sampled_from(["ORIGINAL", "M", "ADC"])).map(tuple),
        repetition_time=st.none() | st.floats(0, 20000),
        echo_time=st.none() | st.floats(0, 600),
        inversion_time=st.none() | st.floats(0, 5000),
        flip_angle=st.none() | st.floats(0, 180),
        b_value=st.none() | st.floats(0, 5000),
    )
)
def test_any_header_gives_a_known_sequence_or_none_with_a_reason(made):
    found = guess_sequence(made)
    assert found.sequence is None or found.sequence in SEQUENCES
    assert found.evidence


@pytest.mark.parametrize("name", ["localizer", "Localiser", "AAHead_Scout", "3-Plane Loc SSFSE", "SURVEY", "3pl_loc"])
def test_localisers_are_known_by_their_names(name):
    assert is_localiser(header(name))


@pytest.mark.parametrize("name", ["MPRAGE", "t2_local_shim", "FLAIR block", "t1_block"])
def test_other_names_are_no_localisers(name):
    assert not is_localiser(header(name))
    assert is_localiser(replace(header(name), image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")))
