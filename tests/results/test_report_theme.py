"""The colours that all pages share: readable in light and in dark, and never dark on paper."""

import re

import pytest

from itermask.results.report.theme import theme

LIGHT, DARK = theme().split("@media screen and (prefers-color-scheme: dark)")


def luminance(colour):
    """Relative luminance of `#rrggbb`, as WCAG 2.2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("style", [LIGHT, DARK])
def test_texts_stand_out(style):
    """At least 4.5 to 1 for texts, 3 to 1 for edges of controls (WCAG 2.2, 1.4.3 and 1.4.11)."""
    named = dict(re.findall(r"--(\w+): (#\w{6})", style.partition("}")[0]))
    tones = re.findall(r"--tone: (#\w{6}); --tint: (#\w{6})", re.sub(r"\s+", " ", style))
    assert len(tones) == 5
    for tone, tint in tones:
        assert min(contrast(tone, tint), contrast(tone, named["paper"])) >= 4.5
        assert min(contrast(named["ink"], tint), contrast(named["quiet"], tint)) >= 4.5
        assert contrast(named["on"], tone) >= 4.5, "words on an alarm"
    for text in ("ink", "quiet", "link"):
        assert min(contrast(named[text], named["paper"]), contrast(named[text], named["ground"])) >= 4.5
    assert contrast(named["on"], named["chosen"]) >= 4.5
    assert min(contrast(named["edge"], named["paper"]), contrast(named["focus"], named["paper"])) >= 3


def test_dark_has_every_colour_that_light_has():
    named = [set(re.findall(r"--(\w+):", style.partition("}")[0])) for style in (LIGHT, DARK)]
    assert named[0] == named[1]
    tones = [re.findall(r"^\s*\.(\w+) {", style, re.M) for style in (LIGHT, DARK)]
    assert tones[0] == tones[1][:4] == ["green", "amber", "red", "failed"]
