"""Shows a job's progress in a notebook, as one output that is replaced. Needs nothing but the notebook.

It is not a widget, as rich's line would be: what executes notebooks without a browser (nbclient, for nbconvert and
papermill) answers each change of an Output widget on the socket on which it waits for the cell, and can miss its end.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from .plain_text import plain_line
from .watched_job import told, what_else


class Shown(Protocol):
    """An output that is there, as IPython's DisplayHandle."""

    def update(self, obj: Mapping[str, str], *, raw: bool) -> object: ...


Display = Callable[..., Shown]


def find_display() -> Display | None:
    """Return what shows an output in this notebook; None where there is none, such as in IPython at a terminal."""
    ipython: Any = sys.modules.get("IPython")
    if ipython is None or not hasattr(ipython.get_ipython(), "kernel"):
        return None
    display: Display = ipython.display.display
    return display


def show_progress(records: Iterator[dict[str, Any]], display: Display) -> None:
    """Show each record of the job in the place of the one before: its changes of state, and how it is now."""
    shown: Shown | None = None
    for record in records:
        output = {"text/plain": "\n".join([*map(told, record["transitions"]), _now(record)])}
        if shown is None:
            shown = display(output, raw=True, display_id=True)
        else:
            shown.update(output, raw=True)


def _now(record: dict[str, Any]) -> str:
    return plain_line(", ".join([record["state"], *what_else(record)]))
