"""Mutation testing: how many small changes of the code a test notices.

    pip install 'itermask[mutants]'
    python scripts/mutants.py --insert docs/reproduction.md
    python scripts/mutants.py --only core/refinement core/masks --sample 40 --minutes 15

cosmic-ray changes one operator, number or branch at a time, in a copy of the package, and runs the module's own tests.
A change that they notice is caught, one that they do not survives; one that makes them run for ever is caught too. A
sample is drawn with a seed, so that it is the same everywhere. Survivors are listed with where they are.
"""

import argparse
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from itermask.evaluation.benchmark.write import between_marks

ROOT = Path(__file__).parents[1]
MODULES = {  # module → the tests that must notice
    "core/guidance": ("tests/core/test_guidance.py",),
    "core/masks": ("tests/core/test_masking.py",),
    "core/refinement": ("tests/core/test_refinement.py",),
    "core/threshold_curve": ("tests/core/test_threshold_curve.py",),
    "core/stop_rules": ("tests/core/test_core_stop_rules.py",),
    "core/slice_refinement": ("tests/core/test_slice_refinement.py",),
    "core/strips": ("tests/core/test_strips.py",),
    "core/profile": ("tests/core/test_profile.py",),
    "config/settings_file": ("tests/training/test_training_config.py",),
    "evaluation/metrics/overlap": ("tests/evaluation/test_metrics_overlap.py",),
    "evaluation/metrics/surface": ("tests/evaluation/test_metrics_surface.py",),
    "evaluation/metrics/lesionwise": ("tests/evaluation/test_metrics_lesionwise.py",),
    "evaluation/metrics/thresholds": ("tests/evaluation/test_metrics_thresholds.py",),
    "evaluation/metrics/ranking": ("tests/evaluation/test_metrics_ranking.py",),
    "evaluation/metrics/similarity": ("tests/evaluation/test_metrics_similarity.py",),
    "evaluation/metrics/sizes": ("tests/evaluation/test_metrics_sizes.py",),
    "evaluation/metrics/intervals": ("tests/evaluation/test_metrics_intervals.py",),
    "evaluation/benchmark/results": ("tests/evaluation/test_benchmark.py",),
    "methods/calibration": ("tests/methods/test_inpainting.py", "tests/methods/test_itermask3d.py"),
    "methods/itermask3d/calibration": ("tests/methods/test_itermask3d.py", "tests/training/test_training_train.py"),
    "methods/itermask2/calibration": ("tests/methods/test_itermask2_calibration.py",),
    "training/calibration": ("tests/training/test_training_train.py", "tests/core/test_profile.py"),
}
TIMEOUT = 600.0  # seconds of one run of the tests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=MODULES, help="modules; else all")
    parser.add_argument("--sample", type=int, help="so many changes of each module only")
    parser.add_argument("--minutes", type=float, help="stop after this; what was not tried is told")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "mutants", help="folder for copies and sessions")
    parser.add_argument("--insert", type=Path, help="document with marks; else the text is printed")
    chosen = parser.parse_args()
    ends = time.monotonic() + 60 * chosen.minutes if chosen.minutes else float("inf")
    lines = ["| module | changes | tried | caught | survived | score |", "|---|---|---|---|---|---|"]
    caught = tried = 0
    survivors: list[str] = []
    for module in chosen.only or MODULES:
        found = try_module(module, chosen, ends)
        if found is None:
            continue
        total, results, alive = found
        good = len(results) - len(alive)
        caught, tried = caught + good, tried + len(results)
        survivors += alive
        share = f"{100 * good / len(results):.0f} %" if results else "–"
        lines.append(f"| `{module}` | {total} | {len(results)} | {good} | {len(alive)} | {share} |")
    score = f"{100 * caught / tried:.1f} %" if tried else "–"
    sample = f", {chosen.sample} of each module at seed {chosen.seed}" if chosen.sample else ""
    text = f"{caught} of {tried} changes caught: **{score}** (aim: 95 %){sample}.\n\n" + "\n".join(lines)
    if survivors:
        text += "\n\nSurvivors:\n\n" + "\n".join(f"* {one}" for one in survivors)
    if chosen.insert:
        between_marks(chosen.insert, "mutants", text)
    else:
        print(text)


def try_module(module: str, chosen: argparse.Namespace, ends: float) -> tuple[int, dict[str, bool], list[str]] | None:
    """How many changes a module has, which of those tried were caught, the survivors in words; None without time."""
    if time.monotonic() >= ends:
        return None
    copy = chosen.work / module.replace("/", "-")
    shutil.rmtree(copy, ignore_errors=True)
    for part in ("src", "tests", "benchmarks", "docs", "configs", "README.md", "CONTRIBUTING.md", "pyproject.toml"):
        source = ROOT / part
        ignore = shutil.ignore_patterns("__pycache__", "demo_data", "viewer", "pictures")
        shutil.copytree(source, copy / part, ignore=ignore) if source.is_dir() else copy_file(source, copy / part)
    path = f"src/itermask/{module}.py"
    command = f"{sys.executable} -m pytest -q -x -p no:cacheprovider {' '.join(MODULES[module])}"
    settings = {"module-path": path, "timeout": TIMEOUT, "excluded-modules": [], "test-command": command}
    text = "[cosmic-ray]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())
    (copy / "mutants.toml").write_text(text + '\n[cosmic-ray.distributor]\nname = "local"\n')
    ray(copy, "init", "mutants.toml", "session.sqlite")
    ray(copy, "baseline", "mutants.toml")
    total = draw(copy / "session.sqlite", chosen.sample, chosen.seed)
    left = None if ends == float("inf") else max(1.0, ends - time.monotonic())
    ray(copy, "exec", "mutants.toml", "session.sqlite", limit=left)
    return total, *outcomes(copy / "session.sqlite", module)


def copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def ray(copy: Path, *arguments: str, limit: float | None = None) -> None:
    """Run cosmic-ray in a copy, with the copy's package first; a limit in seconds ends it and is no error."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(copy / "src"), os.environ.get("PYTHONPATH", "")))),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "cosmic_ray.cli", *arguments]
    try:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return
    if done.returncode:
        raise SystemExit(f"cosmic-ray {arguments[0]}: {(done.stderr or done.stdout).strip()[-2000:]}")


def draw(session: Path, sample: int | None, seed: int) -> int:
    """Leave a sample of the changes in a session; returns how many there were."""
    with sqlite3.connect(session) as database:
        jobs = sorted(row[0] for row in database.execute("SELECT job_id FROM work_items"))
        # Sorted by what they change, for the jobs' names are drawn anew each time.
        specs = database.execute(
            "SELECT job_id FROM mutation_specs ORDER BY module_path, operator_name, occurrence"
        ).fetchall()
        ordered = [row[0] for row in specs]
        kept = set(random.Random(seed).sample(ordered, min(sample or len(ordered), len(ordered))))
        for job in jobs:
            if job not in kept:
                database.execute("DELETE FROM mutation_specs WHERE job_id = ?", (job,))
                database.execute("DELETE FROM work_items WHERE job_id = ?", (job,))
    return len(ordered)


def outcomes(session: Path, module: str) -> tuple[dict[str, bool], list[str]]:
    """Job → whether it was caught, and the survivors in words."""
    caught, alive = {}, []
    with sqlite3.connect(session) as database:
        rows = database.execute(
            "SELECT r.job_id, r.test_outcome, r.worker_outcome, s.operator_name, s.start_pos_row "
            "FROM work_results r JOIN mutation_specs s ON r.job_id = s.job_id"
        ).fetchall()
    for job, tests, worker, operator, line in rows:
        if "NO_TEST" in str(worker).upper() or "SKIPPED" in str(worker).upper():
            continue
        survived = "SURVIVED" in str(tests).upper()
        caught[job] = not survived
        if survived:
            alive.append(f"`{module}`, line {line}: {operator.rpartition('/')[2]}")
    return caught, alive


if __name__ == "__main__":
    main()
