"""Plain lines where there is no terminal: few, one a stage at least, with the time left."""

import io

from itermask.cli.progress import StageLines, bar_or_lines


def lines_of(calls, every=30.0):
    """What is written for calls of (time, stage, share)."""
    now = [0.0]
    stream = io.StringIO()
    lines = StageLines("model", stream, every, lambda: now[0])
    for when, stage, share in calls:
        now[0] = when
        lines(stage, share)
    return stream.getvalue().splitlines()


def test_a_stage_has_a_line_when_it_begins_one_when_it_ends_and_none_twice():
    said = lines_of([(0, "preparing scans", 0.5), (1, "preparing scans", 1.0), (2, "preparing scans", 1.0)])
    assert said == ["model: preparing scans: 50 %", "model: preparing scans: done in 0 min"]


def test_between_them_there_is_a_line_every_so_often_with_the_time_left():
    calls = [(second, f"training, loss {second:.3f}", (second + 1) / 1001) for second in range(1000)]
    said = lines_of(calls)
    assert len(said) == 34
    assert said[0] == "model: training, loss 0.000: 0 %"
    assert said[10] == "model: training, loss 300.000: 30 %, about 12 min left"


def test_a_stage_that_comes_again_is_told_again():
    said = lines_of([(0, "a", 1.0), (1, "b, x", 0.1), (2, "a", 0.2)])
    assert [line.split(":")[1] for line in said] == [" a", " b, x", " a"]


def test_where_standard_error_is_no_terminal_lines_are_written(capsys):
    with bar_or_lines("model") as bar:
        bar("preparing scans", 1.0)
    captured = capsys.readouterr()
    assert captured.err == "model: preparing scans: done in 0 min\n"
    assert captured.out == ""
