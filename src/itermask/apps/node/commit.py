"""Storage commitment: a sender asks whether its images are safe, and gets a report in a connection of its own.

The node commits to images that lie on its disk. It keeps them at least until the results of their series are delivered.
"""

import ssl
from typing import Any

from itermask.apps.node.deliver import NotSentError, connect
from itermask.apps.node.outbox import Report
from itermask.apps.node.store import Store

PUSH_MODEL, PUSH_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
REQUEST = 1  # action type
ALL_SAFE, SOME_NOT = 1, 2  # event types
NOT_HERE, OTHER_CLASS = 0x0112, 0x0119
MOST = 100_000  # images in a request


def read_request(information: Any) -> dict[str, Any]:
    """Return what a request asks for, as JSON holds it.

    Args:
        information: dataset of the N-ACTION request.

    Raises:
        ValueError: it names no transaction or no images.
    """
    transaction = str(information.get("TransactionUID") or "")
    items = information.get("ReferencedSOPSequence") or []
    asked = [[str(each.get("ReferencedSOPClassUID")), str(each.get("ReferencedSOPInstanceUID"))] for each in items]
    if not transaction or not asked or len(asked) > MOST:
        raise ValueError("the request names no transaction or no images")
    return {"transaction": transaction, "images": asked}


def answer(store: Store, asked: dict[str, Any]) -> tuple[int, Any]:
    """Return the report on a request, by what is on the disk now.

    Args:
        store: of the node.
        asked: from `read_request`.

    Returns:
        event type, and the dataset of an N-EVENT-REPORT request.
    """
    from pydicom.dataset import Dataset

    safe, failed = [], []
    for kind, uid in asked["images"]:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = kind, uid
        held = store.holds(uid)
        if kind in held:
            safe.append(item)
        else:
            item.FailureReason = OTHER_CLASS if held else NOT_HERE
            failed.append(item)
    report = Dataset()
    report.TransactionUID = asked["transaction"]
    if safe:
        report.ReferencedSOPSequence = safe
    if failed:
        report.FailedSOPSequence = failed
    return (SOME_NOT if failed else ALL_SAFE), report


def send_report(store: Store, report: Report, own_title: str, context: ssl.SSLContext | None) -> int:
    """Tell a sender which of its images are safe.

    Returns:
        how many are not.

    Raises:
        NotSentError: it did not take the report.
    """
    from pynetdicom import build_role

    event, dataset = answer(store, report.asked)
    role = build_role(PUSH_MODEL, scu_role=False, scp_role=True)
    association = connect(own_title, report.title, report.host, report.port, context, [PUSH_MODEL], ext_neg=[role])
    try:
        status, _ = association.send_n_event_report(dataset, event, PUSH_MODEL, PUSH_INSTANCE)
    except (ValueError, RuntimeError) as error:
        raise NotSentError(f"it does not take reports ({error})") from error
    finally:
        if association.is_established:
            association.release()
    if "Status" not in status or int(status.Status) not in (0x0000, DUPLICATE_EVENT):
        raise NotSentError("it did not take the report")
    return len(dataset.get("FailedSOPSequence", []))


DUPLICATE_EVENT = 0x0111
