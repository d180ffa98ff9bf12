"""Collects the API's operations: all that are decorated in the modules below this folder.

Their docstrings are the API's documentation, written for the caller.
"""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

from api.operations.answers import Tag
from api.operations.operation import Operation


def operations() -> tuple[Operation, ...]:
    """Return all operations, in the order of the documentation."""
    return tuple(sorted(_found(), key=_place))


def _found() -> Iterator[Operation]:
    for module in walk_packages(__path__, f"{__name__}."):
        for value in vars(import_module(module.name)).values():
            if isinstance(value, Operation) and value.view.__module__ == module.name:
                yield value


def _place(each: Operation) -> tuple[int, int, str, str]:
    return [*Tag].index(each.tag), each.path.count("/"), each.path, each.method
