"""Faults while workers decide about models and move their aliases."""

import signal

from tests.drill.faults.scene import Kind, Scene
from tests.drill.parts import Part
from tests.support.waiting import wait_until

PROPOSED_SECONDS = 150  # a move whose worker was killed keeps its model waiting for a minute
FROZEN_SECONDS = (3, 8)  # a lease, and more
LOOK_SECONDS = 0.02


def deciding_kind() -> Kind:
    """The kind whose faults wait until a worker decides."""
    return Kind(
        "decision",
        {
            "SIGKILL of a worker": _kill,
            "SIGKILL of both workers": _kill_both,
            "a worker stands still": _freeze,
            "MLflow killed": _kill_mlflow,
        },
    )


def _kill(scene: Scene) -> None:
    _stop(scene, [_wait_for_decision(scene)])


def _kill_both(scene: Scene) -> None:
    _wait_for_decision(scene)
    _stop(scene, list(scene.stack.workers.values()))


def _stop(scene: Scene, workers: list[Part]) -> None:
    for worker in workers:
        worker.end(signal.SIGKILL)
    scene.pause(0, 3)
    for worker in workers:
        worker.launch()


def _freeze(scene: Scene) -> None:
    worker = _wait_for_decision(scene)
    worker.send(signal.SIGSTOP)
    try:
        scene.load.burst(2)
        scene.pause(*FROZEN_SECONDS)
    finally:
        worker.send(signal.SIGCONT)


def _kill_mlflow(scene: Scene) -> None:
    _wait_for_decision(scene)
    scene.stack.mlflow.kill()
    scene.pause(0, 2)
    scene.stack.mlflow.start()


def _wait_for_decision(scene: Scene) -> Part:
    """Wait until a job's decision is about to be recorded, or has just been; return its worker."""
    scene.load.burst(4)
    known = {each.id for each in scene.records.promotions()}

    def find_new() -> list[str]:
        return [each.job_id or "" for each in scene.records.promotions() if each.id not in known]

    what = "a decision about a model, though many are proposed"
    [job_id, *_] = wait_until(find_new, timeout_seconds=PROPOSED_SECONDS, every_seconds=LOOK_SECONDS, what=what)
    scene.pause(0, 0.3)  # the move follows at once; the next job's decision after a while
    return scene.stack.workers[scene.sampler.jobs[job_id].queue]
