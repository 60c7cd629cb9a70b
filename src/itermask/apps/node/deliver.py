"""Results of a run go to a destination: one connection, C-STORE for each file."""

import ssl
from pathlib import Path
from typing import Any

from itermask.apps.node.config import Destination
from itermask.apps.node.extras import pynetdicom
from itermask.io.dicom.extras import pydicom
from itermask.io.dicom.write import DOCUMENT, FOLDER, KEYS, OVERLAY, PAGE, REPORT, SEGMENTATION

WHERE = {"segmentation": SEGMENTATION, "report": REPORT, "overlay": f"{OVERLAY}/*.dcm"}
WHERE |= {"key images": KEYS, "summary page": PAGE, "summary pdf": DOCUMENT}
SECONDARY, RLE = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.1.2.5"
DUPLICATE = 0x0111  # the peer has this instance: as good as taken
TIMEOUT = 30.0  # seconds that a peer may be silent


class NotSentError(Exception):
    """A destination has not taken everything; the message says why, `taken` what it has."""

    def __init__(self, reason: str, taken: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.taken = taken


def files_to_send(folder: Path, destination: Destination) -> list[Path]:
    """Return the files of a run's results that a destination gets."""
    return [path for part in destination.send for path in sorted((folder / FOLDER).glob(WHERE[part]))]


def send(
    folder: Path,
    destination: Destination,
    own_title: str,
    taken: tuple[str, ...] = (),
    context: ssl.SSLContext | None = None,
) -> int:
    """Send the results of a run.

    Args:
        folder: of the results.
        destination: who gets them.
        own_title: AE title of this node.
        taken: UIDs of those that it already has.
        context: of TLS, if the destination wants it.

    Returns:
        how many were sent.

    Raises:
        NotSentError: not everything was taken.
        MissingExtraError: pynetdicom is not installed.
    """
    paths = files_to_send(folder, destination)
    if not paths:
        raise NotSentError("the results are gone from the node's disk")
    datasets = [pydicom().dcmread(path) for path in paths]
    datasets = [each for each in datasets if str(each.SOPInstanceUID) not in taken]
    if not datasets:
        return 0
    association = connect(
        own_title,
        destination.title,
        destination.host,
        destination.port,
        context if destination.tls else None,
        sorted({str(each.SOPClassUID) for each in datasets}),
    )
    new: list[str] = []
    problems: list[str] = []
    try:
        for each in datasets:
            problem = _store(association, each)
            if problem:
                problems.append(f"{each.SOPClassUID.name}: {problem}")
            else:
                new.append(str(each.SOPInstanceUID))
            if not association.is_established:
                break
    finally:
        if association.is_established:
            association.release()
    if problems or len(new) < len(datasets):
        raise NotSentError(problems[0] if problems else "the connection was cut", tuple(new))
    return len(new)


def connect(
    own_title: str,
    title: str,
    host: str,
    port: int,
    context: ssl.SSLContext | None,
    classes: list[str],
    **more: Any,
) -> Any:
    """Return an open association.

    Args:
        own_title: calling AE title.
        title: called AE title.
        host: of the peer.
        port: of the peer.
        context: of TLS, or None.
        classes: SOP classes to propose.
        **more: given to pynetdicom's `associate`.

    Raises:
        NotSentError: there is none; the message says why.
    """
    entity = pynetdicom().AE(ae_title=own_title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = TIMEOUT
    entity.connection_timeout = TIMEOUT
    for uid in classes:
        entity.add_requested_context(uid)
        if uid == SECONDARY:  # pictures are compressed, for those who take that
            entity.add_requested_context(uid, RLE)
    if context is not None:
        more["tls_args"] = (context, host)
    try:
        association = entity.associate(host, port, ae_title=title, **more)
    except (OSError, ValueError, RuntimeError) as error:
        raise NotSentError(f"no connection to {host} port {port} ({error})") from error
    if association.is_established:
        return association
    if association.is_rejected:
        primitive = association.acceptor.primitive
        raise NotSentError(f"{title} rejected the association ({getattr(primitive, 'reason_str', 'no reason given')})")
    if association.rejected_contexts:
        names = ", ".join(str(each.abstract_syntax.name) for each in association.rejected_contexts)
        raise NotSentError(f"{names}: not taken by this destination")
    raise NotSentError(f"no connection to {title} at {host} port {port}")


def _store(association: Any, dataset: Any) -> str:
    """Send one file; gives why it was not taken, or nothing."""
    try:
        syntax = str(dataset.file_meta.TransferSyntaxUID)
        taken = {str(each) for context in association.accepted_contexts for each in context.transfer_syntax}
        if syntax == RLE and RLE not in taken:
            dataset.decompress(generate_instance_uid=False)
        status = association.send_c_store(dataset)
    except (ValueError, RuntimeError) as error:
        text = str(error)
        return "not taken by this destination" if "presentation context" in text else text
    if "Status" not in status:
        return "no answer"
    code = int(status.Status)
    if code in (0x0000, DUPLICATE) or code & 0xF000 == 0xB000:
        return ""
    return f"refused with status 0x{code:04X}" + (f" ({status.ErrorComment})" if status.get("ErrorComment") else "")
