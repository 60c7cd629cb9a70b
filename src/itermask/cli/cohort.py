"""`itermask cohort`: a folder, a table or a list of scans, unattended."""

from pathlib import Path
from typing import Annotated, Optional

import typer

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
)  # fmt: skip


def cohort(
    data: Annotated[list[Path], typer.Argument(help="Folders, tables (.tsv, .csv with path or T1w, …), NIfTI files.")],
    out: Annotated[Path, typer.Option(help="Folder of the results; an interrupted run there is continued.")],
    sequence: Annotated[
        Optional[str],
        sequence_option("Sequence, e.g. T1w; else told by names and sidecars, as far as models know."),
    ] = None,
    model: ModelOption = None,
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
) -> None:
    """Process many scans: a folder each, a table and a page of all. Exit code 1 if any could not be processed.

    With --shard no table is written; the same command without it writes the table when all shards are done.
    """
    from itermask.apps.cohort.bids import sequences_wanted
    from itermask.apps.cohort.job import Plan
    from itermask.apps.cohort.lists import age_and_sex, list_jobs
    from itermask.apps.cohort.own import check_results
    from itermask.apps.cohort.relative import parse_keys
    from itermask.apps.cohort.run import run_cohort, shard_of
    from itermask.io.result_folder import check_writable
    from itermask.pipeline import RunSettings

    with refusals_as_json(as_json):
        part = parse_part(shard, "--shard")
        by = parse_keys(reference_by)
        check_writable(out)
        settings = RunSettings(gamma=gamma, sensitivity=sensitivity, seed=seed, n4=n4, align=align)
        plan = Plan(out, "folders", settings, model, device, reports_only)
        wanted = sequences_wanted([sequence] if sequence else [], model)
        jobs, about = list_jobs(data, wanted, out, sequence)
        check_results(jobs, plan, [path for path in data if not path.is_dir()])
        if dry_run:
            print_states(shard_of(jobs, part), plan, retry_failed, as_json)
            return
        engine = engine_for(dask, workers, memory, time_limit, part)
        check_ahead(plan)
        with cohort_bar(out.name) as bar:
            tally = run_cohort(jobs, plan, part, engine, retry_failed, bar)
        tables = None
        if part == (1, 1):
            people = {name: age_and_sex(groups) for name, groups in about.items()}
            tables = write_tables(jobs, out, "folders", lambda record: people.get(record.name, {}), by)
        finish(shard_of(jobs, part), out, tally, tables, as_json)
