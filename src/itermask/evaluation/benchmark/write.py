"""Tables and charts to Markdown, HTML and pictures."""

import html
import io
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from itermask.errors import InputError
from itermask.evaluation.benchmark.plan import MethodSpec
from itermask.evaluation.benchmark.results import Results
from itermask.evaluation.benchmark.sections import Curves, Section

NOTICE = "For research use only; not a medical device and not a diagnosis."
COLOURS = ("#2b5c8a", "#b3261e", "#2e7d4f", "#8a5a00", "#6a3d9a", "#52606d", "#00838f", "#ad1457")
STYLES = ("-", "--")  # where there are more lines than colours
PANELS_IN_A_ROW = 4


def setting(results: Results) -> str:
    """Return with what the figures were made."""
    import torch

    methods = []
    for spec in results.plan.methods:
        digests = sorted({row["model"] for row in results.rows if row["method"] == spec.name})
        methods.append(f"{spec.name} ({what_of(spec)}, {', '.join(digests) or 'not run'})")
    failed = sum("problem" in row for row in results.rows)
    text = f"Methods: {'; '.join(methods)}. Seed {results.plan.seed}; {platform.machine()}, torch {torch.__version__}. "
    text += "Means over scans with 95 % bootstrap intervals, drawn by subject, in brackets."
    return text + (f" {failed} runs failed and are left out." if failed else "")


def what_of(spec: MethodSpec) -> str:
    """Return a method's model, or the settings that it has instead of one.

    Example:
        >>> what_of(MethodSpec("IterMask3D", model="t1w-2mm"))
        'model `t1w-2mm`'
    """
    changed = ", ".join(f"{name} {value}" for name, value in (spec.settings or {}).items())
    what = f"model `{spec.model}`" if spec.model else f"not trained, `{spec.config}`"
    return f"{what}, {changed}" if changed else what


def markdown(results: Results, sections: Sequence[Section], level: int = 3, pictures: str = "") -> str:
    """Return the results for a document.

    Args:
        results: for the line that says with what they were made.
        sections: tables and charts.
        level: of the headings.
        pictures: folder of the charts as the document sees it; charts are left out if empty.
    """
    template = _templates().get_template("results.md.j2")
    text = template.render(setting=setting(results), sections=sections, level=level, pictures=pictures)
    return text.removesuffix("\n")  # of the blank line behind the last section


def page(results: Results, sections: Sequence[Section]) -> str:
    """Return the results as one self-contained page."""
    template = _templates().get_template("results.html.j2")
    return template.render(notice=NOTICE, setting=setting(results), sections=sections)


def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("itermask.evaluation.benchmark", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {"marked": _marked, "plain": html.escape, "chart": chart, "picture_name": picture_name}
    return environment


def _marked(text: str) -> str:
    """Return the text with Markdown's bold, italics and code as HTML."""
    text = html.escape(text)
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
    text = re.sub(r"\*(.+?)\*", r"<i>\1</i>", text)
    return re.sub(r"`(.+?)`", r"<code>\1</code>", text)


def picture_name(section: Section) -> str:
    """Return the file name of a section's chart.

    Example:
        >>> picture_name(Section("Severity curves: IXI T1 test"))
        'severity-curves-ixi-t1-test.svg'
    """
    return re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-") + ".svg"


def chart(curves: Curves) -> str:
    """Return small charts side by side as SVG text; the same curves give the same text.

    Example:
        >>> svg = chart(Curves({"ghosting": {"IterMask3D": [(1, 0.6), (5, 0.9)]}}, "severity", "AUROC"))
        >>> svg[:4]
        '<svg'
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    names = list(curves.panels)
    columns = min(PANELS_IN_A_ROW, len(names))
    height = -(-len(names) // columns)
    lines = list(dict.fromkeys(line for panel in curves.panels.values() for line in panel))
    colours = {line: COLOURS[index % len(COLOURS)] for index, line in enumerate(lines)}
    with rc_context({"svg.hashsalt": "itermask", "svg.fonttype": "path", "font.size": 9, "text.parse_math": False}):
        figure = Figure(figsize=(2.6 * columns, 2.1 * height + 0.5), layout="constrained")
        FigureCanvasSVG(figure)
        grid = figure.subplots(height, columns, sharex=True, sharey=True, squeeze=False)
        for index, axes in enumerate(grid.ravel()):
            if index >= len(names):
                axes.set_axis_off()
                continue
            axes.set_title(names[index], fontsize=9)
            if curves.chance == "diagonal":
                axes.plot([0, 1], [0, 1], color="#cbd2d9", linewidth=0.8)
            elif curves.chance is not None:
                axes.axhline(float(curves.chance), color="#cbd2d9", linewidth=0.8)
            for line, points in curves.panels[names[index]].items():
                marker, style = ("o" if curves.markers else None), STYLES[lines.index(line) // len(COLOURS) % 2]
                colour = colours[line]
                axes.plot(*zip(*points, strict=True), style, marker=marker, markersize=3, color=colour, label=line)
            if curves.logarithmic:
                axes.set_xscale("log")
                axes.xaxis.set_major_formatter("{x:g}")
            axes.set_ylim(-0.03, 1.03)
            axes.spines[["top", "right"]].set_visible(False)
            if index >= len(names) - columns:
                axes.set_xlabel(curves.x)
            if index % columns == 0:
                axes.set_ylabel(curves.y)
        shown = {
            line: handle
            for axes in grid.ravel()
            for handle, line in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        if shown:
            figure.legend(shown.values(), shown.keys(), loc="outside upper left", ncols=4, frameon=False, fontsize=9)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]


def write_all(results: Results, sections: Sequence[Section], out: Path) -> None:
    """Write `results.md`, `results.html` and the charts into the benchmark's folder."""
    for section in sections:
        if section.curves:
            _write(out / picture_name(section), chart(section.curves))
    _write(out / "results.md", "# Benchmark\n\n" + markdown(results, sections, 2, "."))
    _write(out / "results.html", page(results, sections))


def insert(results: Results, sections: Sequence[Section], document: Path, name: str) -> None:
    """Put the tables into a document, see `between_marks`; charts go into `pictures/` beside it.

    Raises:
        InputError: the document has no such marks.
    """
    pictures = document.parent / "pictures"
    between_marks(document, name, markdown(results, sections, 4, pictures.name))
    for section in sections:
        if section.curves:
            pictures.mkdir(exist_ok=True)
            _write(pictures / picture_name(section), chart(section.curves))


def between_marks(document: Path, name: str, body: str) -> None:
    r"""Replace what stands in a document between `<!-- benchmark NAME: start -->` and its `end`.

    Raises:
        InputError: the document has no such marks.

    Example:
        >>> page = folder / "page.md"
        >>> _ = page.write_text("<!-- benchmark t1w: start -->\nold\n<!-- benchmark t1w: end -->\n")
        >>> between_marks(page, "t1w", "new")
        >>> "new" in page.read_text(), "old" in page.read_text()
        (True, False)
    """
    start, end = (f"<!-- benchmark {name}: {which} -->" for which in ("start", "end"))
    before, found, rest = (document.read_text() if document.is_file() else "").partition(start)
    _, also, after = rest.partition(end)
    if not (found and also):
        raise InputError(f"{document}: has no lines {start} and {end}; put them where the tables should be")
    _write(document, f"{before}{start}\n{body}\n{end}{after}")


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(text)
    os.replace(partial, path)
