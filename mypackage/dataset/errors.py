"""The errors of this package."""

import importlib
from typing import Any


class DatasetError(RuntimeError):
    """The dataset cannot be fetched; the message says why and what to do."""


class PassingError(DatasetError):
    """Another try may help; after so many seconds, where the server asked for them."""

    def __init__(self, message: str, *, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


def needed(name: str, advice: str) -> Any:
    """Import a library that not every image has; DatasetError with the advice where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DatasetError(advice) from error
