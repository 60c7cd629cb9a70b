"""What becomes of damaged inputs: refused in one line, read and right, or something that must never be.

    python benchmarks/damaged_inputs.py ../shared/data runs/damaged --count 10000

Small inputs made from real scans are damaged in ten thousand ways: bytes and headers of NIfTI files, brain masks, BIDS
trees, bytes, tags and folders of DICOM, TOML configurations, tables. Scans and DICOM folders are given to `itermask
run`, up to where it would load the model; the others are read by the functions that commands read them with. What was
read is compared with the undamaged input. Counted are:

* refused: an error of one line; `itermask run` must say it on one line, end with exit code 2 and write nothing;
* right: read, and the voxels, their places (within 0.5 mm) and the mask are those of the undamaged input; of a tree
  perhaps fewer scans, where a file is gone or has no BIDS name;
* said: read with another content, and a note on the scan or a line beside it says what is wrong; or not all scans of
  a tree, and a line says why;
* read: a table or configuration that can still be read, of which no scan comes.

What must be 0: tracebacks, hangs (over 60 s), inputs changed, and verdicts: inputs that are read with another content
without a word. Left out is what no reader can know: changed values of DICOM pixels, which have no checksum, or another
plausible number in the header of a whole series. Input `n` of a seed is always the same. Results are appended to
`OUT/cases.jsonl`; an interrupted run goes on where it stopped, and tries again what must not be. Inputs of these kinds
are kept in `OUT/kept`. Exit code 1 if there are any. All run in one process that stays warm; if it hangs or dies, the
next input gets a new one.
"""

import argparse
import contextlib
import functools
import gc
import hashlib
import io
import json
import multiprocessing
import os
import platform
import shutil
import signal
import stat
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import typer.main
from damage_parts import series, texts, volumes
from damage_parts.common import Kind, Seen, same

from itermask.errors import InputError
from itermask.io.scans import Source, read_scans
from itermask.prepare.brain import with_brain
from itermask.types import Scan

PATIENCE = 60  # seconds
FINE, NEVER = ("refused", "right", "said", "read"), ("traceback", "hang", "changed", "verdict")


GRACE = 15  # seconds more, after which a process that does not even notice the time is killed


class HangError(BaseException):
    """An input took too long."""


class ReachedError(BaseException):
    """A command came to where it would load the model."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder with ixi-t1 and dicom/mprage-siemens")
    parser.add_argument("out", type=Path, help="folder for the results")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="kinds with this text in their names")
    parser.add_argument("--insert", type=Path, help="document with marks; else the table is printed")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    os.environ["ITERMASK_TRACEBACK"] = "1"
    # The command line is parsed by the same object each time; to make it anew takes as long as many an input.
    typer.main.get_command = functools.cache(typer.main.get_command)
    signal.signal(signal.SIGALRM, _hang)
    cases = run(chosen.data, chosen.out, chosen.count, chosen.seed, chosen.only)
    text = table(cases, chosen.seed)
    if chosen.insert:
        from itermask.evaluation.benchmark.write import between_marks

        between_marks(chosen.insert, "damaged_inputs", text)
    print(text)
    bad = [case for case in cases if case["result"] in NEVER]
    for case in bad[:20]:
        print(f"{case['n']}: {case['kind']}: {case['how']}: {case['result']}: {case['message']}", file=sys.stderr)
    raise SystemExit(1 if bad else 0)


def run(data: Path, out: Path, count: int, seed: int, only: str | None = None) -> list[dict[str, Any]]:
    """Try all inputs that were not tried before, or that became what must not be; return what became of all."""
    kinds = [*volumes.kinds(*volumes.load(data)), *series.kinds(series.load(data)), *texts.kinds()]
    out.mkdir(parents=True, exist_ok=True)
    log = out / "cases.jsonl"
    done = {case["n"]: case for case in _earlier(log) if case["seed"] == seed and case["n"] < count}
    todo = [
        n
        for n in range(count)
        if (n not in done or done[n]["result"] in NEVER) and (not only or only in kinds[n % len(kinds)].name)
    ]
    cut = log.is_file() and not log.read_text().endswith("\n")
    with log.open("a") as file:
        file.write("\n" * cut)
        for n, found in _tried(kinds, todo, seed, out / "kept"):
            case = {"n": n, "seed": seed, "kind": kinds[n % len(kinds)].name} | found
            file.write(json.dumps(case) + "\n")
            file.flush()
            done[n] = case
    return [done[n] for n in sorted(done)]


def _tried(kinds: list[Kind], todo: list[int], seed: int, kept: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Try inputs in a process of their own, which stays warm; if it hangs or dies, the next input gets a new one."""
    context = multiprocessing.get_context("fork")
    needed = {kinds[n % len(kinds)].name: kinds[n % len(kinds)] for n in todo}
    truths = {name: _truth(kind) for name, kind in needed.items()}
    gc.collect()
    gc.freeze()  # what is loaded by now is looked through in no later collection
    at = 0
    while at < len(todo):
        receive, send = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(kinds, truths, todo[at:], seed, kept, send))
        worker.start()
        send.close()
        try:
            while at < len(todo):
                if not receive.poll(PATIENCE + GRACE):
                    yield todo[at], {"how": "", "result": "hang", "message": "killed"}
                    at += 1
                    break
                found = receive.recv()
                yield todo[at], found
                at += 1
        except EOFError:
            worker.join()
            yield todo[at], {"how": "", "result": "traceback", "message": f"the process ended with {worker.exitcode}"}
            at += 1
        finally:
            worker.kill()
            worker.join()
            receive.close()


def _work(kinds: list[Kind], truths: dict[str, Seen], todo: list[int], seed: int, kept: Path, send: Any) -> None:
    for n in todo:
        kind = kinds[n % len(kinds)]
        send.send(attempt(kind, truths[kind.name], (seed, n), kept))


def _earlier(log: Path) -> list[dict[str, Any]]:
    """Return the results of an interrupted run; its last line may be cut."""
    found = []
    for line in log.read_text().splitlines() if log.is_file() else []:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def _truth(kind: Kind) -> Seen:
    """Return what is read of the undamaged input."""
    with tempfile.TemporaryDirectory() as folder:
        input_folder = Path(folder) / "input"
        input_folder.mkdir()
        kind.make(input_folder)
        return _seen(kind, input_folder)


def attempt(kind: Kind, truth: Seen, seed: tuple[int, int], kept: Path | None = None) -> dict[str, Any]:
    """Damage one input and return what becomes of it: `result`, one of `FINE` and `NEVER`, `message` and `how`."""
    with tempfile.TemporaryDirectory() as folder:
        input_folder = Path(folder) / "input"
        input_folder.mkdir()
        kind.make(input_folder)
        how = kind.damage(input_folder, np.random.default_rng(seed))
        before = _state(input_folder)
        result, message = _patiently(kind, input_folder, truth)
        if _state(input_folder) != before:
            result, message = "changed", f"{result}: {message}"
        if result in NEVER and kept is not None:
            kept.mkdir(parents=True, exist_ok=True)
            shutil.copytree(
                input_folder, kept / f"{seed[0]}-{seed[1]}", symlinks=True, dirs_exist_ok=True, ignore=_pipes
            )
    return {"how": how, "result": result, "message": message}


def _patiently(kind: Kind, input_folder: Path, truth: Seen) -> tuple[str, str]:
    """Return what becomes of a damaged input, and the words."""
    signal.alarm(PATIENCE)
    try:
        try:
            found = _seen(kind, input_folder)
        except InputError as error:
            if "\n" in str(error) or not str(error).strip():
                return "traceback", f"not one line: {str(error)!r}"
            return "refused", str(error)
        if not found.checked:
            return "read", ""
        said = [each for each in found.said if each not in truth.said]
        if same(found, truth):
            fewer = said and len(found.scans) < len(truth.scans)  # of several, and why one is not among them
            return ("said" if fewer else "right"), "; ".join(said)
        return ("said" if said else "verdict"), "; ".join(said)
    except HangError:
        return "hang", f"over {PATIENCE} s"
    except Exception:
        return "traceback", traceback.format_exc()[-1500:]
    finally:
        signal.alarm(0)


def _seen(kind: Kind, input_folder: Path) -> Seen:
    """Read an input, by the command where it is one for `itermask run`.

    Raises:
        InputError: it is refused; the command has said so on one line, ended with 2 and written nothing.
        RuntimeError: the command ended in another way.
    """
    if kind.arguments is None:
        return kind.read_input(input_folder)
    sources: list[Source] = []
    reached: list[Scan] = []

    def reading(*command_line: Any, **more: Any) -> list[Source]:
        sources[:] = read_scans(*command_line, **more)
        return sources

    def reach(*_: Any, scan: Scan, **__: Any) -> None:
        reached.append(scan if scan.brain_mask is None else with_brain(scan)[0])  # as `analyze` begins
        raise ReachedError

    with mock.patch("itermask.io.scans.read_scans", reading), mock.patch("itermask.models.folder.load_model", reach):
        code, _, errors = command(kind.arguments(input_folder))
    if (input_folder.parent / "out").exists():
        raise RuntimeError(f"the command leaves a folder; it ends with {code} and says {errors[-1500:]}")
    if code is None:
        (scan,), (source,) = reached, sources
        return Seen({"scan": (scan.image, scan.affine, scan.brain_mask)}, (*scan.notes, *source.aside))
    lines = errors.splitlines()
    if code != 2 or len(lines) != 1:
        raise RuntimeError(f"the command ends with {code} and says {errors[-1500:]}")
    raise InputError(lines[0].removeprefix("itermask: "))


def command(command_line: list[str]) -> tuple[Any, str, str]:
    """Return exit code, standard output and standard error of `itermask`, called in this process.

    The code is None where the command came to load a model and was stopped there.
    """
    from itermask.cli.main import main as itermask

    before, output, errors = sys.argv, io.StringIO(), io.StringIO()
    sys.argv = ["itermask", *command_line]
    code: Any = 0
    try:
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(output):
            itermask()
    except SystemExit as end:
        code = end.code
    except ReachedError:
        code = None
    finally:
        sys.argv = before
    return code, output.getvalue(), errors.getvalue()


def _state(folder: Path) -> dict[str, Any]:
    """Return everything that can be seen of a folder's files."""
    found = {}
    for top, folders, files in os.walk(os.fsencode(folder)):
        for name in (*folders, *files):
            path = os.path.join(top, name)  # noqa: PTH118
            status = os.lstat(path)
            digest = ""
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    digest = hashlib.sha256(file.read()).hexdigest()
            found[repr(path)] = (status.st_mode, status.st_size, status.st_mtime_ns, digest)
    return found


def _pipes(folder: str, names: list[str]) -> set[str]:
    """Return what cannot be copied."""
    return {name for name in names if stat.S_ISFIFO((Path(folder) / name).lstat().st_mode)}


def _hang(*_: Any) -> None:
    raise HangError


def table(cases: list[dict[str, Any]], seed: int) -> str:
    """Return the counts as a Markdown table."""
    columns = (*FINE, *NEVER)
    counts: dict[str, Counter[str]] = {}
    for case in cases:
        counts.setdefault(case["kind"], Counter())[case["result"]] += 1
    lines = [f"| kind | inputs | {' | '.join(columns)} |", f"|---|{'---:|' * (len(columns) + 1)}"]
    for kind, count in (*counts.items(), ("**all**", sum(counts.values(), Counter[str]()))):
        lines.append(f"| {kind} | {count.total()} | {' | '.join(str(count[column]) for column in columns)} |")
    machine = f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return "\n".join([*lines, "", f"Seed {seed}, {len(cases)} inputs; {machine}."])


if __name__ == "__main__":
    main()
