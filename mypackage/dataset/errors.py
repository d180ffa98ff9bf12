"""The one error of this package."""


class DatasetError(RuntimeError):
    """The dataset cannot be fetched; the message says why and what to do."""
