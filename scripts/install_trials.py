"""Install the package into fresh environments, as its documents say, and try what each promises.

    python scripts/install_trials.py runs/installs                    # every trial; about a minute each
    python scripts/install_trials.py runs/installs --only core brain  # some
    python scripts/install_trials.py runs/installs --into docs/installs.md

Each trial makes an environment with `venv` in a temporary folder, installs with pip under constraints.txt, runs what
stands in its row below, and leaves a JSON file in the folder; the tables are made of these files. The exit code is 1 if
something did not hold. `install_checks.py` beside this file has what is tried.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from install_checks import CHECKS, ENTRY, MISSING, Check, prepare_inputs

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- installs: begin -->", "<!-- installs: end -->"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TOOLKITS = re.compile(r"(?i)^(customtkinter|pyqt\d?|pyside\d?|wxpython|kivy|pygobject|dearpygui)([-_].*)?$")
CUDA = re.compile(r"(?i)^(nvidia[-_].*|cuda[-_].*|cupy.*|triton)$")
FOR_DEVELOPERS = {"dev", "docs", "mutants"}
TORCH = {"torch", "torchgen", "functorch", "sympy", "mpmath", "networkx", "fsspec"}  # folders that come with it


@dataclass(frozen=True)
class Trial:
    """One fresh environment.

    Attributes:
        name: of the trial and its file.
        lines: arguments of `pip install`, one call each; `.` is the checkout.
        checks: names of what is tried, see `install_checks.py`.
    """

    name: str
    lines: tuple[tuple[str, ...], ...]
    checks: tuple[str, ...]


@dataclass
class Environment:
    """A virtual environment that was made for a trial."""

    folder: Path
    seconds: float = 0.0
    failed: str = ""
    packages: dict[str, str] = field(default_factory=dict)

    @property
    def programs(self) -> Path:
        """Folder of its programs."""
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    def run(self, words: list[str], where: Path, limit: float = 600) -> subprocess.CompletedProcess[str]:
        """Run one of its programs as a user would who has nothing else installed."""
        own = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        own["PATH"] = f"{self.programs}{os.pathsep}{own['PATH']}"
        program = self.programs / words[0]
        command = [str(program if program.exists() else words[0]), *words[1:]]
        return subprocess.run(command, cwd=where, env=own, capture_output=True, text=True, timeout=limit, check=False)


def trials() -> list[Trial]:
    """Return every trial: the core, the oldest versions, the documented lines, and each extra alone."""
    found = [
        Trial("core", ((".",),), ("core", "times", "missing", "app")),
        Trial("oldest", ((".", *oldest(PROJECT["dependencies"])), ("pytest", "hypothesis")), ("core", "tests")),
        Trial("brain-lean", ((".[brain-lean]",), ("--no-deps", "deepbet")), ("core", "brain")),
        Trial("container", ((".[brain-lean,openvino]",), ("--no-deps", "deepbet>=1.0.2")), ("brain", "app")),
    ]
    alone = [name for name in PROJECT["optional-dependencies"] if name not in FOR_DEVELOPERS | {"brain-lean"}]
    return found + [Trial(name, ((f".[{name}]",),), (name,) if name in CHECKS else ()) for name in alone]


def oldest(requirements: list[str]) -> list[str]:
    """Return the oldest versions that requirements allow, all but PyTorch's, which constraints.txt pins.

    Args:
        requirements: as in pyproject.toml.
    """
    pinned = [re.match(r"([\w.-]+)>=([\w.]+)", one) for one in requirements]
    return [f"{one[1]}=={one[2]}" for one in pinned if one and one[1] != "torch"]


def make(trial: Trial, folder: Path) -> Environment:
    """Make a trial's environment."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    made = Environment(folder)
    began = time.perf_counter()
    for line in trial.lines:
        words = [one.replace(".", str(ROOT), 1) if one.startswith(".") else one for one in line]
        done = made.run(
            ["python", "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), *words], ROOT, 1800
        )
        if done.returncode:
            made.failed = (done.stderr.strip().splitlines() or ["pip failed"])[-1][:300]
            break
    made.seconds = time.perf_counter() - began
    listed = made.run(["python", "-m", "pip", "list", "--format", "json"], ROOT)
    made.packages = {one["name"]: one["version"] for one in json.loads(listed.stdout)}
    return made


def megabytes(made: Environment) -> tuple[float, float]:
    """Return what the packages take on the disk without PyTorch, pip and setuptools; and PyTorch with its own needs."""
    site = next(made.folder.glob("[Ll]ib*/**/site-packages"))
    own = torch = 0.0
    for part in site.iterdir():
        name = re.split(r"-\d", part.name)[0]
        if name in ("pip", "setuptools", "wheel", "_distutils_hack"):
            continue
        files = [part] if part.is_file() else part.rglob("*")
        size = sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink()) / 1e6
        if name in TORCH:
            torch += size
        else:
            own += size
    return own, torch


def took(made: Environment, words: list[str], where: Path, rounds: int = 5) -> float:
    """Return the median processor seconds of a program, after one run that is not counted.

    Of the processor, since the clock's depend on what else the machine does.
    """
    seconds = []
    for _ in range(rounds + 1):
        before = os.times()
        made.run(words, where)
        after = os.times()
        seconds.append(sum(after[2:4]) - sum(before[2:4]))
    return median(seconds[1:])


def try_one(made: Environment, check: Check, inputs: Path) -> str:
    """Return what does not hold of one check; empty if all does."""
    done = made.run([word.replace("@ROOT", str(ROOT)) for word in check.words], inputs)
    said = done.stdout + done.stderr
    if done.returncode != check.code:
        last = (said.strip().splitlines() or [""])[-1][:300]
        return f"{check.what}: exit code {done.returncode}, not {check.code}: {last}"
    absent = [one for one in check.says if one not in said]
    absent += [f"file {one}" for one in check.leaves if not (inputs / one).is_file()]
    if absent:
        return f"{check.what}: lacks {', '.join(absent)}: {said.strip()[-300:]}"
    if check.code and ((check.one_line and len(done.stderr.strip().splitlines()) != 1) or "Traceback" in said):
        return f"{check.what}: not one line: {said.strip()[-300:]}"
    return ""


def run(trial: Trial) -> dict[str, Any]:
    """Make a trial's environment, try it, and return what was found."""
    with tempfile.TemporaryDirectory() as temporary:
        made = make(trial, Path(temporary, "env"))
        found: dict[str, Any] = {"name": trial.name, "lines": trial.lines, "seconds": made.seconds, "wrong": []}
        if made.failed:
            return found | {"wrong": [f"pip: {made.failed}"]}
        own, torch = megabytes(made)
        names = list(made.packages)
        found |= {"mb": own, "torch_mb": torch, "torch": made.packages.get("torch", ""), "packages": len(names)}
        found["toolkits"] = [name for name in names if TOOLKITS.match(name)]
        found["cuda"] = [name for name in names if CUDA.match(name)]
        found["python"] = sys.version.split()[0]
        inputs = Path(temporary, "inputs")
        prepare_inputs(made.run, inputs)
        done = []
        for name in trial.checks:
            if name == "times":
                bare = took(made, ["python", "-c", "pass"], inputs)
                found["import_seconds"] = took(made, ["python", "-c", "import itermask"], inputs) - bare
                found["help_seconds"] = took(made, ["itermask", "--help"], inputs)
                slow = [key for key in ("import_seconds", "help_seconds") if found[key] >= 1]
                found["wrong"] += [f"{key}: {found[key]:.2f}" for key in slow]
                continue
            for check in {"missing": MISSING, "app": ENTRY}.get(name) or CHECKS[name]:
                wrong = try_one(made, check, inputs)
                done.append(check.what)
                found["wrong"] += [wrong] if wrong else []
        if trial.name in ("core", "oldest", "brain-lean", "container") and found["toolkits"]:
            found["wrong"].append(f"toolkits: {', '.join(found['toolkits'])}")
        if found["cuda"]:
            found["wrong"].append(f"CUDA: {', '.join(found['cuda'])}")
        return found | {"done": done}


def table(folder: Path) -> str:
    """Return the tables of all trials whose files are there."""
    files = [folder / f"{trial.name}.json" for trial in trials()]
    found = [json.loads(file.read_text()) for file in files if file.is_file()]
    core = next((one for one in found if one["name"] == "core"), None)
    lines = []
    if core:
        lines += [
            f"Python {core['python']}, PyTorch {core['torch']}. The core: `import itermask` takes "
            f"{core['import_seconds']:.2f} s more of a processor than Python alone, `itermask --help` "
            f"{core['help_seconds']:.2f} s; "
            f"{core['mb']:.0f} MB on the disk, and {core['torch_mb']:.0f} MB of PyTorch with what it needs.",
            "",
        ]
    lines += ["| `pip install …` | MB, PyTorch apart | packages | s | toolkit of windows | CUDA | tried |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for one in found:
        words = [" ".join(quoted(word) for word in line) for line in one["lines"]]
        if one["name"] == "oldest":
            words = [". with the oldest version of every dependency but PyTorch"]
        tried = "; ".join(dict.fromkeys(one.get("done", []))) or "installs"
        tried = f"**failed**: {'; '.join(one['wrong'])}" if one["wrong"] else tried
        lines.append(
            f"| {', then '.join(f'`{word}`' for word in words)} | {one.get('mb', 0):.0f} | {one.get('packages', 0)} "
            f"| {one['seconds']:.0f} | {', '.join(one.get('toolkits', [])) or 'none'} "
            f"| {', '.join(one.get('cuda', [])) or 'none'} | {tried} |"
        )
    return "\n".join(lines)


def quoted(word: str) -> str:
    """Return a word of a command line as one types it."""
    return f"'{word}'" if re.search(r"[\[<>]", word) else word


def insert(page: Path, made: str) -> None:
    """Put the tables between the marks of a page."""
    before, found, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, also, after = rest.partition(END)
    if not (found and also):
        sys.exit(f"{page}: lacks the marks {BEGIN} and {END}; put them where the tables should be")
    page.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the results go, a JSON file each")
    parser.add_argument("--only", nargs="+", metavar="TRIAL", help=", ".join(trial.name for trial in trials()))
    parser.add_argument("--into", type=Path, help="Markdown file whose tables are replaced; nothing is tried")
    chosen = parser.parse_args()
    if chosen.into is not None:
        insert(chosen.into, table(chosen.folder))
        return
    chosen.folder.mkdir(parents=True, exist_ok=True)
    bad = 0
    for trial in trials():
        if chosen.only and trial.name not in chosen.only:
            continue
        found = run(trial)
        file = chosen.folder / f"{trial.name}.json"
        partial = file.with_suffix(".part")
        partial.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, file)
        bad += bool(found["wrong"])
        print(f"{trial.name}: {found['seconds']:.0f} s; {'; '.join(found['wrong']) or 'all holds'}", flush=True)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
