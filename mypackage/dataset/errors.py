"""The errors of this package."""


class DatasetError(RuntimeError):
    """The dataset cannot be fetched; the message says why and what to do."""


class PassingError(DatasetError):
    """Another try may help; after so many seconds, where the server asked for them."""

    def __init__(self, message: str, *, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds
