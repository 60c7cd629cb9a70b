"""Docstrings say what a function does, as an order: "Return …", "Draw …", in the first word."""

import ast
import re
from pathlib import Path

import pytest

import itermask

SOURCE = Path(itermask.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
# First words of a noun phrase or a question: the docstring then describes a thing, not what the function does.
NO_VERB = re.compile(
    r"(What|How|Why|Whether|Where|Which|Who|Whose|When|The|A|An|One|All|Some|Any|Every|Each|Everything|Nothing|Something|"
    r"There|For|With|Until|Seconds|Number|Position|Description|Text|Letters|Bytes|Files|Images|Options)\b"
)
PROPERTIES = {"property", "cached_property", "setter"}


def begins_without_a_verb(source: str) -> list[str]:
    """Return line and first line of the docstrings of a module's functions that do not begin with a verb."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef):
            continue
        names = (one.attr if isinstance(one, ast.Attribute) else getattr(one, "id", "") for one in node.decorator_list)
        text = ast.get_docstring(node) or ""
        if PROPERTIES.isdisjoint(names) and NO_VERB.match(text):
            found.append(f"{node.lineno}: {node.name}: {text.splitlines()[0]}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_functions_are_described_by_a_verb(path):
    assert begins_without_a_verb(path.read_text()) == []


@pytest.mark.parametrize(
    ("text", "count"), [("Return whether it fits.", 0), ("Whether it fits.", 1), ("The mask.", 1), ("Thread it.", 0)]
)
def test_the_check_sees_first_words(text, count):
    assert len(begins_without_a_verb(f'def one():\n    """{text}"""\n')) == count
    assert begins_without_a_verb(f'class One:\n    @property\n    def two(self):\n        """{text}"""\n') == []
