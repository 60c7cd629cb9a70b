"""Names of results: UIDs that are the same whenever the same is found in the same series."""

import json
from dataclasses import dataclass
from hashlib import sha256
from uuid import NAMESPACE_OID, uuid5

import numpy as np

from itermask import __version__
from itermask.io.dicom.series import Series
from itermask.io.outputs import plain
from itermask.types import Finding

ASIDE = {"scan", "computed_with", "model_choice"}  # settings of the folder's name, the machine, the model's reason
SHOWN = ("method", "operating_point", "seed", "brain_mask", "bias_correction", "alignment")
MAKER = "itermask"
NOTICE = "Research use, not a diagnosis"


@dataclass(frozen=True)
class Identity:
    """What all results of one finding share.

    Attributes:
        key: text that stands for the series, the model, the settings and the mask.
        number: SeriesNumber of the source.
        model: name and version of the model.
        parameters: how the scan was processed, by name, as text.
    """

    key: str
    number: int
    model: str
    parameters: dict[str, str]

    def uid(self, role: str) -> str:
        """Return a UID for a part, such as `overlay 12`: a name-based UUID (version 5) under the root 2.25."""
        return f"2.25.{uuid5(NAMESPACE_OID, f'{self.key} {role}').int}"

    def series_number(self, nth: int) -> int:
        """Return the number of the `nth` (from 1) series of results: 501, 502, … for series 5."""
        return 100 * self.number + nth


def identify(series: Series, finding: Finding) -> Identity:
    """Return the identity of what was found in a series.

    Args:
        series: that was processed.
        finding: what was found.

    Returns:
        the identity; equal for equal source images, model, settings, version of this package and mask.
    """
    settings = {key: value for key, value in finding.settings.items() if key not in ASIDE}
    version = finding.versions.get("model", "")
    parts = {
        "series": series.uid,
        "images": [(frame.uid, frame.number) for frame in series.frames],
        "settings": plain(settings),
        "model": version,
        "itermask": __version__,
        "mask": sha256(np.packbits(finding.anomaly).tobytes()).hexdigest(),
    }
    key = sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    model = f"{finding.settings.get('model', 'unknown')} {version}".strip()
    shown = {name: _short(settings[name]) for name in SHOWN if name in settings}
    return Identity(key, max(series.number or 0, 0), model, {"model": model} | shown)


def device_uid() -> str:
    """Return the UID of this version of the program as the device that observed something.

    Example:
        >>> device_uid().startswith("2.25.")
        True
    """
    return f"2.25.{uuid5(NAMESPACE_OID, f'{MAKER} {__version__}').int}"


def _short(value: object) -> str:
    """Return a setting as text."""
    if isinstance(value, dict):
        return " ".join(f"{key}={_short(each)}" for key, each in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
