"""`itermask cohort`: a folder, a table or a list of scans, unattended."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from itermask.cli.cohort_show import (
    check_ahead,
    cohort_bar,
    engine_for,
    finish,
    parse_shard,
    print_states,
    write_tables,
)


def cohort(
    data: Annotated[list[Path], typer.Argument(help="Folders, tables (.tsv, .csv with path or T1w, …), NIfTI files.")],
    out: Annotated[Path, typer.Option(help="Folder of the results; an interrupted run there is continued.")],
    sequence: Annotated[
        Optional[str], typer.Option(help="Sequence, e.g. T1w; else told by names and sidecars, as far as models know.")
    ] = None,
    model: Annotated[Optional[str], typer.Option(help="Model folder or bundled name; else chosen by the scan.")] = None,
    sensitivity: Annotated[
        Optional[float], typer.Option(help="Divides the model's operating point: 2 flags more, 0.5 less.")
    ] = None,
    gamma: Annotated[Optional[float], typer.Option(help="Stop slope in place of the model's.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the noise fill.")] = 0,
    n4: Annotated[bool, typer.Option("--n4", help="Take out slow brightness changes first (N4).")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps or auto.")] = "cpu",
    workers: Annotated[
        Optional[int], typer.Option(help="Processes, 0 for none but this; else by cores and memory.")
    ] = None,
    memory: Annotated[Optional[float], typer.Option(help="GiB to share among workers; else what is free.")] = None,
    time_limit: Annotated[float, typer.Option(help="Minutes after which a scan is given up.")] = 120.0,
    shard: Annotated[str, typer.Option(help="i/n: only every n-th scan from the i-th, for job arrays.")] = "1/1",
    dask: Annotated[Optional[str], typer.Option(help="Scheduler of a Dask cluster, e.g. tcp://node1:8786.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try scans again that failed before.")] = False,
    reports_only: Annotated[
        bool, typer.Option("--reports-only", help="Draw the reports of finished scans again, nothing else.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be done.")] = False,
) -> None:
    """Look at many scans: a folder each, a table and a page of all. Exit code 1 if any could not be looked at.

    With --shard no table is written; the same command without it writes the table when all shards are done.
    """
    from itermask.cohort.bids import sequences_wanted
    from itermask.cohort.job import Plan
    from itermask.cohort.lists import age_and_sex, list_jobs
    from itermask.cohort.run import run_cohort
    from itermask.io.outputs import check_out
    from itermask.pipeline import RunSettings

    part = parse_shard(shard)
    check_out(out)
    settings = RunSettings(gamma=gamma, sensitivity=sensitivity, seed=seed, n4=n4)
    plan = Plan(out, "folders", settings, model, device, reports_only)
    wanted = sequences_wanted([sequence] if sequence else [], model)
    jobs, about = list_jobs(data, wanted, out, sequence)
    if dry_run:
        print_states(jobs[part[0] - 1 :: part[1]], plan, retry_failed)
        return
    engine = engine_for(dask, workers, memory, time_limit, part)
    check_ahead(plan)
    with cohort_bar(out.name) as bar:
        tally = run_cohort(jobs, plan, part, engine, retry_failed, bar)
    if part == (1, 1):
        people = {name: age_and_sex(groups) for name, groups in about.items()}
        write_tables(jobs, out, "folders", lambda record: people.get(record.name, {}))
    finish(tally, out)
