"""The report of one scan: a single HTML file that loads nothing from anywhere, with a viewer inside."""

import base64
import json
import os
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from itermask.results.regions import mni_transform, regions_of, tells_sides, template_transform, voxel_ml
from itermask.results.report import charts, embed, pictures, text
from itermask.results.report.theme import theme
from itermask.types import VERDICTS, Finding, Scan

NOTICE = "For research use only; not a medical device and not a diagnosis."
TONES = dict(zip(VERDICTS, ("green", "amber", "red"), strict=True))
OBLIQUE = 3.0  # degrees from which a reader is told that slices are tilted
VIEWS = {"All": 3, "Axial": 0, "Coronal": 1, "Sagittal": 2, "Volume": 4}  # as NiiVue numbers them
LISTED = 30  # regions in the table
LARGEST = 10_000_000  # bytes of a page; the viewer's volumes take what the rest leaves
TEXT = 300_000  # bytes that are kept for all but pictures, charts and the viewer


def write_report(scan: Scan, finding: Finding, path: Path, *, viewer: bool = True) -> None:
    """Write the report of one scan, under a temporary name first, so that no half-written report is ever seen.

    Args:
        scan: the scan on its own grid.
        finding: what was found in it, on the same grid.
        path: the HTML file; its folder must exist, a file of that name is replaced.
        viewer: whether the scan, the error map and the program that shows them are put into the page.

    Raises:
        ValueError: the finding's maps do not have the scan's shape.
        OSError: the file cannot be written.

    Example:
        >>> write_report(scan, finding, folder / "report.html", viewer=False)
        >>> (folder / "report.html").is_file()
        True
    """
    path = Path(path)
    page = render(scan, finding, viewer=viewer)
    unfinished = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        unfinished.write_text(page, encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def render(scan: Scan, finding: Finding, *, viewer: bool = True) -> str:
    """Return the report as HTML; the same scan and finding give the same text.

    Raises:
        ValueError: the finding's maps do not have the scan's shape.

    Example:
        >>> "<!doctype html>" in render(scan, finding, viewer=False).lower()
        True
    """
    planes = _planes(scan, finding)
    shown = {
        "planes": planes,
        "search_charts": _search_charts(finding),
        "score_chart": _svg_uri(charts.score_chart(finding.scores)),
        "profile_chart": _svg_uri(charts.profile_chart(finding.profile)),
    }
    angle = pictures.tilt(finding.affine)
    return _template().render(
        shown,
        theme=Markup(theme()),
        style=Markup(_asset("report.css")),
        notice=NOTICE,
        name=scan.name,
        facts=text.facts(scan, finding),
        tone=TONES.get(finding.verdict, "grey"),
        verdict=finding.verdict[:1].upper() + finding.verdict[1:],
        sentence=text.headline(finding),
        reason="" if finding.headline else text.reason(finding),
        questions=text.question_rows(finding),
        trust=text.trust(finding),
        numbers=text.numbers(finding),
        warnings=finding.warnings,
        regions=_regions(scan, finding),
        viewer=_viewer(scan, finding, planes, LARGEST - TEXT - len(json.dumps(shown))) if viewer else None,
        wanted=viewer and bool(finding.brain.any()),
        marked=bool(finding.anomaly.any()),
        tilt=f"{angle:.0f}" if angle >= OBLIQUE else None,
        scale=_error_scale(finding),
        scores=text.score_rows(finding),
        profile_sentence=text.profile_sentence(finding.profile),
        tables=text.tables(finding),
    )


@cache
def _template() -> Template:
    """Return the page's template."""
    environment = Environment(
        loader=PackageLoader("itermask.results.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


@cache
def _asset(name: str) -> str:
    """Return a file that is put into every page."""
    return files("itermask.results.report").joinpath("assets", name).read_text(encoding="utf-8")


def _viewer(scan: Scan, finding: Finding, planes: list[dict[str, Any]], room: int) -> dict[str, Any] | None:
    """Return what the page holds for its viewer; None if it does not fit.

    Of a stack of thick slices it shows these and no others, as the pictures do.
    """
    program, program_digest = embed.program()
    script = _asset("report.js")
    embedded = embed.embed(scan, finding, room - len(program) - len(script))
    if embedded is None:
        return None
    own = sorted({plane["name"] for plane in planes})
    views = list(VIEWS) if len(own) != 1 else [*own, *(["Volume"] if min(scan.image.shape) > 1 else [])]
    about = embedded.about | {"view": VIEWS[views[0]]}
    return {
        "views": {name: VIEWS[name] for name in views},
        "program": Markup(program),
        "script": Markup(script),
        "digests": [embed.digest(script.encode()), program_digest],
        "volumes": {name: Markup(encoded) for name, encoded in embedded.volumes.items()},
        "about": Markup(json.dumps(about, allow_nan=False).replace("<", "\\u003c")),
        "levels": len(embedded.about["levels"]),
        "start": embedded.about["start"],
        "passes": embedded.about["passes"],
        "refined": finding.revealed is not None and embedded.about["passes"] > 1,
        "factor": embedded.factor,
        "around": embedded.around,
    }


def _regions(scan: Scan, finding: Finding) -> dict[str, Any]:
    """Return the table of the mask's regions."""
    regions, count = regions_of(scan, finding, LISTED)
    left_out = int(finding.anomaly.sum()) - sum(region.voxels for region in regions)
    registered = tells_sides(scan, finding)
    return {
        "rows": text.region_rows(regions),
        "note": text.regions_note(len(regions), count, left_out * voxel_ml(finding.affine), registered),
        "registered": registered,
        "instances": any(region.instance is not None for region in regions),
        "aligned": mni_transform(finding) is not None or template_transform(finding) is not None,
        "named": template_transform(finding) is not None,
    }


def _planes(scan: Scan, finding: Finding) -> list[dict[str, Any]]:
    """Return the planes' pictures as the template shows them."""
    planes = []
    instances = scan.source.instances if scan.source is not None else ()
    if len(instances) != scan.image.shape[2]:
        instances = ()
    for drawn in pictures.draw_planes(scan, finding):
        where = f"{drawn.plane} slices at {', '.join(drawn.positions)}"
        marked = "with the anomaly outlined in red" if finding.anomaly.any() else "without any anomaly"
        rows = (
            ("Scan", "anomaly in red", drawn.scan, f"Scan, {where}, {marked}"),
            ("Reconstruction", "what the model expects", drawn.reconstruction, f"Reconstruction, {where}"),
            ("Error map", "departure from that", drawn.error, f"Error map, {where}; brighter is a larger error"),
        )
        planes.append(
            {
                "name": drawn.plane.capitalize(),
                "slices": text.slices_text(drawn.file_slices, drawn.file_axis, instances),
                "rows": [
                    {
                        "title": title,
                        "note": note,
                        "uri": _uri("image/png", pictures.png(rgb)),
                        "alt": alt,
                        "width": rgb.shape[1],
                        "height": rgb.shape[0],
                    }
                    for title, note, rgb, alt in rows
                ],
            }
        )
    return planes


def _error_scale(finding: Finding) -> dict[str, Any]:
    """Return the error map's colour bar: its colours, its end, and where the threshold lies on it."""
    ceiling = pictures.error_ceiling(finding)
    stops = pictures.colours(np.linspace(0, 1, 13))
    threshold = charts.finite(finding.threshold)
    if threshold is not None and not 0 < threshold <= ceiling:
        threshold = None
    return {
        "gradient": ", ".join(f"rgb({r},{g},{b})" for r, g, b in stops.tolist()),
        "ceiling": charts.number(ceiling),
        "threshold": None if threshold is None else charts.number(threshold),
        "at": None if threshold is None else round(100 * threshold / ceiling, 1),
    }


def _search_charts(finding: Finding) -> list[dict[str, str | None]]:
    """Return charts of how the threshold and the mask were found, as far as the method tells it."""
    search = finding.search
    shown: list[dict[str, str | None]] = []
    if curve := charts.threshold_chart(search):
        alt = "Threshold curve: error threshold against the percent of the brain revealed"
        shown.append({"title": "Threshold curve", "uri": _svg_uri(curve), "alt": alt, "note": text.curve_note(search)})
    if mask := charts.mask_chart(search):
        voxels = [int(count) for count in search["mask_voxels"]]
        first, last = text.thousands(voxels[0]), text.thousands(voxels[-1])
        passes = search.get("passes", len(voxels) - 1)
        after = f"{passes} pass{'' if passes == 1 else 'es'}"
        note = f"The mask settled after {after}, with {last} voxels on the model’s grid."
        if search.get("settled") is False:
            note = f"The mask had not settled when it was stopped after {after}."
        alt = f"Voxels in the mask, from {first} before the first pass to {last}"
        shown.append({"title": "Mask size per pass", "uri": _svg_uri(mask), "alt": alt, "note": note})
    return shown


def _uri(kind: str, content: bytes) -> str:
    """Return a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _svg_uri(svg: str | None) -> str | None:
    """Return an SVG file as a data URI."""
    return None if svg is None else _uri("image/svg+xml", svg.encode())
