"""Says what would start a waiting job sooner. The API says why it waits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.scheduling.hosts import QueueCode


@dataclass(frozen=True)
class Advice:
    """What a person may do; ``request_helps`` if another request would start sooner."""

    text: str
    request_helps: bool = False


ADVICE: Mapping[QueueCode, Advice] = {
    QueueCode.NEXT: Advice("Nothing to do: the next worker with a free slot takes it, usually within seconds."),
    QueueCode.NO_WORKER: Advice(
        "Start a worker that serves this queue, or send the request for a queue and a host that one serves.", True
    ),
    QueueCode.NEWER_REQUEST: Advice(
        "Upgrade a worker. Without the fields that it does not know, the request could start now.", True
    ),
    QueueCode.NO_HOST_FITS: Advice(
        "Ask for less: fewer GPUs, no certain host, fewer host_labels. Or start a worker on a host that has all of it.",
        True,
    ),
    QueueCode.SLOTS: Advice(
        "It starts when a job on that host ends. A higher priority puts it before other waiting jobs; another worker, "
        "or more SLOTS there, lets more run at the same time.",
        True,
    ),
    QueueCode.KEY_LIMIT: Advice(
        "Jobs that share a concurrency_key run one after the other, so that they do not train the same model at once. "
        "Wait for the jobs before it or cancel them; or, if they may run side by side, submit it with another "
        "concurrency_key. The operator's LIMIT_PER_KEY allows more for all.",
        True,
    ),
    QueueCode.TOTAL_LIMIT: Advice(
        "It starts when any job ends. A higher priority puts it first; the operator's LIMIT_TOTAL allows more.", True
    ),
    QueueCode.GPUS: Advice(
        "It starts when the jobs that have the GPUs end. Fewer GPUs, or none, may be free now; a worker on another "
        "host with GPUs would take it.",
        True,
    ),
    QueueCode.GPUS_RESERVED: Advice(
        "The GPUs go to the job that has waited longer. With no GPUs, or on another host, this one may start now.", True
    ),
    QueueCode.DISK_FULL: Advice("The operator has to free disk space on that host. Another host would take it."),
    QueueCode.NO_FIREWALL: Advice("The operator has to start the firewall again. Another host would take it."),
    QueueCode.DRAINED: Advice(
        "Somebody lets that host take nothing new. Ask them, or an operator lets it take jobs again. A job that names "
        "the host could go to another.",
        True,
    ),
}
UNKNOWN = Advice("A newer version of the service knows this reason; its documentation says more.")


def advice_for(queue: Mapping[str, Any]) -> Advice | None:
    """Return what to do, by the ``queue`` of a job's answer; None if the job does not wait there."""
    code = queue.get("code")
    if code is None:
        return None
    return ADVICE[QueueCode(code)] if code in ADVICE else UNKNOWN
