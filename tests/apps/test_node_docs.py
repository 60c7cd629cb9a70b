"""docs/node.md names every setting, with its default, and every answer; its snippet runs."""

import re
from dataclasses import fields
from pathlib import Path

from tiny_node import some_config

from itermask.apps.node import config as settings
from itermask.apps.node import header, serve
from itermask.apps.node.config import NodeConfig, example, read_config

PAGE = (Path(__file__).parents[2] / "docs" / "node.md").read_text()
SNIPPET = re.search(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]


def test_every_setting_is_named():
    parts = {"complete", "look", "deliver", "page", "keep", "watch", "tls"}
    sections = [getattr(settings, name.capitalize()) for name in (*parts, *settings.LISTS)]
    names = {each.name for section in sections for each in fields(section)} - {"models", "sequences"}
    names |= {"title", "address", "port", "folder"}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()
    for name in (*parts, *settings.LISTS, "look.models", "look.sequences"):
        assert f"[{name}]" in PAGE


def test_defaults_are_those_of_the_program():
    known = NodeConfig(Path("node"))
    waits, sent, keep = known.complete, known.deliver, known.keep
    for cells in (
        f"| {known.title}`, {known.address}, {known.port} |".replace("| ", "| `", 1),
        f"| {waits.quiet:g}, {waits.released:g}, {waits.patience:g}, {waits.study:g} s |",
        f"| {sent.first_wait:g} s, {sent.longest_wait:g} s, {sent.give_up_hours:g} |",
        f"| {known.page.address}, {known.page.port} |",
        f"| {keep.quota_gb:g}, {keep.free_gb:g}, {keep.days:g} |",
        f"| `[look]` `minutes` | {known.look.minutes:g} |",
    ):
        assert cells in PAGE


def test_every_answer_is_named():
    for status in (header.NO_SUCH_CLASS, header.NO_ROOM, header.MISMATCH, header.NOT_UNDERSTOOD):
        assert f"0x{status:04X}" in PAGE


def test_the_snippet_runs(tmp_path, monkeypatch):
    (tmp_path / "node.toml").write_text(re.sub("(?m)^port = .*", "port = 0", example()))
    monkeypatch.chdir(tmp_path)
    assert read_config("node.toml").folder == some_config("node").folder
    monkeypatch.setattr(serve.Node, "wait", lambda node: node.ask_to_stop())
    exec(compile(SNIPPET, "docs/node.md", "exec"), {"__name__": "__main__"})
    assert (tmp_path / "node" / "queue.sqlite").exists()
