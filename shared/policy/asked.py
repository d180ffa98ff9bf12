"""Says what a request asks for beyond its caller's rules, and bounds what it leaves to the service. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.addresses.dataset_address import find_repository, parse_dataset_address
from shared.addresses.git_uri import parse_git_uri
from shared.policy.rules import Rules
from shared.requests.parts import memory_bytes
from shared.requests.retrain_request import RetrainRequest
from shared.settings import Settings


@dataclass(frozen=True)
class NotPermitted:
    """One thing that may not be asked for; ``pointer`` is where in the request it stands."""

    pointer: str
    message: str


def not_permitted(request: RetrainRequest, rules: Rules) -> list[NotPermitted]:
    """Return all that the request says beyond the rules."""
    return [*_wrong_words(request, rules), *_too_much(request, rules)]


def too_high(priority: int, rules: Rules) -> list[NotPermitted]:
    """Return that the priority is more than the rules allow, if it is."""
    return [*_more_than_allowed({"priority": ("/priority", priority)}, rules)]


def bounded(request: RetrainRequest, rules: Rules, settings: Settings) -> RetrainRequest:
    """Return the request with maxima where it says nothing, and the service's own default is more."""
    times = request.timeouts
    defaults = {"run_seconds": settings.run_timeout_seconds, "queue_seconds": settings.queue_timeout_seconds}
    shorter = {
        key: rules.most(key)
        for key, usual in defaults.items()
        if getattr(times, key) is None and rules.most(key) < usual
    }
    changes: dict[str, Any] = {"timeouts": times.model_copy(update=shorter)} if shorter else {}
    if "priority" not in request.model_fields_set and rules.most("priority") < request.priority:
        changes["priority"] = int(rules.most("priority"))
    return request.model_copy(update=changes) if changes else request


def _wrong_words(request: RetrainRequest, rules: Rules) -> Iterator[NotPermitted]:
    if not rules.allows("queues", request.queue):
        yield NotPermitted("/queue", f"queue {request.queue!r} is not among yours ({rules.why('queues')})")
    for field, host in _hosts(request):
        if not rules.allows("git_hosts", host):
            where = f"at {host}" if host else "on no host"
            yield NotPermitted(f"/{field}", f"{field} is {where}, not at one of yours ({rules.why('git_hosts')})")


def _hosts(request: RetrainRequest) -> Iterator[tuple[str, str]]:
    yield "git_uri", parse_git_uri(request.git_uri).host
    if not request.dataset_repo:
        return
    data = find_repository(parse_dataset_address(request.dataset_repo).uri)
    if data is not None:
        yield "dataset_repo", parse_git_uri(data.url).host


def _too_much(request: RetrainRequest, rules: Rules) -> Iterator[NotPermitted]:
    resources, times = request.resources, request.timeouts
    memory = memory_bytes(resources.memory) if resources.memory else None
    asked: dict[str, tuple[str, float | None]] = {
        "cpus": ("/resources/cpus", resources.cpus),
        "memory": ("/resources/memory", memory),
        "gpus": ("/resources/gpus", resources.gpus),
        "run_seconds": ("/timeouts/run_seconds", times.run_seconds),
        "queue_seconds": ("/timeouts/queue_seconds", times.queue_seconds),
        "priority": ("/priority", request.priority),
    }
    yield from _more_than_allowed(asked, rules)


def _more_than_allowed(asked: Mapping[str, tuple[str, float | None]], rules: Rules) -> Iterator[NotPermitted]:
    for key, (pointer, value) in asked.items():
        if value is not None and value > rules.most(key):
            name = pointer[1:].replace("/", ".")
            unit = " bytes" if key == "memory" else ""
            yield NotPermitted(pointer, f"{name} is more than your {rules.most(key):.10g}{unit} ({rules.why(key)})")
