"""Rules: the first that fits decides, what a header does not say never fits; the dry run says what would be done."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_dicom import save, slices

from itermask.apps.node.config import Look, NodeConfig, read_config
from itermask.apps.node.explain import OWN, explain
from itermask.apps.node.rules import Decision, Facts, Rule, decide
from itermask.apps.node.work import Task, process_series
from itermask.errors import InputError

SENDER = '[[sender]]\ntitle = "MR"\naddresses = ["10.0.0.5"]\n'
ADULT = Facts("BRAIN", "SAG MPRAGE", "T1w", 40.0, (256, 192))


@pytest.mark.parametrize(
    ("asks", "fits"),
    [
        ({"body_part": ("brain",)}, True),
        ({"body_part": ("spine", "knee")}, False),
        ({"description": ("localizer", "mprage")}, True),
        ({"sequence": ("FLAIR", "t1W")}, True),
        ({"sequence": ("T2w",)}, False),
        ({"age": (18, 40)}, False),
        ({"age": (40, 41)}, True),
        ({"matrix": (192, 256)}, True),
        ({"matrix": (193, 256)}, False),
        ({"matrix": (0, 255)}, False),
        ({"sequence": ("T1w",), "age": (0, 18)}, False),
    ],
)
def test_a_rule_fits_if_all_that_it_asks_for_does(asks, fits):
    assert Rule(False, **asks).fits(ADULT) is fits
    assert not Rule(False, **asks).fits(Facts(matrix=(0, 0))) or asks.get("matrix") == (0, 255)


facts = st.builds(Facts, st.sampled_from(["", "BRAIN", "KNEE"]), age=st.none() | st.floats(0, 90))
rules = st.lists(
    st.builds(Rule, st.booleans(), age=st.just((0, 18)))
    | st.builds(Rule, st.booleans(), body_part=st.sampled_from([("BRAIN",), ("KNEE",)])),
    max_size=4,
)


@given(rules, facts)
def test_the_first_that_fits_decides(rules, facts):
    decision = decide(rules, facts)
    fitting = [place for place, rule in enumerate(rules, 1) if rule.fits(facts)]
    assert decision.rule == (fitting[0] if fitting else 0)
    assert decision.process is (rules[fitting[0] - 1].process if fitting else True)
    assert decide(rules[: decision.rule], facts) == decision if fitting else decision == Decision(True)


def test_rules_are_read_from_the_file(tmp_path):
    (tmp_path / "node.toml").write_text(
        SENDER
        + '[[rule]]\nname = "children"\nprocess = false\nage = [0, 18]\n[[rule]]\nprocess = true\nsequence = ["T1w"]\n'
    )
    assert read_config(tmp_path / "node.toml").rules == (
        Rule(False, "children", age=(0, 18)),
        Rule(True, sequence=("T1w",)),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("process = false\n", "a rule must ask for something"),
        ("process = false\nage = [18]\n", "age must be two numbers, the smaller first"),
        ("process = false\nage = [18, 2]\n", "age must be two numbers"),
        ('process = false\ndescription = [""]\n', "a part of a text must not be empty"),
        ('sequence = ["T1w"]\n', "process"),
        ('process = false\nbody = ["HEAD"]\n', "unknown setting body"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(tmp_path, text, says):
    (tmp_path / "node.toml").write_text(f"{SENDER}[[rule]]\n{text}")
    with pytest.raises(InputError, match=says) as caught:
        read_config(tmp_path / "node.toml")
    assert "[[rules]]" not in str(caught.value)


@pytest.fixture
def study(tmp_path):
    said = {"PatientAge": "040Y", "BodyPartExamined": "BRAIN"}
    save(tmp_path / "a", slices(series=1, SeriesDescription="3-plane localizer", **said))
    save(tmp_path / "b", slices(series=2, SeriesDescription="MPRAGE sag", **said))
    save(tmp_path / "c", slices(series=3, SeriesDescription="MPRAGE quick", **said))
    save(tmp_path / "d", slices(series=4, SeriesDescription="FLAIR ax", **(said | {"PatientAge": "007Y"})))
    return tmp_path


RULES = (Rule(False, "surveys", description=("quick",)), Rule(True, "all brains", body_part=("brain",), age=(18, 120)),
         Rule(False, age=(0, 18)))  # fmt: skip


def test_the_dry_run_says_what_decides(study):
    found = {each.label: each for each in explain(study, NodeConfig(Path("node"), rules=RULES))}
    assert [found[label].process for label in "1234"] == [False, True, False, False]
    assert (found["1"].by, found["1"].why) == (OWN, "a localiser")
    assert found["2"].by == "rule 2 (all brains)"
    assert found["2"].why.startswith("T1w, with the model ")
    assert found["3"].by == "rule 1 (surveys)"
    assert found["4"].by == "rule 3 (age 0 to 18)"
    assert all(each.study == "A1" for each in found.values())
    plain = explain(study, NodeConfig(Path("node"), look=Look(sequences={"quick": "PDw"})))
    assert plain[1].by == "no rule fits"
    assert not plain[2].process
    assert "[look.models]" in plain[2].why


@pytest.mark.parametrize("part", "cd")
def test_what_the_rules_leave_out_is_not_looked_at_and_nobody_minds(study, part):
    task = Task(study / part, study / "out", "series", (), Look(), RULES)
    said = process_series(task, lambda content: None)
    (told,) = explain(study / part, NodeConfig(Path("node"), rules=RULES))
    assert said["alert"] is False
    assert said["reason"].startswith(f"{told.by} says")
    assert not (study / "out").exists()


def test_the_command(command, study):
    config = study.parent / "node.toml"
    config.write_text(SENDER + '[[rule]]\nname = "surveys"\nprocess = false\ndescription = ["quick"]\n')
    code, out, _ = command("listen", config, "--explain", study)
    assert code == 0
    for text in ("localiser", "rule 1 (surveys)", "no rule fits"):
        assert text in " ".join(out.split())
    assert not (study.parent / "node").exists(), "nothing is kept"
    (study / "empty").mkdir()
    code, _, err = command("listen", config, "--explain", study / "empty")
    assert code == 2
    assert "MR series" in err
