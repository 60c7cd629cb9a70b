"""The optional parts of the package: which are complete, and what each missing one would add."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version

from packaging.requirements import Requirement

FOR_WORK_ON_IT = ("dev", "docs")  # not for those who use the package
ADDS = {
    "align": "alignment of heads with the MNI152 template, for models that work along its axes",
    "artifacts": "TorchIO's artifacts, for itermask corrupt and benchmarks",
    "bids": "the BIDS validator, which itermask bids asks before it starts",
    "brain": "deepbet, which finds the brain in T1w scans more closely than the bundled network",
    "brain-any": "HD-BET, for programs that ask for it: itermask.prepare.brain.HdBet",
    "brain-lean": "what deepbet needs but the toolkit of its window; then pip install --no-deps deepbet",
    "cluster": "Dask clusters, for itermask bids and cohort --dask",
    "dicom": "DICOM series in, DICOM results out",
    "diffusion": "the published networks of the 2D methods, by MONAI",
    "evaluation": "ranking and similarity measures, for itermask evaluate",
    "export": "models as ONNX files, python -m itermask.models.export",
    "mutants": "cosmic-ray, which scripts/mutants.py changes the source with",
    "node": "the DICOM node, itermask listen",
    "openvino": "the runtime --device openvino",
    "prepare": "bias correction, --n4",
    "train": "TensorBoard curves of a training",
}


@dataclass(frozen=True)
class Extra:
    """One optional part.

    Attributes:
        name: of the extra.
        complete: whether all its packages are installed in versions that it takes.
        missing: packages that are not, as `name`, or as `name>=2 (1.0 is installed)`.
        adds: what it makes possible; "" for one that is not known here.
        install: the command that completes it.
    """

    name: str
    complete: bool
    missing: list[str]
    adds: str
    install: str


def find_extras(package: str = "itermask") -> list[Extra]:
    """Return the extras of an installed package, by name; none where it runs without being installed.

    Example:
        >>> all(found.name for found in find_extras())
        True
    """
    try:
        found = distribution(package)
    except PackageNotFoundError:
        return []
    names = sorted(set(found.metadata.get_all("Provides-Extra") or ()) - set(FOR_WORK_ON_IT))
    wanted = [Requirement(text) for text in found.requires or ()]
    return [_extra(package, name, wanted) for name in names]


def _extra(package: str, name: str, wanted: list[Requirement]) -> Extra:
    own = [one for one in wanted if one.marker and one.marker.evaluate({"extra": name})]
    always = {str(one) for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})}
    missing = [text for one in own if str(one) not in always and (text := missing_part(one))]
    return Extra(name, not missing, missing, ADDS.get(name, ""), f"pip install '{package}[{name}]'")


def missing_part(wanted: Requirement) -> str:
    """Return what lacks to a requirement; "" if it is met.

    Example:
        >>> missing_part(Requirement("numpy>=1"))
        ''
    """
    try:
        there = version(wanted.name)
    except PackageNotFoundError:
        return wanted.name
    fits = wanted.specifier.contains(there, prereleases=True)
    return "" if fits else f"{wanted.name}{wanted.specifier} ({there} is installed)"
