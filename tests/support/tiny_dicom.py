"""Tiny DICOM series made from arrays, classic and enhanced, and a finding on one of them."""

import zipfile
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import DS
from tiny_model import affine_of, oblique

from itermask.types import VERDICTS, Finding

MR, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"
SECONDARY, PRESENTATION = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.11.1"
SHAPE, SPACING = (7, 6, 5), (1.5, 2.0, 3.0)
FLIP = np.diag([-1.0, -1.0, 1.0])


def some_affine(degrees=(12.0, -8.0, 17.0)):
    """An oblique affine, voxel indices → RAS mm."""
    return oblique(affine_of(SPACING), degrees)


def some_image(shape=SHAPE, seed=0):
    """Whole numbers that differ from voxel to voxel."""
    return np.random.default_rng(seed).permutation(int(np.prod(shape))).reshape(shape).astype(np.int16)


def uid(*parts):
    """A UID made from some words and numbers."""
    return pydicom.uid.generate_uid(entropy_srcs=[str(part) for part in parts])


def numbers(values):
    """Decimal strings."""
    return [DS(float(value), auto_format=True) for value in np.ravel(values)]


def geometry(affine):
    """Orientation, pixel spacing and slice distance of an affine (columns, rows, slices → RAS)."""
    axes = FLIP @ affine[:3, :3]
    sizes = np.linalg.norm(axes, axis=0)
    directions = axes / sizes
    return numbers(directions[:, :2].T), numbers(sizes[[1, 0]]), numbers(sizes[2])[0]


def position(affine, index):
    """ImagePositionPatient of a slice."""
    return numbers(FLIP @ (affine @ [0, 0, index, 1])[:3])


def base(kind, series=5, **changes):
    """What all images of a series say; a value of None takes the element away."""
    dataset = Dataset()
    values = {
        "SOPClassUID": kind,
        "StudyInstanceUID": uid("study"),
        "SeriesInstanceUID": uid("series", series),
        "FrameOfReferenceUID": uid("frame of reference"),
        "PositionReferenceIndicator": "",
        "SeriesNumber": series,
        "Modality": "MR",
        "Manufacturer": "Maker",
        "PatientName": "Müller^Anna",
        "PatientID": "id-1",
        "PatientBirthDate": "19700102",
        "PatientSex": "F",
        "StudyDate": "20200102",
        "StudyTime": "101112",
        "StudyID": "1",
        "AccessionNumber": "A1",
        "ReferringPhysicianName": "",
        "SpecificCharacterSet": "ISO_IR 192",
        "SeriesDescription": "MPRAGE sag",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
    }
    for keyword, value in (values | changes).items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def slices(image=None, affine=None, series=5, **changes):
    """A classic series as datasets, one a slice."""
    image = some_image() if image is None else image
    affine = some_affine() if affine is None else affine
    orientation, pixel, distance = geometry(affine)
    made = []
    for index in range(image.shape[2]):
        classic = {
            "SOPInstanceUID": uid(series, index, changes.get("SeriesDescription"), changes.get("EchoTime")),
            "InstanceNumber": index + 1,
            "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
            "ScanningSequence": ["GR", "IR"],
            "SequenceVariant": "SP",
            "ScanOptions": "",
            "MRAcquisitionType": "3D",
            "EchoTrainLength": 1,
            "RepetitionTime": 2300,
            "EchoTime": 2.98,
            "InversionTime": 900,
            "FlipAngle": 9,
            "ImageOrientationPatient": orientation,
            "ImagePositionPatient": position(affine, index),
            "PixelSpacing": pixel,
            "SliceThickness": distance,
            "Rows": image.shape[1],
            "Columns": image.shape[0],
            "PixelData": np.ascontiguousarray(image[:, :, index].T).tobytes(),
        }
        made.append(base(MR, series, **(classic | changes)))
    return made


def enhanced(image=None, affine=None, series=5, order=None, **changes):
    """The same as one enhanced (multi-frame) image; `order` says which slice each frame holds."""
    image = some_image() if image is None else image
    affine = some_affine() if affine is None else affine
    order = range(image.shape[2]) if order is None else order
    orientation, pixel, distance = geometry(affine)
    shared = group(
        PlaneOrientationSequence={"ImageOrientationPatient": orientation},
        PixelMeasuresSequence={"PixelSpacing": pixel, "SliceThickness": distance},
        MRTimingAndRelatedParametersSequence={"RepetitionTime": 2300, "FlipAngle": 9},
        MRModifierSequence={"InversionTimes": 900.0, "InversionRecovery": "YES"},
        MRImageFrameTypeSequence={"FrameType": ["ORIGINAL", "PRIMARY", "M", "NONE"]},
    )
    frames = [
        group(
            PlanePositionSequence={"ImagePositionPatient": position(affine, index)},
            MREchoSequence={"EffectiveEchoTime": 2.98},
            FrameContentSequence={"StackID": "1", "InStackPositionNumber": number + 1},
        )
        for number, index in enumerate(order)
    ]
    values = {
        "SOPInstanceUID": uid("enhanced", series),
        "InstanceNumber": 1,
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "NONE"],
        "EchoPulseSequence": "GRADIENT",
        "AcquisitionContrast": "T1",
        "NumberOfFrames": len(frames),
        "Rows": image.shape[1],
        "Columns": image.shape[0],
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": frames,
        "PixelData": np.ascontiguousarray(image[:, :, list(order)].T).tobytes(),
    }
    return base(ENHANCED_MR, series, **(values | changes))


def group(**sequences):
    """Functional groups: sequences of one item each."""
    outer = Dataset()
    for name, values in sequences.items():
        inner = Dataset()
        for keyword, value in values.items():
            setattr(inner, keyword, value)
        setattr(outer, name, [inner])
    return outer


def save(folder: Path, datasets, name="{:04d}.dcm"):
    """Write datasets into a folder; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, dataset in enumerate([datasets] if isinstance(datasets, Dataset) else datasets):
        path = folder / name.format(number)
        dataset.file_meta.MediaStorageSOPClassUID = UID(dataset.SOPClassUID)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def zipped(folder: Path, path: Path):
    """A folder's files as a zip."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def some_finding(scan, anomaly=None, **changes):
    """A finding on a scan; the anomaly is a small box in two slices unless given."""
    brain = np.zeros(scan.image.shape, bool)
    brain[1:-1, 1:-1, 1:] = True
    if anomaly is None:
        anomaly = np.zeros(scan.image.shape, bool)
        anomaly[2:4, 1:3, 2:4] = True
    parts = {
        "anomaly": anomaly,
        "error": brain.astype(np.float32),
        "reconstruction": np.where(brain, scan.image, 0).astype(np.float32),
        "brain": brain,
        "affine": scan.affine,
        "score": 1.5,
        "anomaly_fraction": 0.25,
        "mean_error": 0.5,
        "percentile": 97.5,
        "verdict": VERDICTS[1],
        "threshold": 0.7,
        "scores": {"mask_size": {"value": 0.25, "percentile": 97.5}, "mean_error": {"value": 0.5}},
        "search": {},
        "profile": {},
        "warnings": (),
        "timings": {},
        "settings": {
            "scan": scan.name,
            "model": "tiny",
            "method": "itermask3d",
            "operating_point": {"gamma": 1.3},
            "seed": 0,
            "brain_mask": "given",
            "computed_with": "cpu",
        },
        "versions": {"model": "3"},
    }
    return Finding(**(parts | changes))
