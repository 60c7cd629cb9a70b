"""The table of sizes: what it counts, on a tiny package whose numbers are known; and where it is put."""

import sys

import pytest

from anchors import BEGIN, END, OWN, circles, imported, main, modules_of, public, row  # isort: skip


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "made"
    (folder / "tests").mkdir(parents=True)
    for name, text in {
        "__init__.py": "from made.a import one\n",
        "a.py": 'from made import b\n\n\ndef one():\n    """Give.\n\n    >>> one()\n    """\n\n\ndef _hidden(): ...\n',
        "b.py": "try:\n    from .c import Two\nexcept ImportError:\n    pass\n\n\ndef two(): ...\n",
        "c.py": "import made.a\n\n\nclass Two:\n    def late(self):\n        import made.d\n",
        "d.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from made.e import Three\n",
        "e.py": "import made.d\n\n\nclass Three: ...\n",
        "_f.py": "def three(): ...\n",
        "tests/test_a.py": "def test_one(): ...\n",
    }.items():
        (folder / name).write_text(text)
    return folder


def test_a_circle_is_found_and_what_is_imported_late_makes_none(package):
    modules = modules_of(package)
    assert set(imported(modules["made.b"], "made.b", modules, False)) == {"made.c"}
    assert list(imported(modules["made.d"], "made.d", modules, False)) == []
    assert [set(group) for group in circles(modules, {"made"})] == [{"made.a", "made.b", "made.c"}]


def test_a_row_counts_modules_functions_names_and_examples(package):
    assert [node.name for node in public(modules_of(package))] == ["one", "two", "Two", "Three"]
    assert row(package, "made") == "| made | 7 | 4 (11) | 1 (5) | 4 | 50 % of 2 | 1 (3 modules) |"


def test_this_package_has_no_circle():
    modules = modules_of(OWN)
    packages = {name for name in modules if (OWN.parent / name.replace(".", "/") / "__init__.py").is_file()}
    assert circles(modules, packages) == []


def test_the_table_is_put_between_the_marks_and_only_there(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    monkeypatch.setattr(sys, "argv", ["anchors.py", "--into", str(page), "not_installed_at_all"])
    main()
    assert "not_installed_at_all: is not installed" in capsys.readouterr().err
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n| package |")
    assert text.endswith(f"|\n{END}\nafter\n")
    assert "old" not in text
    page.write_text("no marks\n")
    with pytest.raises(SystemExit, match="lacks the marks"):
        main()
