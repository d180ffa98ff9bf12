"""The client's calls about the audit."""

from collections.abc import Iterator
from typing import Any

from .http import Call, Http

LARGEST_PAGE = 1000


def list_audit(http: Http, query: dict[str, Any], limit: int | None) -> Iterator[dict[str, Any]]:
    """Yield the entries that match, the newest first; pages are read as needed."""
    left: int | None = limit
    before: dict[str, int] = {}
    while left is None or left > 0:
        size = LARGEST_PAGE if left is None else min(left, LARGEST_PAGE)
        page, _ = http.read_object(Call("GET", "/audit", {**query, "limit": size, **before}))
        yield from page["entries"]
        if not page["next"]:
            return
        left = None if left is None else left - len(page["entries"])
        before = {"before": page["entries"][-1]["number"]}
