"""`itermask bids`: a BIDS App over a whole tree."""

import os
import sys
import tempfile
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from typer.core import TyperCommand

from itermask.cli.cohort_show import (
    check_ahead,
    cohort_bar,
    engine_for,
    finish,
    print_states,
    write_tables,
)
from itermask.cli.console import refusals_as_json
from itermask.cli.options import (
    AlignOption,
    DaskOption,
    DeviceOption,
    DryRunOption,
    GammaOption,
    JSONOption,
    MemoryOption,
    ModelOption,
    N4Option,
    ReferenceByOption,
    ReportsOnlyOption,
    RetryFailedOption,
    SeedOption,
    SensitivityOption,
    ShardOption,
    TimeLimitOption,
    WorkersOption,
    parse_part,
    sequence_option,
    show_version,
)  # fmt: skip
from itermask.errors import InputError

LABELS = ("--participant-label", "--participant_label", "--session-label", "--session-id")


class Level(StrEnum):
    """Levels of a BIDS App."""

    participant = "participant"
    group = "group"


class SpacedLabels(TyperCommand):
    """Takes several labels after one option, as BIDS Apps do: `--participant-label 01 02`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Write the option again before each further label."""
        spread: list[str] = []
        option = ""
        for number, word in enumerate(args):
            if word.startswith("-"):
                option = word if word in LABELS else ""
            elif option and args[number - 1] != option:
                spread.append(option)
            spread.append(word)
        return super().parse_args(ctx, spread)


def bids(
    bids_dir: Annotated[Path, typer.Argument(help="BIDS tree of the scans.")],
    out: Annotated[Path, typer.Argument(help="Folder of the derivatives; an interrupted run there is continued.")],
    levels: Annotated[
        Optional[list[Level]], typer.Argument(help="participant: process scans; group: tables and pages. Both if none.")
    ] = None,
    participant_label: Annotated[
        Optional[list[str]],
        typer.Option(
            "--participant-label", "--participant_label", help="Only these participants, with or without sub-."
        ),
    ] = None,
    session_label: Annotated[
        Optional[list[str]],
        typer.Option("--session-label", "--session-id", help="Only these sessions, with or without ses-."),
    ] = None,
    bids_filter_file: Annotated[
        Optional[Path], typer.Option(help='JSON file of conditions, such as {"t1w": {"acquisition": "mprage"}}.')
    ] = None,
    skip_bids_validation: Annotated[
        bool, typer.Option("--skip-bids-validation", help="Do not check that the tree is valid BIDS.")
    ] = False,
    sequence: Annotated[
        Optional[list[str]], sequence_option("Sequence to process, e.g. T1w; else those that the models know.")
    ] = None,
    model: ModelOption = None,
    brain_masks: Annotated[
        Optional[Path], typer.Option(help="Derivative with desc-brain_mask files; default: the brain is found.")
    ] = None,
    sensitivity: SensitivityOption = None,
    gamma: GammaOption = None,
    seed: SeedOption = 0,
    n4: N4Option = False,
    align: AlignOption = False,
    device: DeviceOption = "cpu",
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    time_limit: TimeLimitOption = 120.0,
    shard: ShardOption = "1/1",
    dask: DaskOption = None,
    retry_failed: RetryFailedOption = False,
    reference_by: ReferenceByOption = None,
    reports_only: ReportsOnlyOption = False,
    dry_run: DryRunOption = False,
    as_json: JSONOption = False,
    work_dir: Annotated[
        Optional[Path],
        typer.Option("--work-dir", "-w", help="Folder for temporary files; results under way stay beside the others."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Process all scans of a BIDS tree: derivatives, reports, tables. Exit code 1 if any could not be processed."""
    from itermask.apps.cohort.bids import Selection, find_jobs, keeps, participants, read_filters, sequences_wanted
    from itermask.apps.cohort.derivative import describe_derivative, validate
    from itermask.apps.cohort.job import Plan
    from itermask.apps.cohort.manifest import known_jobs, read_records
    from itermask.apps.cohort.own import check_results
    from itermask.apps.cohort.relative import parse_keys
    from itermask.apps.cohort.run import run_cohort, shard_of
    from itermask.io.names import canonical_sequence
    from itermask.io.result_folder import check_writable
    from itermask.pipeline import RunSettings

    with refusals_as_json(as_json):
        part = parse_part(shard, "--shard")
        if work_dir is not None:
            use_work_dir(work_dir)
        by = parse_keys(reference_by)
        wanted = levels or ([Level.participant, Level.group] if part == (1, 1) else [Level.participant])
        group_alone = wanted == [Level.group]
        if not bids_dir.is_dir() and not group_alone:
            raise InputError(f"{bids_dir}: no such folder; give the BIDS tree of the scans")
        if out.resolve() == bids_dir.resolve():
            raise InputError(
                f"{out}: is the tree of the scans; choose another folder, such as {out}/derivatives/itermask"
            )
        check_writable(out)
        if not skip_bids_validation and Level.participant in wanted:
            validate(bids_dir)
        settings = RunSettings(gamma=gamma, sensitivity=sensitivity, seed=seed, n4=n4, align=align)
        plan = Plan(out, "bids", settings, model, device, reports_only)
        chosen = Selection(
            sequences=tuple(map(canonical_sequence, sequence or ())),
            participants=tuple(participant_label or ()),
            sessions=tuple(session_label or ()),
            filters=read_filters(bids_filter_file) if bids_filter_file else {},
        )
        selection = replace(chosen, sequences=sequences_wanted(sequence or (), model))
        try:
            jobs = find_jobs(bids_dir, selection, brain_masks, out)
        except InputError:
            if not group_alone:
                raise
            jobs = known_jobs(out)  # the tree's scans are not there
        check_results(jobs, plan, [bids_filter_file])
        if dry_run:
            print_states(shard_of(jobs, part), plan, retry_failed, as_json)
            return
        tally = tables = None
        if Level.participant in wanted:
            engine = engine_for(dask, workers, memory, time_limit, part)
            check_ahead(plan)
            describe_derivative(bids_dir, out)
            with cohort_bar(bids_dir.resolve().name) as bar:
                tally = run_cohort(jobs, plan, part, engine, retry_failed, bar)
        if Level.group in wanted:
            try:
                people = participants(bids_dir)
            except InputError as error:
                print(f"itermask: {error}; ages and sexes are left out", file=sys.stderr)
                people = {}
            keep = keeps(chosen, read_records(out))
            tables = write_tables(jobs, out, "bids", lambda record: people.get(record.subject, {}), by, keep)
        finish(shard_of(jobs, part), out, tally, tables, as_json)


def use_work_dir(folder: Path) -> None:
    """Let this process, and those that it starts, put temporary files into a folder; it is made if needed.

    Raises:
        InputError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"--work-dir {folder}: cannot be written to ({error.strerror}); choose another") from error
    os.environ["TMPDIR"] = str(folder.resolve())
    tempfile.tempdir = None  # asked for anew
