"""Which sequence a series is of, guessed from its header; the guess comes with its evidence as text.

Two things speak: the description that somebody typed at the scanner, and the timing. Where they contradict each
other, nothing is guessed. Limits of the timing are those of usual brain protocols at 1.5 and 3 tesla.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

SPELT = r"(?<![a-z])[sedvi]?{}"  # Philips puts a letter before it: sT1W, eT2W
FLAIR = re.compile(r"flair|dark[ _-]?fl")
T1 = re.compile(SPELT.format(r"t1(?!\d)") + r"|mp-?rage|bravo|spgr|(?<![a-z])vibe")
T2 = re.compile(SPELT.format(r"t2(?!\d)"))
T2_STAR = re.compile(r"t2[ _-]?(\*|star)|hemo(?![a-z])")
PD = re.compile(r"(?<![a-z])[sedvi]?pdw?(?![a-z])|proton[ _-]?dens")
DIFFUSION = re.compile(r"dwi|diff(?!er)|(?<![a-z])dti|tracew?(?![a-z])")
ENHANCED = re.compile(r"(?<![a-z])(gd|gad[a-z]*|ce|km|post|mdc)(?![a-z])|\+ ?(c|gd|km)(?![a-z])|with contrast")
PLAIN = re.compile(r"(?<![a-z])(w/o|wo|without|ohne|pre|no)[ _-]*(contrast|gd|gad[a-z]*|km|c)?(?![a-z])")
OTHER = {
    r"(?<![a-z])(e?adc|fa)(?![a-z0-9])|t[12]\*?[ _-]?map|mapit|r2[ _-]?map": "a computed map",
    r"mp2rage": "MP2RAGE",
    r"bold|fmri|rest(ing)?[ _-]?state": "functional imaging",
    r"perf(?!ect)|(?<![a-z])(p?casl|asl|dsc|dce)(?![a-z])": "perfusion",
    r"(?<![a-z])(tof|mra|mrv|cemra)(?![a-z])|angio": "angiography",
    r"(?<![a-z])(swip?|qsm|swan)(?![a-z])|venobold": "susceptibility weighting",
    r"(?<![a-z])(mip|minip)(?![a-z])": "a projection",
    r"(?<![a-z])(svs|csi|mrs)(?![a-z])": "spectroscopy",
    r"(?<![a-z])stir(?![a-z])": "STIR",
    r"ciss(?![a-z])|fiesta|b-?tfe(?![a-z])|trufi": "balanced steady state",
    r"field[ _-]?map|b[01][ _-]?map|gre_field": "a field map",
}
LOCALISER = re.compile(
    r"locali[sz]er|(?<![a-z])loc(?![a-z])|scout|survey|(3|three|tri)[ _-]?pl(ane)?(?![a-z])|plan[ _-]?scan|smartbrain"
)
MAPS = {"ADC", "FA", "EADC", "T1 MAP", "T2 MAP", "T2_STAR MAP", "PHASE MAP", "B0", "CBF", "CBV", "MTT", "TTP", "QSM"}
BY_CONTRAST = {
    "T1": "T1w",
    "T2": "T2w",
    "FLUID_ATTENUATED": "FLAIR",
    "PROTON_DENSITY": "PDw",
    "T2_STAR": "T2starw",
    "DIFFUSION": "DWI",
}


@dataclass(frozen=True)
class SequenceHeader:
    """What a header tells of how an image was made; None or empty where it tells nothing.

    Attributes:
        description: of the series, as typed at the scanner.
        protocol: name of the protocol.
        pulse_sequence: the vendor's name, such as `*tfl3d1_16ns`.
        kinds: `SE` spin echo, `GR` gradient echo, `IR` inversion recovery, `EP` echo planar, …
        image_type: values of ImageType or FrameType.
        contrast: AcquisitionContrast of enhanced images, such as `FLUID_ATTENUATED`.
        repetition_time: ms.
        echo_time: ms.
        inversion_time: ms.
        flip_angle: degrees.
        b_value: s/mm².
        agent: contrast agent.
        angiography: whether the header says so.
    """

    description: str = ""
    protocol: str = ""
    pulse_sequence: str = ""
    kinds: tuple[str, ...] = ()
    image_type: tuple[str, ...] = ()
    contrast: str = ""
    repetition_time: float | None = None
    echo_time: float | None = None
    inversion_time: float | None = None
    flip_angle: float | None = None
    b_value: float | None = None
    agent: str = ""
    angiography: bool = False


@dataclass(frozen=True)
class Guess:
    """A sequence's BIDS suffix (`T1w`, `FLAIR`, …), or None if nothing can be said; and the reasons as text."""

    sequence: str | None
    evidence: str


def guess_sequence(header: SequenceHeader) -> Guess:
    """Return the sequence that a header speaks for.

    Args:
        header: what is known.

    Returns:
        the guess. Its sequence is None where neither description nor timing tells, where they contradict each
        other, and for what is no plain image of anatomy (maps, perfusion, vessels, …).

    Example:
        >>> guess_sequence(SequenceHeader(description="SAG MPRAGE", inversion_time=900.0)).sequence
        'T1w'
    """
    facts = _facts(header)
    other = _something_else(header)
    if other:
        return Guess(None, _joined([other, *facts]))
    said, timed = _by_text(header), _by_timing(header)
    if said is None and timed is None:
        return Guess(None, _joined(["neither description nor timing tells", *facts]))
    if said is not None and timed is not None and not _agree(said, timed, header):
        return Guess(None, _joined([f"it is called {said}, but its timing is that of {timed}", *facts]))
    sequence = "DWI" if timed == "DWI" else said or timed
    if sequence == "T1w" and _with_agent(header):
        sequence = "T1ce"
    return Guess(sequence, _joined(facts))


def is_localiser(header: SequenceHeader) -> bool:
    """Return whether images only served to plan others, by image type or by name.

    Example:
        >>> is_localiser(SequenceHeader(description="3-plane localizer"))
        True
    """
    return "LOCALIZER" in header.image_type or bool(LOCALISER.search(_text(header)))


def _text(header: SequenceHeader) -> str:
    """Return the description, or if there is none the protocol's name, in small letters."""
    return (header.description or header.protocol).lower()


def _something_else(header: SequenceHeader) -> str:
    """Return what images are that are of none of the known sequences, as text; empty otherwise."""
    named = MAPS.intersection(header.image_type)
    if named:
        return f"image type {min(named)}"
    if header.angiography:
        return "marked as angiography"
    for pattern, what in OTHER.items():
        if re.search(pattern, _text(header)):
            return f"its name speaks of {what}"
    if header.contrast not in {"", "UNKNOWN", *BY_CONTRAST}:
        return f"acquisition contrast {header.contrast}"
    return ""


def _by_text(header: SequenceHeader) -> str | None:
    """Return the sequence that the description names, or else the acquisition contrast of enhanced images."""
    text = _text(header)
    if (header.b_value or 0) > 0 or DIFFUSION.search(text) or "DIFFUSION" in header.image_type:
        return "DWI"
    t1, t2, pd = T1.search(text), T2.search(text), PD.search(text)
    if T2_STAR.search(text):
        return "T2starw"
    if FLAIR.search(text) and not t1:
        return "FLAIR"
    named = [name for name, found in (("T1w", t1), ("T2w", t2), ("PDw", pd)) if found]
    if len(named) == 1:
        return named[0]
    return BY_CONTRAST.get(header.contrast)


def _by_timing(header: SequenceHeader) -> str | None:
    """Return the sequence that echo, repetition and inversion time speak for."""
    echo, repetition, inversion = header.echo_time, header.repetition_time, header.inversion_time or 0.0
    if header.pulse_sequence.lower().startswith(("*ep_b", "ep_b")):
        return "DWI"
    if not echo or not repetition or "EP" in header.kinds:
        return None
    if "GR" in header.kinds and "SE" not in header.kinds:
        return _gradient_echo(echo, repetition, inversion, header.flip_angle)
    if inversion >= 1500:
        return "FLAIR" if echo >= 60 else None
    if inversion > 0:
        return "T1w" if inversion >= 400 and echo <= 30 else None
    if repetition < 1500:
        return "T1w" if echo <= 30 and repetition <= 1200 else None
    return "T2w" if echo >= 60 else "PDw" if echo <= 45 else None


def _gradient_echo(echo: float, repetition: float, inversion: float, flip: float | None) -> str | None:
    """Return the same for gradient echoes."""
    if echo >= 12:
        return "T2starw" if inversion == 0 else None
    if inversion > 0:
        return "T1w" if 400 <= inversion <= 1500 else None
    least = 5 if repetition <= 60 else 40  # a weaker pulse gives proton density
    return "T1w" if repetition <= 700 and (flip is None or flip >= least) else None


def _agree(said: str, timed: str, header: SequenceHeader) -> bool:
    """Return whether a name and a timing can be of one sequence."""
    if said == timed or "DWI" in (said, timed):
        return True
    # Some scanners do not state the inversion time; then a FLAIR looks like a T2w scan.
    return said == "FLAIR" and timed == "T2w" and header.inversion_time is None


def _with_agent(header: SequenceHeader) -> bool:
    """Return whether a contrast agent was given."""
    text = _text(header)
    plain = PLAIN.search(text)
    agent = header.agent.strip().lower() not in {"", "no", "none", "n", "0", "without"}
    return not plain and (agent or bool(ENHANCED.search(text)))


def _facts(header: SequenceHeader) -> list[str]:
    """Return the header's values as text."""
    times = (
        ("b", header.b_value, "s/mm²"),
        ("TI", header.inversion_time, "ms"),
        ("TR", header.repetition_time, "ms"),
        ("TE", header.echo_time, "ms"),
    )
    facts = [f"{name} {value:g} {unit}" for name, value, unit in times if value]
    if header.agent:
        facts.append(f"contrast agent '{header.agent}'")
    if header.description:
        facts.append(f"description '{header.description}'")
    elif header.protocol:
        facts.append(f"protocol '{header.protocol}'")
    return facts


def _joined(parts: Iterable[str]) -> str:
    return ", ".join(parts)
