"""Pages through jobs: the cursor in a link to the next page, and the link itself."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from flask import request

from shared.jobs.model import Job
from shared.jobs.records import Cursor


def encode_cursor(last: Job) -> str:
    """Return the position after this job as an opaque string."""
    return base64.urlsafe_b64encode(f"{last.created_at.isoformat()}|{last.id}".encode()).decode().rstrip("=")


def decode_cursor(value: Any) -> Any:
    """Parse what `encode_cursor` returned; raise ValueError for anything else."""
    if not isinstance(value, str):
        return value
    try:
        padded = value + "=" * (-len(value) % 4)
        at, _, job_id = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").partition("|")
        return Cursor(_aware(datetime.fromisoformat(at)), _plain(job_id))
    except (binascii.Error, ValueError, OverflowError) as error:
        raise ValueError("was not issued by this API; take it from the link to the next page") from error


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError
    return at.astimezone(UTC)


def _plain(job_id: str) -> str:
    if not job_id.replace("-", "").isalnum():
        raise ValueError
    return job_id


def next_page(last: Job) -> str:
    """Return the address of the page after this job, with the current request's filters."""
    return asked_again(cursor=encode_cursor(last))


def next_history(last: int) -> str:
    """Return the address of the page of events before this number, with the current request's filters."""
    return asked_again(before=str(last))


def asked_again(**changed: str) -> str:
    """Return the current request's address, as its caller has it, with these values in the query."""
    filters = [(name, value) for name, value in request.args.items(multi=True) if name not in changed]
    return f"{quote(request.script_root + request.path)}?{urlencode([*filters, *changed.items()])}"
