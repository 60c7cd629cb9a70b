"""What a shell may offer for an option. Nothing here imports a library that is slow to load."""

import json
from collections.abc import Iterable
from pathlib import Path

from itermask.io.names import SEQUENCES

PACKAGE = Path(__file__).parent.parent
DEVICES = {
    "auto": "CUDA, else MPS, else the CPU",
    "cpu": "PyTorch on the CPU",
    "cuda": "PyTorch on a graphics card",
    "mps": "PyTorch on an Apple chip",
    "openvino": "OpenVINO on the CPU",
}

Offers = list[tuple[str, str]]  # words with what they mean


def devices(incomplete: str) -> Offers:
    """Return what `--device` takes.

    Example:
        >>> devices("op")[0][0]
        'openvino'
    """
    return _fitting(DEVICES.items(), incomplete)


def sequences(incomplete: str) -> Offers:
    """Return sequences that go on from what is typed, in whatever case; `--sequence` takes any case.

    Example:
        >>> [name for name, _ in sequences("t1")][:1]
        ['t1w']
    """
    found = [name for name in SEQUENCES if name.lower().startswith(incomplete.lower())]
    return [(incomplete + name[len(incomplete) :], "") for name in found]


def models(incomplete: str) -> Offers:
    """Return bundled models; a folder can be given too, which the shell completes where no name fits."""
    return _fitting([(path.parent.name, _about(path)) for path in sorted(_cards())], incomplete)


def methods(incomplete: str) -> Offers:
    """Return methods by name.

    Example:
        >>> [name for name, _ in methods("iter")]
        ['itermask2', 'itermask3d']
    """
    from itermask.methods import method_names

    return _fitting([(name, "") for name in method_names()], incomplete)


def presets(incomplete: str) -> Offers:
    """Return what `--preset` takes.

    Example:
        >>> [name for name, _ in presets("any")]
        ['any-2mm']
    """
    from itermask.presets import presets as found

    return _fitting(found().items(), incomplete)


def artifacts(incomplete: str) -> Offers:
    """Return artifacts with what each is; these have to be imported, which takes a moment.

    Example:
        >>> [name for name, _ in artifacts("gh")]
        ['ghosting']
    """
    from itermask.synth.artifacts import ARTIFACTS, summary

    return _fitting([(name, summary(name)) for name in sorted(ARTIFACTS)], incomplete)


def _cards() -> Iterable[Path]:
    return (PACKAGE / "models" / "bundled").glob("*/card.json")


def _about(path: Path) -> str:
    """Return a model's sequence and method; nothing if its card cannot be read."""
    try:
        card = json.loads(path.read_text())
        return f"{card['sequence']}, {card['method']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _fitting(offers: Iterable[tuple[str, str]], incomplete: str) -> Offers:
    return [(name, about) for name, about in offers if name.startswith(incomplete)]
