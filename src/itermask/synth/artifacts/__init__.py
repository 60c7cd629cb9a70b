"""Ways to corrupt a scan on purpose, one file each; every module here registers its artifacts when imported."""

from importlib import import_module
from pkgutil import iter_modules

from itermask.synth.artifacts.base import ARTIFACTS, Artifact, Corrupted, Subject, corrupt, register, replay, summary

__all__ = ["ARTIFACTS", "Artifact", "Corrupted", "Subject", "corrupt", "register", "replay", "summary"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
