"""The errors that the client raises. No message contains the token, or anything of a request's body.

ClientError
├── ServerUnreachable     nothing answers at the server's address, even after several tries
├── UnexpectedAnswer      what answers there is not this service, or a proxy before it failed
├── Refused               the service does not do what was asked; ``code`` says why, for programs
│   └── NotAuthenticated  it requires a token, or a different one
└── WaitTimeout           the time was up before the job, or the host's jobs, had ended; they go on
"""

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """Root of this client's own errors."""


class ServerUnreachable(ClientError):
    """Nothing answers at the server's address."""


class UnexpectedAnswer(ClientError):
    """The answer is not one that the service gives."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class WaitTimeout(ClientError, TimeoutError):
    """The time was up before the awaited event."""


class Refused(ClientError):
    """The service answered with a problem document (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any], after_seconds: int | None = None) -> None:
        super().__init__(status, problem, after_seconds)
        self.after_seconds = after_seconds  # until it is worth asking again, if the service says so
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code", ""))

    def __str__(self) -> str:
        return "\n".join([f"{headline(self.problem)} ({self.status} {self.code})", *details(self.problem)])


class NotAuthenticated(Refused):
    """The service requires a token, or a different one."""

    def __str__(self) -> str:
        return f"{super().__str__()}\nSet RETRAIN_TOKEN to one of the service's tokens (its setting API_TOKENS)."


def headline(problem: Mapping[str, Any]) -> str:
    """Return what is wrong, on one line."""
    if len(_errors(problem)) > 1:
        return "Several things in the request are wrong"
    return str(problem.get("detail") or problem.get("title") or "The service refused")


def details(problem: Mapping[str, Any]) -> list[str]:
    """Return a line for each of several errors and, for an error of the service, its id in the service's log."""
    errors = _errors(problem)
    lines = [f"  - {error.get('message', '')}" for error in errors] if len(errors) > 1 else []
    if problem.get("code") == "INTERNAL":
        lines.append(f"  request_id: {problem.get('request_id', '')}")
    return lines


def _errors(problem: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    errors = problem.get("errors")
    return [error for error in errors if isinstance(error, Mapping)] if isinstance(errors, list) else []
