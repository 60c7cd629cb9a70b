"""How long modules and functions are, how much is public and shown by example, and which modules import in circles.

    python scripts/anchors.py torchio nibabel einops monai
    python scripts/anchors.py --into docs/architecture.md torchio nibabel einops monai
    python scripts/anchors.py --lacking core evaluation.metrics

Prints a Markdown table of this package and of the packages named, as they are installed; those that are not installed
are left out and named. With `--into` the table replaces the one between the two marks in that file. With `--lacking`
the public functions without an example are printed instead, a module a line: those of the whole package, or of the
parts of it that are named.

What is counted, from the source alone, without tests (folders and modules named `test…` or `conftest`):

* lines of modules (all) and of functions and methods (from `def` to the last line);
* public names: functions (overloads once) and classes at the top of modules whose path and own name have no leading
  underscore;
* examples: the share of the public functions whose docstring holds `>>>`;
* circles: groups of modules that import each other when they are imported; imports within functions and under
  `TYPE_CHECKING` do not count, nor does what a package's `__init__` gathers, by way of which all could be reached.
"""

import argparse
import ast
import statistics
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

OWN = Path(__file__).resolve().parents[1] / "src" / "itermask"
BEGIN, END = "<!-- anchors: begin -->", "<!-- anchors: end -->"
HEADER = (
    "| package | modules | module, lines: median (longest) | function, lines: median (longest) | public names "
    "| public functions with an example | import circles |"
)
Functions = ast.FunctionDef | ast.AsyncFunctionDef


def modules_of(folder: Path) -> dict[str, ast.Module]:
    """Return every module of a package by its dotted name, parsed."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = [folder.name, *path.relative_to(folder).with_suffix("").parts]
        if any(part.startswith("test") or part == "conftest" for part in parts[1:]):
            continue
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


def lines_of(folder: Path) -> list[int]:
    """Return the lines of each module of a package."""
    paths = (path for path in folder.rglob("*.py") if path.is_file())
    kept = (
        path
        for path in paths
        if not any(part.startswith("test") or part == "conftest.py" for part in path.relative_to(folder).parts)
    )
    return [len(path.read_text(encoding="utf-8").splitlines()) for path in kept]


def public(modules: dict[str, ast.Module]) -> list[Functions | ast.ClassDef]:
    """Return the public functions and classes at the top of public modules."""
    return [
        node
        for name, tree in modules.items()
        if not any(part.startswith("_") for part in name.split("."))
        for node in tree.body
        if isinstance(node, Functions | ast.ClassDef) and not node.name.startswith("_")
        if not any("overload" in ast.dump(decorator) for decorator in node.decorator_list)
    ]


def lacking(modules: dict[str, ast.Module]) -> dict[str, list[str]]:
    """Return the public functions without an example, by module; modules that lack none are left out."""
    found = {
        name: [
            node.name
            for node in public({name: tree})
            if isinstance(node, Functions) and ">>>" not in (ast.get_docstring(node) or "")
        ]
        for name, tree in modules.items()
    }
    return {name: functions for name, functions in found.items() if functions}


def imported(tree: ast.Module, name: str, modules: dict[str, ast.Module], is_package: bool) -> Iterator[str]:
    """Yield the modules of the same package that a module imports while it is imported."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".")[: len(name.split(".")) - node.level + is_package] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                one = f"{base}.{alias.name}"
                if one in modules or base in modules:
                    yield one if one in modules else base
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += list(node.orelse)
        elif not isinstance(node, Functions):
            waiting += ast.iter_child_nodes(node)


def circles(modules: dict[str, ast.Module], packages: set[str]) -> list[list[str]]:
    """Return the groups of modules that import each other, largest first; packages' `__init__` are left out."""
    names = [name for name in modules if name not in packages]
    index_of = {name: index for index, name in enumerate(names)}
    edges = [
        (index_of[name], index_of[other])
        for name in names
        for other in imported(modules[name], name, modules, name in packages)
        if other in index_of and other != name
    ]
    rows, columns = np.array(edges, dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(edges)), (rows, columns)), shape=(len(names), len(names)))
    _, groups = connected_components(graph, directed=True, connection="strong")
    found = [[names[index] for index in np.flatnonzero(groups == group)] for group in np.unique(groups)]
    return sorted((group for group in found if len(group) > 1), key=len, reverse=True)


def row(folder: Path, title: str) -> str:
    """Return a package's line of the table."""
    modules = modules_of(folder)
    lengths = lines_of(folder)
    functions = [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for tree in modules.values()
        for node in ast.walk(tree)
        if isinstance(node, Functions)
    ]
    names = public(modules)
    shown = [">>>" in (ast.get_docstring(node) or "") for node in names if isinstance(node, Functions)]
    packages = {".".join([folder.name, *path.parent.relative_to(folder).parts]) for path in folder.rglob("__init__.py")}
    found = circles(modules, packages)
    size = f"{len(found)} ({sum(map(len, found))} modules)" if found else "none"
    return (
        f"| {title} | {len(lengths)} | {statistics.median(lengths):.0f} ({max(lengths)}) "
        f"| {statistics.median(functions):.0f} ({max(functions)}) | {len(names)} "
        f"| {100 * sum(shown) / max(1, len(shown)):.0f} % of {len(shown)} | {size} |"
    )


def table(packages: list[str]) -> str:
    """Return the table of this package and of the installed ones among `packages`."""
    rows = [row(OWN, "**itermask**")]
    for package in packages:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            print(f"{package}: is not installed; left out", file=sys.stderr)
            continue
        try:
            title = f"{package} {version(package)}"
        except PackageNotFoundError:
            title = package
        rows.append(row(Path(spec.origin).parent, title))
    return "\n".join([HEADER, "|" + "---|" * HEADER.count(" |"), *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", help="installed packages to compare with")
    parser.add_argument("--into", type=Path, help="Markdown file whose table is replaced")
    parser.add_argument("--lacking", action="store_true", help="print this package's functions without an example")
    chosen = parser.parse_args()
    if chosen.lacking:
        parts = tuple(f"itermask.{part}." for part in chosen.packages) or ("itermask",)
        for name, functions in lacking(modules_of(OWN)).items():
            if f"{name}.".startswith(parts):
                print(f"{name}: {', '.join(functions)}")
        return
    made = table(chosen.packages)
    print(made)
    if chosen.into is not None:
        text = chosen.into.read_text(encoding="utf-8")
        if BEGIN not in text or END not in text:
            sys.exit(f"{chosen.into}: lacks the marks {BEGIN} and {END}; put them where the table should stand")
        before, rest = text.split(BEGIN, 1)
        chosen.into.write_text(f"{before}{BEGIN}\n{made}\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
