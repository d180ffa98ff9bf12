"""Looks at data: a trigger of the kind dataset. What is there at the first look is noted; a change of it fires."""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from shared.addresses.dataset_address import find_repository
from shared.errors import Code, UserError
from shared.jobs.triggers import Occurrence, Outcome, Trigger, Verdict
from worker.triggers.origins.finding import find_revision
from worker.triggers.origins.seam import Revision
from worker.triggers.seam import Around, DataSeen, Found, Look

SUBJECT = "data"
LONG_HASH = re.compile(r"[0-9a-f]{20,}")
SHOWN_OF_HASH = 12
KEY_PART = 64


def look(at: Look, around: Around) -> Found:
    """Compare what the data is now with what the last look saw."""
    address = _address(at)
    now = find_revision(address, around, at.secrets)
    trigger, time = at.due.trigger, at.due.now
    next_at = time + timedelta(seconds=at.when.dataset.look_every_seconds if at.when.dataset else 0)
    seen = {"revision": now.text, "address": address, "at": time.isoformat()}
    data = DataSeen(address, now.text)
    before, why_not = _before(trigger, address)
    if before is not None and before != now.text and why_not is None:
        key, pinned = _key(before, now.text, time), _pinned(at, address, now)
        changed = Occurrence(key, time, SUBJECT, _facts(before, now), pinned)
        return Found(occurrences=(changed,), seen=seen, look_at=next_at, data=data)
    told = f"revision is still {shown(now.text)}" if before == now.text else _first(before, now.text, why_not)
    noted = (Occurrence("", time, facts=_facts(None, now)), Verdict(Outcome.UNCHANGED, told))
    return Found(noted=(noted,), seen=seen, look_at=next_at, data=data)


def shown(revision: str) -> str:
    """Return a revision for people: of a long hash its beginning."""
    return LONG_HASH.sub(lambda found: f"{found[0][:SHOWN_OF_HASH]}…", revision)


def _address(at: Look) -> str:
    address = (at.when.dataset.address if at.when.dataset else None) or at.template.dataset_repo
    if not address:
        message = "The trigger names no data: give an address in when.dataset, or a dataset_repo in its template."
        raise UserError(Code.INVALID_PARAMETER, message)
    return address


def _before(trigger: Trigger, address: str) -> tuple[str | None, str | None]:
    """Return what the last look saw, and why a change since then does not count, if it does not."""
    seen: Mapping[str, Any] = trigger.seen
    if seen.get("address") != address:  # the first look, or the template has other data now
        return None, None
    saw: str | None = seen.get("revision")
    is_old = datetime.fromisoformat(seen["at"]) < trigger.since if seen.get("at") else False
    return saw, "it was paused" if is_old else None


def _first(before: str | None, now: str, why_not: str | None) -> str:
    changed = f" (it was {shown(before)} before {why_not})" if before is not None else ""
    return f"revision is {shown(now)}{changed}; from now on a change fires"


def _facts(before: str | None, now: Revision) -> dict[str, Any]:
    return {"revision": now.text, **({"before": before} if before is not None else {}), **now.facts}


def _key(before: str, now: str, at: datetime) -> str:
    """Return what no other change has: data may go back to what it was, and forth again."""
    return f"data {_short(before)} to {_short(now)} at {at.strftime('%Y-%m-%dT%H:%M:%S.%fZ')}"


def _short(revision: str) -> str:
    digest = hashlib.sha256(revision.encode()).hexdigest()
    return revision if len(revision) <= KEY_PART else digest[:KEY_PART]


def _pinned(at: Look, address: str, now: Revision) -> dict[str, Any]:
    """Return what lets the job train on the revision that was seen, if it is the template's own data."""
    watched, own = find_repository(address), find_repository(at.template.dataset_repo or "")
    if watched is None or own is None or own.url != watched.url or own.rev not in ("", watched.rev):
        return {}
    return {"dataset_repo": own.at(now.text)}
