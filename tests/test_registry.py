"""Names of methods and networks: own ones, registered ones, and those of other packages, broken ones too."""

import json
import sys
from dataclasses import dataclass

import pytest
from tiny_model import tiny_card, tiny_model
from torch import nn

from itermask import methods, networks
from itermask.errors import InputError, PluginError
from itermask.methods import build_method, method_names, register_method
from itermask.methods.baselines.inpainting import Inpainting
from itermask.models.folder import CARD, load_model
from itermask.networks import BlockUNet, build_network, network_names, register_network
from itermask.registry import Group, find_registered, register, registered_names

GOOD = """
from dataclasses import dataclass
from itermask.methods.baselines.inpainting import Inpainting
from itermask.networks import BlockUNet

@dataclass
class Mine(Inpainting):
    name = "mine"

class Plain(Inpainting):
    name = "plain"

class MyNetwork(BlockUNet):
    pass
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Writes a package with entry points where Python finds it, without an installer."""
    monkeypatch.setattr(methods, "METHODS", dict(methods.METHODS))
    monkeypatch.setattr(networks, "NETWORKS", dict(networks.NETWORKS))

    def call(package, text, **groups):
        module, site = package.replace("-", "_"), tmp_path / package
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(text)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = []
        for group, names in groups.items():
            lines += [f"[itermask.{group}]", *(f"{name} = {module}:{kind}" for name, kind in names.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, module, raising=False)
        return module

    return call


def test_entry_points_are_listed_without_an_import_and_loaded_when_used(install):
    module = install("more-methods", GOOD, methods={"mine": "Mine"}, networks={"my-network": "MyNetwork"})
    assert "mine" in method_names()
    assert "my-network" in network_names()
    assert module not in sys.modules
    assert build_method("mine", {"steps": 7}).steps == 7
    assert isinstance(build_network("my-network", {"widths": [4, 8], "group_size": 4}), BlockUNet)
    with pytest.raises(InputError, match="method mine: unknown setting stepz, did you mean steps"):
        build_method("mine", {"stepz": 7})


def test_a_model_folder_of_a_packages_method_and_network_loads(install, tmp_path):
    tiny_model(tmp_path / "model")
    card = json.loads((tmp_path / "model" / CARD).read_text())
    card["method"] = "mine"
    card["networks"]["reconstruction"]["name"] = "my-network"
    (tmp_path / "model" / CARD).write_text(json.dumps(card))
    with pytest.raises(InputError, match=r"card\.json: unknown method 'mine'; .*needs that package installed"):
        load_model(tmp_path / "model", device="cpu")
    install("more-methods", GOOD, methods={"mine": "Mine"}, networks={"my-network": "MyNetwork"})
    loaded = load_model(tmp_path / "model", device="cpu")
    assert loaded.method.name == "mine"
    assert (loaded.method.steps, loaded.method.focused) == (5, False)


BROKEN = {
    "raises at import": ("raise RuntimeError('wrong\\nversion')", r"\(RuntimeError: wrong version\)"),
    "lacks a module": ("import nowhere_to_be_found", r"\(ModuleNotFoundError: No module named 'nowhere_to_be_found'\)"),
    "lacks the class": ("", r"\(AttributeError: .*Mine'\)"),
    "is no class": ("Mine = 3", r"\(ValueError: a .* must be a class derived from \w+, not 3\)"),
    "is of another class": ("class Mine: ...", r"\(ValueError: a .* must be a class derived from \w+, not "),
}


@pytest.mark.parametrize("what", ["method", "network"])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_package_is_named_in_one_line(install, tmp_path, name, what):
    text, why = BROKEN[name]
    install("broken-package", text, **{f"{what}s": {"mine": "Mine"}})
    build = build_method if what == "method" else build_network
    with pytest.raises(
        PluginError, match=f"^the {what} 'mine' of the package broken-package cannot be loaded {why}"
    ) as said:
        build("mine", {})
    assert "\n" not in str(said.value)
    assert "mine" in (method_names() if what == "method" else network_names())
    tiny_model(tmp_path / "model")
    card = tiny_card()
    if what == "method":
        card["method"] = "mine"
    else:
        card["networks"]["reconstruction"]["name"] = "mine"
    (tmp_path / "model" / CARD).write_text(json.dumps(card))
    with pytest.raises(InputError, match="broken-package") as said:
        load_model(tmp_path / "model", device="cpu")
    assert "copy the model again" not in str(said.value)


@pytest.mark.parametrize("kind", ["Mine", "Plain"])
def test_a_method_under_a_wrong_name_or_without_fields_is_refused(install, kind):
    install("more-methods", GOOD, methods={"other": kind})
    with pytest.raises(PluginError, match="'other' of more_methods must be a dataclass whose `name` is 'other'"):
        build_method("other")


def test_two_packages_with_one_name_are_both_named(install):
    install("one", GOOD, methods={"mine": "Mine"})
    install("two", GOOD, methods={"mine": "Mine"})
    with pytest.raises(PluginError, match="packages one and two both name a method 'mine'"):
        build_method("mine")


def test_a_package_cannot_take_an_own_name(install):
    module = install("thief", GOOD, methods={"inpainting": "Mine"})
    assert type(build_method("inpainting")) is Inpainting
    assert module not in sys.modules


def test_registered_classes_are_built_and_names_are_not_given_twice(install):
    @register_method
    @dataclass
    class Own(Inpainting):
        name = "own"

    class OwnNetwork(BlockUNet):
        pass

    register_network("own-network", OwnNetwork)
    assert type(build_method("own")) is Own
    assert type(build_network("own-network", {})) is OwnNetwork
    register_method(Own)  # the same once more, as when a notebook's cell is run again with one class
    register_network("own-network", OwnNetwork)
    with pytest.raises(ValueError, match="there is a network 'own-network' already"):
        register_network("own-network", BlockUNet)
    with pytest.raises(ValueError, match="there is a method 'inpainting' already"):
        register_method(Inpainting)
    with pytest.raises(ValueError, match="must be a dataclass"):
        register_method(nn.Module)
    with pytest.raises(ValueError, match="derived from Module"):
        register_network("more", dict)


def test_a_table_holds_classes_and_paths_of_classes():
    group, table = Group("number", "itermask.numbers", object), {"one": "fractions:Fraction"}
    register(group, table, "two", int)
    assert registered_names(group, table) == ["one", "two"]
    assert [find_registered(group, table, name).__name__ for name in table] == ["Fraction", "int"]
