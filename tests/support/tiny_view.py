"""A folder of results to look through: one real finding, others made from it, and records of a cohort."""

import http.client
import json
import shutil

import pytest
from test_report import head

from itermask.apps.cohort.manifest import Record, write_record
from itermask.io.outputs import write_finding
from itermask.results.report import pictures
from itermask.types import VERDICTS

HERE = "127.0.0.1"


def write_run(folder, **changes):
    """The results of one scan, as `itermask run` writes them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "ROW_WIDTH", 200)  # pictures of noise take long to compress
        return write_finding(*head(**changes), folder)


def copy_run(source, folder, score=1.0, verdict=VERDICTS[0], **changes):
    """The same results with other numbers."""
    shutil.copytree(source, folder)
    path = folder / "finding.json"
    told = json.loads(path.read_text()) | {"score": score, "verdict": verdict} | changes
    if told["scores"]:
        told["scores"]["profile_distance"]["value"] = score
    path.write_text(json.dumps(told))
    return folder


def record(name, score=None, verdict=VERDICTS[0], reason="", outputs=(), **figures):
    """A record of a cohort's manifest."""
    told = {
        "verdict": verdict, "score": score, "percentile": 50.0, "anomaly_fraction": 0.01, "anomaly_ml": 12.5,
        "healthy_median": 1.0, "healthy_p95": 2.0, "warnings": ["mind this"], "model": "tiny",
    }  # fmt: skip
    state = "failed" if reason else "done"
    sizes = dict.fromkeys(outputs, 1)
    return Record(name, state, {}, "sub", "", "T1w", name, reason, sizes, {} if reason else told | figures)


def write_cohort(out, *records):
    """A cohort's manifest, with a short report wherever a record names one."""
    for one in records:
        for name in one.outputs:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text(f"<!DOCTYPE html><title>{one.name} – itermask report</title><p>{one.name}</p>")
        write_record(out, one)
    return out


def ask(server, path, method="GET", body=None, **headers):
    """Status, headers and content of an answer; `path` is below the server's secret unless it begins with `//`."""
    path = path[1:] if path.startswith("//") else f"/{server.secret}{path}"
    connection = http.client.HTTPConnection(HERE, server.port, timeout=300)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content
