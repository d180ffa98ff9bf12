"""The Python client of the service, over HTTP: users import `Client` from here. Needs only requests, not MLflow."""

from .client import Client
from .errors import ClientError, NotAuthenticated, Refused, ServerUnreachable, UnexpectedAnswer, WaitTimeout
from .job import ENDED, JobHandle

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
