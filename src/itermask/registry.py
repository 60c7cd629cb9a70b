"""Classes by name: the package's own, what a program registers while it runs, and the entry points of other packages.

The package's own names stand in a table, and the classes of other packages are found by their entry points when a name
is not in it. So nothing is imported before it is used, and no other package can take one of the package's own names.
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from itermask.errors import InputError, PluginError

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Group(Generic[Kind]):
    """One sort of classes that can be registered.

    Attributes:
        noun: what one of them is, for messages: `method`.
        entry_points: the group of entry points in which other packages name theirs.
        base: the class that all of them derive from.
    """

    noun: str
    entry_points: str
    base: type[Kind]


def register(group: Group[Kind], table: MutableMapping[str, "type[Kind] | str"], name: str, kind: type[Kind]) -> None:
    """Add a class to a table of names.

    >>> noises, found = Group("noise", "itermask.noises", object), {}
    >>> register(noises, found, "rician", int)
    >>> registered_names(noises, found)
    ['rician']

    Raises:
        ValueError: another class has the name, or `kind` does not derive from the group's base class.
    """
    _check(group, kind)
    if table.get(name, kind) is not kind:
        raise ValueError(f"there is a {group.noun} {name!r} already; choose another name")
    table[name] = kind


def registered_names(group: Group[Kind], table: Mapping[str, "type[Kind] | str"]) -> list[str]:
    """Return every name of a group, sorted; no package is imported.

    Example:
        >>> from itermask.networks import network_names
        >>> "guided-unet" in network_names()
        True
    """
    return sorted({*table, *(found.name for found in entry_points(group=group.entry_points))})


def find_registered(group: Group[Kind], table: Mapping[str, "type[Kind] | str"], name: str) -> type[Kind]:
    """Return the class of a name, from the table or else from another package's entry point.

    Args:
        group: what is looked for.
        table: name → class, or `module:class`, which is imported now.
        name: of the class.

    Raises:
        InputError: nothing has the name.
        PluginError: the package that has it cannot be loaded, or two packages have it; the message names them.

    Example:
        >>> noises = Group("noise", "itermask.noises", object)
        >>> find_registered(noises, {"rician": "builtins:int"}, "rician").__name__
        'int'
    """
    if name in table:
        known = table[name]
        if not isinstance(known, str):
            return known
        module, _, attribute = known.partition(":")
        found: type[Kind] = getattr(import_module(module), attribute)
        return found
    offered = list(entry_points(group=group.entry_points, name=name))
    if not offered:
        raise InputError(
            f"unknown {group.noun} {name!r}; known are {', '.join(registered_names(group, table))}; "
            f"a {group.noun} of another package needs that package installed"
        )
    packages = sorted({_package(one) for one in offered})
    if len(packages) > 1:
        raise PluginError(f"the packages {' and '.join(packages)} both name a {group.noun} {name!r}; uninstall one")
    return _load(group, offered[0])


def _load(group: Group[Kind], offered: EntryPoint) -> type[Kind]:
    """Return the class of an entry point; a `PluginError` names the package if it is none."""
    try:
        found: type[Kind] = offered.load()
        _check(group, found)
    except Exception as error:  # anything may happen while another package is imported
        why = " ".join(str(error).split()) or "no message"
        raise PluginError(
            f"the {group.noun} {offered.name!r} of the package {_package(offered)} cannot be loaded "
            f"({type(error).__name__}: {why}); update or uninstall that package"
        ) from error
    return found


def _check(group: Group[Kind], kind: object) -> None:
    """Refuse what is not a class of a group, with `ValueError`."""
    if not (isinstance(kind, type) and issubclass(kind, group.base)):
        raise ValueError(f"a {group.noun} must be a class derived from {group.base.__name__}, not {kind!r}")


def _package(offered: EntryPoint) -> str:
    """Return the name of the package that an entry point belongs to."""
    return offered.dist.name if offered.dist is not None else offered.value
