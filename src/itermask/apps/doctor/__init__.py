"""What is installed, what of it works, and whether a scan would run.

Each part is checked by itself and says in words what is wrong with it, so that one broken library hides nothing else.
"""

from dataclasses import asdict, dataclass
from typing import Any

from itermask import __version__
from itermask.apps.doctor.brain import Tool, find_tools
from itermask.apps.doctor.demo_run import DemoRun, run_demo
from itermask.apps.doctor.extras import Extra, find_extras
from itermask.apps.doctor.machine import Machine, this_machine
from itermask.apps.doctor.models import ModelState, find_models
from itermask.apps.doctor.runtimes import RuntimeState, Torch, find_torch, try_runtimes
from itermask.errors import InputError
from itermask.types import VERDICTS

MEMORY_GIB, TEMP_GIB = 1.5, 0.5  # less than this may be too little for a scan of 1 mm

__all__ = ["Examination", "examine"]


@dataclass(frozen=True)
class Examination:
    """What was found.

    Attributes:
        version: of itermask.
        machine: Python, platform, cores, memory, disk.
        torch: PyTorch and what it knows of the processor.
        runtimes: what computes, each tried with a small network.
        brain_extraction: the tools for scans with a skull.
        models: the bundled models, each loaded.
        extras: the optional parts.
        demo: a real run on a bundled scan; None if it was left out.
        reasons: why a scan would not run; empty if it would.
        notes: what is not as it should be, though a scan would run.
    """

    version: str
    machine: Machine
    torch: Torch
    runtimes: list[RuntimeState]
    brain_extraction: list[Tool]
    models: list[ModelState]
    extras: list[Extra]
    demo: DemoRun | None
    reasons: list[str]
    notes: list[str]

    @property
    def would_run(self) -> bool:
        """Whether a scan would run."""
        return not self.reasons

    def as_dict(self) -> dict[str, Any]:
        """Return everything, as JSON holds it; `would_run` comes first."""
        return {"would_run": self.would_run, **asdict(self)}


def examine(quick: bool = False, device: str = "auto") -> Examination:
    """Check everything; nothing that is broken or missing raises.

    Args:
        quick: leave out the run on a scan, which takes some seconds.
        device: to process the scan with, as for `itermask run`.
    """
    torch = find_torch()
    runtimes = [] if torch.problem else try_runtimes()
    models = find_models()
    machine, tools = this_machine(), find_tools()
    demo = None if quick or torch.problem else run_demo(device)
    reasons = list(_reasons(torch, runtimes, models, demo, device))
    notes = list(_notes(machine, tools, models, demo))
    return Examination(__version__, machine, torch, runtimes, tools, models, find_extras(), demo, reasons, notes)


def _reasons(
    torch: Torch, runtimes: list[RuntimeState], models: list[ModelState], demo: DemoRun | None, device: str
) -> list[str]:
    """Return why a scan would not run."""
    if torch.problem:
        return [f"PyTorch cannot be used: {torch.problem}"]
    from itermask.runtime.device import pick_device

    found = []
    try:
        wanted = pick_device(device).type if device != "openvino" else device
    except InputError as error:
        found.append(str(error))
    else:
        found += [f"--device {one.name}: {one.description}" for one in runtimes if one.name == wanted and not one.works]
    if not any(model.problem is None for model in models):
        found.append("no bundled model can be used; install itermask again, or give one with --model")
    if demo is not None and demo.problem is not None:
        found.append(f"the run on a bundled scan failed: {demo.problem}")
    return found


def _notes(machine: Machine, tools: list[Tool], models: list[ModelState], demo: DemoRun | None) -> list[str]:
    """Return what a person may want to fix."""
    found = [f"model {model.name} cannot be used: {model.problem}" for model in models if model.problem is not None]
    found += [f"{tool.name} is installed but {tool.problem}" for tool in tools if tool.version and tool.problem]
    if machine.free_memory_gib < MEMORY_GIB:
        found.append(
            f"only {machine.free_memory_gib:.1f} GiB of memory are free; a scan of 1 mm may need {MEMORY_GIB:g}"
        )
    if machine.free_temp_gib < TEMP_GIB:
        found.append(f"only {machine.free_temp_gib:.1f} GiB are free in {machine.temp}; DICOM zips are unpacked there")
    if demo is not None and demo.verdict not in (None, VERDICTS[0]):
        found.append(f"the bundled scan is of a healthy brain, but was found {demo.verdict}: do not trust this machine")
    return found
