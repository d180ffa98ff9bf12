"""The errors of fetching a dataset."""

import importlib
from typing import Any


class DatasetError(RuntimeError):
    """The dataset cannot be fetched; the message says why and what to do."""


class PassingError(DatasetError):
    """Another try may help; ``after_seconds`` is the pause that the server asked for, if any."""

    def __init__(self, message: str, *, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


def needed(name: str, advice: str) -> Any:
    """Import an optional library; raise DatasetError with the advice if it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise DatasetError(advice) from None
