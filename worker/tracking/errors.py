"""Translates MLflow's errors into ours: a mistake in the request, or an unavailable tracking server."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from shared.errors import AttemptError, Code, InfrastructureError, UserError
from worker.tracking.connection import Refused

SHOWN_CHARACTERS = 300
USER_INFO = re.compile(r"//[^/@\s]*@")


@contextmanager
def server_answers(what: str, **facts: object) -> Iterator[None]:
    """Turn MLflow's errors into ours."""
    try:
        yield
    except Refused as error:
        raise _failure(error, what, facts) from error


def _failure(error: Refused, what: str, facts: Mapping[str, object]) -> AttemptError:
    if error.error_code == "INVALID_PARAMETER_VALUE":
        message = f"The tracking server refused to {what}: {short(error)}. Correct it in the request."
        return UserError(Code.INVALID_PARAMETER, message, **facts)
    return _unavailable(error, what, facts)


def _unavailable(error: Exception, what: str, facts: Mapping[str, object]) -> InfrastructureError:
    message = f"The tracking server did not {what}: {short(error)}. Check MLFLOW_TRACKING_URI and the server's log."
    return InfrastructureError(Code.TRACKING_UNAVAILABLE, message, **facts)


def short(error: Exception) -> str:
    """Return the error's text on one line, without user names and passwords in addresses."""
    text = USER_INFO.sub("//", " ".join(str(error).split())).rstrip(".")
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
