"""`itermask benchmark`: methods × data × protocols from a settings file, to tables."""

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from itermask.cli.options import DeviceOption, parse_part
from itermask.cli.show import progress_bar
from itermask.errors import InputError


def benchmark(
    config: Annotated[Path, typer.Argument(help="TOML file: methods, data and protocols; see docs/benchmark.md.")],
    out: Annotated[Path, typer.Option(help="Folder of the results; an interrupted benchmark there is continued.")],
    device: DeviceOption = "auto",
    part: Annotated[
        str, typer.Option(help="k/n: only every n-th scan from the k-th, for processes side by side.")
    ] = "1/1",
    only: Annotated[
        Optional[list[str]], typer.Option(help="Only this method of the settings file; can be given several times.")
    ] = None,
    insert: Annotated[Optional[Path], typer.Option(help="Markdown file to put the tables into, between marks.")] = None,
    mark: Annotated[Optional[str], typer.Option(help="Name in those marks; default: the settings file's name.")] = None,
) -> None:
    """Compare methods on your data. Exit code 1 if some scans could not be processed."""
    from itermask.evaluation.benchmark.plan import only_methods, read_plan
    from itermask.evaluation.benchmark.processing import process_all, subjects_of
    from itermask.evaluation.benchmark.results import Results
    from itermask.evaluation.benchmark.tables import sections_of
    from itermask.evaluation.benchmark.write import insert as insert_into
    from itermask.evaluation.benchmark.write import write_all

    chosen = parse_part(part, "--part")
    plan = only_methods(read_plan(config), only or [], config)
    _check_out(out, config, insert)
    with progress_bar(config.stem) as bar:
        rows = process_all(plan, out, chosen, device, bar)
    results = Results(plan, subjects_of(plan), rows, out)
    sections = sections_of(results)
    write_all(results, sections, out)
    if insert is not None:
        insert_into(results, sections, insert, mark or config.stem)
    problems = [row for row in rows if "problem" in row]
    for row in problems:
        print(f"itermask: {row['method']}, {row['data']}, {row['condition']}: {row['problem']}", file=sys.stderr)
    print(f"{len(rows) - len(problems)} runs, {len(problems)} failed; {out / 'results.html'}")
    if problems:
        raise typer.Exit(1)


def _check_out(out: Path, *inputs: Path | None) -> None:
    """Refuse a folder whose files would be replaced: the settings themselves, or tables that are of no benchmark."""
    from itermask.io.result_folder import check_inputs, check_writable

    check_writable(out)
    written = [out / "results.md", out / "results.html"]
    check_inputs(written, inputs)
    for path in written:
        if path.exists() and not any(out.glob("scans*.jsonl")):
            raise InputError(f"{path}: was not written by itermask, and would be replaced; choose another folder")
