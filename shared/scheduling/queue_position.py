"""Explains why a queued job does not run, in words for a person and a code for a program. Pure, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.scheduling.gpus import find_keeper, free_gpus, reserved_on
from shared.scheduling.hosts import Host, QueueCode
from shared.scheduling.limits import Limits, allot_on_host
from shared.scheduling.waiting import Running, Waiting

BLOCKING_SHOWN = 20
HOPE = (QueueCode.NEXT, QueueCode.SLOTS, QueueCode.GPUS, QueueCode.GPUS_RESERVED)  # the others need a person to act


@dataclass(frozen=True)
class QueuePosition:
    """A job's position: 1 is the next in its queue; ``blocking`` has the ids of jobs that it waits for."""

    position: int
    code: QueueCode
    message: str
    blocking: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scene:
    """What is, or may be, in a queued job's way."""

    position: int
    running: Sequence[Running]  # on all hosts
    first: Sequence[str]  # ids of queued jobs of its key that come before it
    live: Sequence[Host]
    long_waiting: Sequence[Waiting]  # jobs that GPUs may be kept for


@dataclass(frozen=True)
class Hindrance:
    """What one host, or all of them, put in a job's way."""

    code: QueueCode
    message: str
    blocking: Sequence[str] = ()


def position_of(job: Waiting, scene: Scene, limits: Limits) -> QueuePosition:
    """Return the job's position and the first thing in its way; what affects all hosts comes first."""
    found = _by_key(job, scene, limits) or _by_total(scene, limits) or _by_hosts(job, scene)
    return QueuePosition(scene.position, found.code, found.message, tuple(found.blocking[:BLOCKING_SHOWN]))


def is_known_to_any(job: Waiting, live: Sequence[Host]) -> bool:
    """Return whether a live worker knows every field of it; a job that none knows holds up no other job."""
    return not live or any(not job.unknown_to(host) for host in live)


def _by_key(job: Waiting, scene: Scene, limits: Limits) -> Hindrance | None:
    same, limit = f"of the same concurrency_key {job.key!r}", limits.for_key(job.key)
    holders = [other.id for other in scene.running if other.key == job.key]
    if len(holders) >= limit:
        message = f"waits for {_one_of(holders)} {same} (limit {limit})"
        return Hindrance(QueueCode.KEY_LIMIT, message, holders)
    if scene.first:
        message = f"waits for {_one_of(scene.first[:1])} {same}, which goes before it"
        return Hindrance(QueueCode.KEY_LIMIT, message, scene.first[:1])
    return None


def _by_total(scene: Scene, limits: Limits) -> Hindrance | None:
    if limits.total is None or len(scene.running) < limits.total:
        return None
    message = f"{len(scene.running)} attempts run on all hosts, and no more may (LIMIT_TOTAL={limits.total})"
    return Hindrance(QueueCode.TOTAL_LIMIT, message, [other.id for other in scene.running])


def _by_hosts(job: Waiting, scene: Scene) -> Hindrance:
    serving = sorted((host for host in scene.live if job.queue in host.queues), key=lambda host: host.name)
    fitting = [host for host in serving if job.may_run_on(host)]
    if not fitting:
        return _without_host(job, serving)
    return min((_on_host(job, host, scene) for host in fitting), key=_hopelessness)


def _without_host(job: Waiting, serving: Sequence[Host]) -> Hindrance:
    """Return what is missing for the job to run anywhere."""
    named = [host for host in serving if job.wanted_host in (None, host.name)]
    if not named:
        where = f" on the host {job.wanted_host} (resources.host)" if job.wanted_host else ""
        message = f"no live worker{where} serves the queue {job.queue!r}; start one with WORKER_QUEUES={job.queue}"
        return Hindrance(QueueCode.NO_WORKER, message)
    knowing = [host for host in named if not job.unknown_to(host)]
    if not knowing:
        return Hindrance(QueueCode.NEWER_REQUEST, _without_version(job, named))
    labelled = [host for host in knowing if job.is_meant_for(host)]
    if not labelled:
        return Hindrance(QueueCode.NO_HOST_FITS, _without_labels(job, knowing))
    most = max(len(host.gpus) for host in labelled)
    which = " that it may go to" if job.wanted_host or job.host_labels else ""
    message = (
        f"needs {_gpus(job.gpus)}; the largest live host of the queue {job.queue!r}{which} has {most}. "
        "Start a worker on a host that has enough, or see RETRAIN_GPUS there"
    )
    return Hindrance(QueueCode.NO_HOST_FITS, message)


def _without_version(job: Waiting, hosts: Sequence[Host]) -> str:
    nearest = min(hosts, key=lambda host: len(job.unknown_to(host)))
    return (
        f"its request has {', '.join(job.unknown_to(nearest))}, which no live worker of the queue {job.queue!r} knows "
        f"(that of {nearest.name} is too old); start one of the version that took the request, or of a later one"
    )


def _without_labels(job: Waiting, hosts: Sequence[Host]) -> str:
    nearest = min(hosts, key=lambda host: len(job.missing_labels(host)))
    return (
        f"needs a host with {_labels(job.host_labels)}; of the live hosts of the queue {job.queue!r}, "
        f"{nearest.name} comes nearest, without {_labels(job.missing_labels(nearest))}. See WORKER_LABELS there"
    )


def _hopelessness(found: Hindrance) -> tuple[int, int]:
    return HOPE.index(found.code) if found.code in HOPE else len(HOPE), len(found.blocking)


def _on_host(job: Waiting, host: Host, scene: Scene) -> Hindrance:
    on_host = [other for other in scene.running if other.host == host.name]
    reserving = reserved_on(host, scene.long_waiting, scene.live)
    code = allot_on_host(job, host, on_host=on_host, reserving=reserving)
    if not isinstance(code, QueueCode):
        ahead = f"; {scene.position - 1} of its queue go before it" if scene.position > 1 else ""
        return Hindrance(QueueCode.NEXT, f"nothing is in its way on host {host.name}{ahead}")
    if code is QueueCode.SLOTS:
        message = f"the {host.slots} slots of host {host.name} are taken; it waits for one, or add a worker"
        return Hindrance(code, message, [other.id for other in on_host])
    free = free_gpus(host, on_host)
    if code is QueueCode.GPUS:
        message = f"needs {_gpus(job.gpus)}; {len(free)} of {len(host.gpus)} on host {host.name} are free"
        return Hindrance(code, message, [other.id for other in on_host if other.gpu_ids])
    if code is QueueCode.GPUS_RESERVED and (keeper := find_keeper(job, len(free), reserving)):
        message = f"the GPUs of host {host.name} are kept for {_job(keeper.id)}, which needs {_gpus(keeper.gpus)}"
        return Hindrance(code, f"{message} and has waited longer than it should", [keeper.id])
    return Hindrance(code, _why_closed(host, code))


def _why_closed(host: Host, code: QueueCode) -> str:
    if host.drain is not None:
        why = f" ({host.drain.reason})" if host.drain.reason else ""
        return f"host {host.name} is drained{why}: it takes nothing new until `retrain workers undrain {host.name}`"
    if code is QueueCode.DISK_FULL:
        return f"the disk of host {host.name} is nearly full; free some of it, or see DISK_LOW_BYTES"
    if code is QueueCode.NO_FIREWALL:
        return (
            f"the firewall that keeps trainings of host {host.name} apart is not up; start it again "
            "(docker compose up --detach firewall), its log says why"
        )
    return f"host {host.name} takes no new attempts now ({code})"


def _one_of(ids: Sequence[str]) -> str:
    return _job(ids[0]) if len(ids) == 1 else f"one of {len(ids)} jobs"


def _job(job_id: str) -> str:
    return f"job {job_id[:8]}…"


def _labels(labels: Sequence[str]) -> str:
    return f"the label{'s' if len(labels) > 1 else ''} {', '.join(labels)}"


def _gpus(count: int) -> str:
    return f"{count} GPU" if count == 1 else f"{count} GPUs"
