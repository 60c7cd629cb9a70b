"""Run the notebooks of the documents: each is one Markdown page, whose outputs and `.ipynb` file this writes.

    python scripts/notebooks.py                          # all of docs/notebooks; a few minutes
    python scripts/notebooks.py docs/notebooks/radiologist.md
    python scripts/notebooks.py --check                  # only: is each .ipynb file made from today's page?

The page is the source. Its Python blocks run in turn, in an empty folder; what a block prints, the value of its last
line and its figures go behind it, between marks, and into the notebook. `PAGE.ipynb` needs nothing but Jupyter.
"""

import argparse
import ast
import base64
import contextlib
import io
import json
import os
import re
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
BLOCK = re.compile(r"^```python\n(?P<source>.*?)^```\n", re.M | re.S)
BEGIN, END = "<!-- output -->", "<!-- end of output -->"
OUTPUT = re.compile(rf"\n{BEGIN}\n.*?{END}\n", re.S)
DPI = 60  # of pictures, so that they stay small
COLOURS = 128


@dataclass
class Output:
    """What a block gave: text that it printed, its last line's value, and its figures as PNG."""

    text: str = ""
    html: str = ""
    value: str = ""
    pictures: list[bytes] = field(default_factory=list)


def parts(page: str) -> list[tuple[str, str]]:
    """Return a page's cells without outputs: ("markdown" or "code", text).

    Args:
        page: its Markdown text.
    """
    found, at, text = [], 0, OUTPUT.sub("", page)
    for block in BLOCK.finditer(text):
        found += [("markdown", text[at : block.start()].strip("\n")), ("code", block["source"].rstrip("\n"))]
        at = block.end()
    return [cell for cell in [*found, ("markdown", text[at:].strip("\n"))] if cell[1]]


def execute(source: str, names: dict[str, Any], name: str) -> Output:
    """Run a block as a notebook does; `names` are kept between blocks."""
    from matplotlib import pyplot

    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    found = Output()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, name, "exec"), names)
        value = eval(compile(ast.Expression(last.value), name, "eval"), names) if last is not None else None
    found.text = printed.getvalue()
    if value is not None:
        found.value = repr(value)
        found.html = value._repr_html_() if hasattr(value, "_repr_html_") else ""
    for number in pyplot.get_fignums():
        found.pictures.append(picture(pyplot.figure(number)))
    pyplot.close("all")
    return found


def picture(figure: Any) -> bytes:
    """Return a figure as a small PNG."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, dpi=DPI, format="png")
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(small, "png", optimize=True)
    return small.getvalue()


def page_with(page: str, outputs: list[Output], stem: str) -> tuple[str, dict[str, bytes]]:
    """Return a page with outputs behind its blocks, and the files of its pictures."""
    given, files = iter(outputs), {}

    def behind(block: re.Match[str]) -> str:
        output, said = next(given), []
        text = (output.text + output.value).strip("\n")
        if text:
            said.append(f"```text\n{text}\n```")
        for data in output.pictures:
            name = f"{stem}-{len(files) + 1}.png"
            files[name] = data
            said.append(f"![figure {len(files)}](pictures/{name})")
        return block[0] + ("\n" + "\n\n".join([BEGIN, *said, END]) + "\n" if said else "")

    return BLOCK.sub(behind, OUTPUT.sub("", page)), files


def notebook(page: str, outputs: list[Output] | None) -> dict[str, Any]:
    """Return a page as a notebook of format 4.5; without outputs if there are none.

    Args:
        page: its Markdown text.
        outputs: of each code cell.
    """
    cells: list[dict[str, Any]] = []
    given = iter(outputs or [])
    for number, (kind, text) in enumerate(parts(page)):
        cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}}
        cell["source"] = text.splitlines(keepends=True)
        if kind == "code":
            output = next(given, Output())
            cell |= {"execution_count": None, "outputs": as_outputs(output)}
        cells.append(cell)
    about = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}


def as_outputs(output: Output) -> list[dict[str, Any]]:
    """Return a block's output as a notebook holds it."""
    found: list[dict[str, Any]] = []
    if output.text:
        found.append({"output_type": "stream", "name": "stdout", "text": output.text.splitlines(keepends=True)})
    if output.value:
        data = {"text/plain": [output.value]} | ({"text/html": [output.html]} if output.html else {})
        found.append({"output_type": "display_data", "metadata": {}, "data": data})
    for one in output.pictures:
        data = {"image/png": [base64.b64encode(one).decode("ascii")], "text/plain": ["<Figure>"]}
        found.append({"output_type": "display_data", "metadata": {}, "data": data})
    return found


def sources(made: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a notebook's cells as `parts` returns a page's."""
    return [(cell["cell_type"], "".join(cell["source"])) for cell in made["cells"]]


def make(path: Path) -> None:
    """Run a page, and write it with its outputs, its pictures and its notebook."""
    import matplotlib

    matplotlib.use("agg")
    page = path.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "__main__"}
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as empty:
        os.chdir(empty)
        try:
            outputs = [execute(text, names, path.name) for kind, text in parts(page) if kind == "code"]
        finally:
            os.chdir(here)
    shown, files = page_with(page, outputs, path.stem)
    pictures = path.parent / "pictures"
    pictures.mkdir(exist_ok=True)
    for old in pictures.glob(f"{path.stem}-*.png"):
        old.unlink()
    for name, data in files.items():
        (pictures / name).write_bytes(data)
    made = json.dumps(notebook(page, outputs), indent=1, ensure_ascii=False) + "\n"
    for file, text in ((path, shown), (path.with_suffix(".ipynb"), made)):
        partial = file.with_name(f".{file.name}.part")
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, file)


def stale(path: Path) -> str:
    """Return what is wrong with a page's notebook; empty if it has the page's cells and an output for it."""
    file = path.with_suffix(".ipynb")
    if not file.is_file():
        return f"{file}: is not there; run python scripts/notebooks.py {path}"
    if sources(json.loads(file.read_text(encoding="utf-8"))) != parts(path.read_text(encoding="utf-8")):
        return f"{file}: is not made from today's page; run python scripts/notebooks.py {path}"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path, nargs="*", help="Markdown pages; else all of docs/notebooks")
    parser.add_argument("--check", action="store_true", help="run nothing; exit code 1 if a notebook is stale")
    chosen = parser.parse_args()
    wrong = []
    for path in [one.resolve() for one in chosen.pages] or sorted(
        page for page in FOLDER.glob("*.md") if page.stem != "index"
    ):
        if chosen.check:
            wrong += [stale(path)] if stale(path) else []
        else:
            make(path)
            print(path.name, flush=True)
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
