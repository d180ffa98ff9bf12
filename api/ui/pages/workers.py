"""The hosts that train: what each offers and runs, and draining one before its maintenance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from api.access.authorisation import current_caller, team_seen
from api.ui.asking import ask
from api.ui.page import page
from api.ui.rendering import render
from api.views.workers import drain_host, list_workers, undrain_host
from shared.access.roles import Right
from shared.errors import HostNotFound
from shared.scheduling.hosts import QueueCode

GPU_CHARACTERS = 14
CLOSED = {
    QueueCode.DRAINED: "drained",
    QueueCode.DISK_FULL: "its disk is full",
    QueueCode.NO_FIREWALL: "what keeps trainings apart does not stand",
}


@dataclass(frozen=True)
class Gpu:
    """One GPU of a host: whether an attempt holds it, and whose, if the caller may know that."""

    name: str
    is_used: bool
    job_id: str | None

    @property
    def short(self) -> str:
        """What people call it: GPU 3; of a long name, its first characters."""
        shown = f"GPU {self.name}" if self.name.isdecimal() else self.name
        return shown if len(shown) <= GPU_CHARACTERS else f"{shown[: GPU_CHARACTERS - 1]}…"


@page("GET /workers")
def workers() -> str:
    """Show all hosts."""
    return render("workers.html", **_facts(), workers=ask(list_workers)["workers"])


@page("GET /workers/<host>")
def worker(host: str) -> str:
    """Show one host, with the form that drains it."""
    found = [each for each in ask(list_workers)["workers"] if each["host"] == host]
    if not found:
        raise HostNotFound("There is no such host. The page Workers has those that sent a heartbeat.", host=host)
    return render("worker.html", **_facts(), worker=found[0])


@page("POST /workers/<host>/drain", needs=Right.OPERATE)
def drain(host: str) -> Response:
    """Let it take nothing new."""
    ask(drain_host, path={"host": host}, body={"reason": request.form.get("reason", "")})
    return redirect(url_for("ui.worker", host=host, told="drained"), 303)


@page("POST /workers/<host>/undrain", needs=Right.OPERATE)
def undrain(host: str) -> Response:
    """Let it take jobs again."""
    ask(undrain_host, path={"host": host})
    return redirect(url_for("ui.worker", host=host, told="undrained"), 303)


def _facts() -> Mapping[str, Any]:
    may_drain = Right.OPERATE in current_caller().rights and team_seen() is None
    return {"gpus_of": gpus_of, "closed": CLOSED, "may_drain": may_drain}


def gpus_of(host: Mapping[str, Any]) -> list[Gpu]:
    """Return the host's GPUs, each with the job that has it; one that is used but no longer offered comes last."""
    holders = {gpu: job["id"] for job in host["running"] for gpu in job["gpus"]}
    names = [*host["gpus"], *(gpu for gpu in host["used_gpus"] if gpu not in host["gpus"])]
    return [Gpu(name, name in host["used_gpus"], holders.get(name)) for name in names]
