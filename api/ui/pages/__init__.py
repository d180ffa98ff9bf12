"""One module for each kind of page. All that is decorated with ``page`` in these is found here."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from api.ui.page import Page


def found_pages() -> Iterator[Page]:
    """Yield all pages."""
    for module in iter_modules(__path__, f"{__name__}."):
        for value in vars(import_module(module.name)).values():
            if isinstance(value, Page) and value.view.__module__ == module.name:
                yield value
