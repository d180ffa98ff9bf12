"""The service from Python, over HTTP: users import `Client` from here. Needs requests only, and no MLflow."""

from .client import (
    ENDED,
    Client,
    ClientError,
    JobHandle,
    NotAuthenticated,
    Refused,
    ServerUnreachable,
    UnexpectedAnswer,
    WaitTimeout,
)

__all__ = [
    "ENDED",
    "Client",
    "ClientError",
    "JobHandle",
    "NotAuthenticated",
    "Refused",
    "ServerUnreachable",
    "UnexpectedAnswer",
    "WaitTimeout",
]
