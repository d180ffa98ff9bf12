"""Says what would start a waiting job sooner. The API says why it waits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.scheduling.hosts import QueueCode


@dataclass(frozen=True)
class Advice:
    """What a person may do; ``change`` of which ``field`` of the request would help, if any would."""

    text: str
    change: str = ""
    field: str = ""


FEWER_GPUS = ("fewer GPUs", "gpus")
OTHER_HOST = ("another host, in resources.host or host_labels", "rest")
ADVICE: Mapping[QueueCode, Advice] = {
    QueueCode.NEXT: Advice("Nothing to do: the next worker with a free slot takes it, usually within seconds."),
    QueueCode.NO_WORKER: Advice("Start a worker that serves this queue.", "a queue that a worker serves", "queue"),
    QueueCode.NEWER_REQUEST: Advice(
        "Upgrade a worker, or leave out what this one does not know.", "less in it", "rest"
    ),
    QueueCode.NO_HOST_FITS: Advice("Start a worker on a host that has all of it, or ask for less.", *FEWER_GPUS),
    QueueCode.SLOTS: Advice(
        "It starts when a job on that host ends. Another worker, or more SLOTS there, lets more run at the same time. "
        "A higher priority puts it before the other waiting jobs."
    ),
    QueueCode.KEY_LIMIT: Advice(
        "Jobs that share a concurrency_key run one after the other, so that they do not train the same model at once. "
        "Wait for the jobs before it, or cancel them. If they may run side by side, it needs another key; the "
        "operator's LIMIT_PER_KEY allows more for all.",
        "another concurrency key",
        "concurrency_key",
    ),
    QueueCode.TOTAL_LIMIT: Advice(
        "It starts when enough of the running jobs have ended. The operator's LIMIT_TOTAL allows more. A higher "
        "priority puts it before the other waiting jobs."
    ),
    QueueCode.GPUS: Advice(
        "It starts when the jobs that have the GPUs end. A worker on another host with GPUs would take it.",
        *FEWER_GPUS,
    ),
    QueueCode.GPUS_RESERVED: Advice("The GPUs go to the job that has waited longer; then it is this one's turn."),
    QueueCode.DISK_FULL: Advice("The operator has to free disk space on that host.", *OTHER_HOST),
    QueueCode.NO_FIREWALL: Advice("The operator has to start the firewall again.", *OTHER_HOST),
    QueueCode.DRAINED: Advice("Somebody lets that host take nothing new: ask them, or an operator.", *OTHER_HOST),
}
UNKNOWN = Advice("A newer version of the service knows this reason; its documentation says more.")


def advice_for(queue: Mapping[str, Any]) -> Advice | None:
    """Return what to do, by the ``queue`` of a job's answer; None if the job does not wait there."""
    code = queue.get("code")
    if code is None:
        return None
    return ADVICE[QueueCode(code)] if code in ADVICE else UNKNOWN
