"""The end of a schedule: all faults are over, every worker gets its turn, and then nothing may be open or left."""

from itertools import pairwise

from shared.errors import Code, FailureType
from shared.jobs.model import FOLLOWING, Attempt, Job, JobState
from tests.simulation.oracle import Known
from tests.simulation.outside import Outside
from tests.simulation.world import SWEEP_SECONDS, Fault, World

MOST_ROUNDS = 60
KILLED = frozenset({FailureType.TIMEOUT, FailureType.CANCELLED})


def come_to_rest(world: World) -> None:
    """Repair everything and let all go on until every job has ended and nothing is left behind."""
    for host in world.hosts:
        for fault in Fault:
            world.set_fault(host, fault, is_on=False)
        host.faults.lost_answers.clear()
    for number in range(MOST_ROUNDS):
        _start_all(world, is_second_half=number >= MOST_ROUNDS // 2)
        world.deliver_all()
        world.advance(0, stall_seconds=0)
        while world.live():
            world.end_container(0, 0)
        world.advance(SWEEP_SECONDS / 2, stall_seconds=0)
        if _is_at_rest(world):
            return
        world.sweep_all()
    standing = [(task.label, task.at) for task in world.scheduler.tasks]
    states = {job_id: known.ended_as for job_id, known in world.oracle.known.items()}
    world.oracle.expect(False, f"not at rest: {states}, containers {world.live()}, threads {standing}")


def _start_all(world: World, *, is_second_half: bool) -> None:
    """Start all workers; of namesakes first the one and then the other, which clears away what it had left."""
    if not world.are_namesakes:
        for host in world.hosts:
            world.start(host)
        return
    first, second = reversed(world.hosts) if is_second_half else world.hosts
    world.terminate(second)
    world.start(first)


def _is_at_rest(world: World) -> bool:
    has_ended = all(known.ended_as for known in world.oracle.known.values())
    is_empty = not any(host.containers.attempts or host.folders for host in world.hosts)
    loops = [task for worker in world.workers for task in worker.loops]
    has_open_runs = bool(world.store.find_open_runs())
    has_moved = world.outside.champions.is_at_rest()
    return (
        has_ended
        and is_empty
        and has_moved
        and not has_open_runs
        and all(task in loops for task in world.scheduler.tasks)
    )


def check_the_end(world: World) -> None:
    """Compare the records with what really happened."""
    for host in world.hosts:
        world.oracle.expect(not world.store.running_on(host.name), f"{host.name} still has slots taken")
    for job_id, known in world.oracle.known.items():
        if not known.is_deleted:
            check_job(world.outside, world.store.get(job_id), known)
            world.outside.champions.check_job(world.store.get(job_id))
    world.outside.champions.check_the_end()


def check_job(outside: Outside, job: Job, known: Known) -> None:
    """Compare an ended job's record with what really happened."""
    expect = outside.oracle.expect
    expect(job.state is known.ended_as, f"{job.id} ended as {known.ended_as} and is {job.state}")
    expect(job.lease_expires_at is None, f"{job.id} has ended and has a lease")
    expect(len(job.attempts) == known.attempt, f"{job.id} has {len(job.attempts)} attempts of {known.attempt}")
    _check_transitions(outside, job)
    _check_reason(outside, job, known)
    for attempt in job.attempts:
        _check_attempt(outside, job, attempt, known)


def _check_transitions(outside: Outside, job: Job) -> None:
    states = [None, *(each.to_state for each in job.transitions)]
    came_from = [each.from_state for each in job.transitions]
    outside.oracle.expect(came_from == states[:-1], f"{job.id} has gaps in its history: {job.transitions}")
    for before, after in pairwise(states[1:]):
        is_takeover = before is after and before is not None and not before.is_terminal
        is_allowed = before is not None and after in FOLLOWING[before]
        outside.oracle.expect(is_takeover or is_allowed, f"{job.id} went from {before} to {after}")


def _check_reason(outside: Outside, job: Job, known: Known) -> None:
    expect = outside.oracle.expect
    expect(job.state is not JobState.CANCELLED or known.cancel_asked, f"{job.id} was cancelled and nobody asked")
    if job.reason is not None and job.reason.type is FailureType.INTERNAL:
        expect("workers were lost" in job.reason.message, f"{job.id} ended by a fault of ours: {job.reason}")
    if job.state is JobState.SUCCEEDED:
        container = outside.attempts.get(f"retrain-{job.id}-{job.attempt.number}")
        expect(container is not None and container.exit is not None and container.exit.exit_code == 0, f"{job.id} lies")


def _check_attempt(outside: Outside, job: Job, attempt: Attempt, known: Known) -> None:
    expect, name = outside.oracle.expect, f"retrain-{job.id}-{attempt.number}"
    container = outside.attempts.get(name)
    printed = container.log if container else b""
    log = outside.store.read_log(job.id, attempt=attempt.number, offset=0, limit=1 << 20).data
    whole = log
    expect(log == known.kept.get(attempt.number, b""), f"the store changed the log of {name}")
    log = outside.champions.without_decision(log, printed, job, attempt)
    expect(printed.startswith(log), f"{name} printed {printed!r}, kept is {log!r}")
    saw_its_end = attempt.exit_code is not None and name not in outside.removed_by_hand
    expect(log == printed or not saw_its_end, f"of {name} only {log!r} was kept of {printed!r}")
    expect(attempt.ended_at is not None, f"{name} has no end")
    run = outside.tracking.runs.get(f"run-{job.id}-{attempt.number}")
    if run is None:
        return
    type_ = attempt.reason.type if attempt.reason else None
    wanted = "FINISHED" if type_ is None else "KILLED" if type_ in KILLED else "FAILED"
    expect(run.status == wanted, f"{name} ended with {attempt.reason} and left its run {run.status}")
    kept = run.files.get(f"retrain/attempt-{attempt.number}.log")
    if saw_its_end or attempt.reason is None or attempt.reason.code is not Code.HOST_LOST:
        expect(kept in (None, whole), f"the run of {name} has the log {kept!r}, the store {whole!r}")
