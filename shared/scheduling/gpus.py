"""Decides which GPUs of a host are free, and for which jobs they are kept. Pure, no I/O."""

from collections.abc import Collection, Iterable

from shared.scheduling.hosts import Host
from shared.scheduling.waiting import Running, Waiting


def free_gpus(host: Host, on_host: Iterable[Running]) -> tuple[str, ...]:
    """Return the devices that no supervised job on the host uses, in the host's order."""
    held = {device for job in on_host for device in job.gpu_ids}
    return tuple(device for device in dict.fromkeys(host.gpus) if device not in held)


def find_keeper(job: Waiting, free: int, reserving: Iterable[Waiting]) -> Waiting | None:
    """Return a job that this one's start would delay: it is ahead, needs more devices, and too few would be left.

    A job that needs as many is not delayed: it could have started in this one's place.
    """
    if job.gpus == 0:
        return None
    needs = max(job.gpus, free - job.gpus)
    return next((other for other in reserving if other.gpus > needs and other.order < job.order), None)


def reserved_on(host: Host, long_waiting: Iterable[Waiting], live: Collection[Host]) -> list[Waiting]:
    """Return the jobs for which this host's GPUs are kept: each has them kept on one host, the largest."""
    return [job for job in long_waiting if _reserved_host(job, live) == host.name]


def _reserved_host(job: Waiting, live: Iterable[Host]) -> str | None:
    fitting = (
        host for host in live if host.closed_because is None and job.queue in host.queues and job.may_run_on(host)
    )
    largest = min(fitting, key=lambda host: (-len(host.gpus), host.name), default=None)
    return largest.name if largest else None
