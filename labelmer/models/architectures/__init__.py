"""The architectures that a variant can have. Each is a module here, and found by its name.

`architecture: label-guided` is the module label_guided: a file, or a folder where the network has
a file of its own. It holds

    Options                            a kind of models.options.Options: its options and its checks
    untrained(options, rows, classes)  a parts.Network, where it is one; arguments as there

The workflow imports it to check a config, so it imports torch within untrained() alone.
"""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from labelmer.base.errors import InputError
from labelmer.models.options import Options

if TYPE_CHECKING:
    from torch import nn

DEFAULT = "label-guided"


def names() -> list[str]:
    """The names of the architectures that there are, sorted."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def module_of(name: str) -> str:
    """Dotted name, within the package, of an architecture's module; InputError: there is none."""
    if name not in names():
        raise InputError(
            f"model: architecture '{name}', expected one of {names()}; correct it, or put its "
            "module into labelmer/models/architectures"
        )
    return f"models.architectures.{name.replace('-', '_')}"


def module(name: str) -> ModuleType:
    """The module of an architecture."""
    return importlib.import_module(f"labelmer.{module_of(name)}")


def options(given: Mapping[str, Any]) -> Any:
    """The options of a variant: those of its architecture, from a dict as config.yaml has it."""
    given = {"architecture": DEFAULT, **given}
    return module(given["architecture"]).Options.of(given)


def untrained(options: Options, rows: Mapping[str, Sequence[int]], classes: int) -> "nn.Module":
    """An untrained network of the options' architecture; arguments as of parts.Network.

    InputError: the architecture is no network.
    """
    if options.kind != "network":
        raise InputError(
            f"model: architecture {options.architecture} is no network, expected one that can be "
            f"trained; `labelmer {options.kind}` fits the baseline"
        )
    return module(options.architecture).untrained(options, rows, classes)
