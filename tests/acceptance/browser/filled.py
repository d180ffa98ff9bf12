"""An API on SQLite with something of everything that pages show: jobs in many states, hosts, a model, triggers.

Names, labels, reasons and a log are as hostile as what others may send.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from shared.errors import Code, FailureType
from shared.jobs.model import JobState, Reason
from shared.jobs.promotions import Kind, NewPromotion, PromotionState
from shared.jobs.records import Ending, Resolution
from shared.scheduling.limits import Limits
from shared.sql import SqlStore
from tests.support.jobs import SUCCEEDED, a_host, claim, in_retry_wait, running, submit
from tests.support.kept_triggers import a_trigger
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api
from tests.support.servers.odd_mlflow import odd_mlflow

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}} \x1b[31mred\x1b[0m \u202eright to left\u202c 🦊"
)
SHOWN = "<script>alert(1)</script>"
LONG_LINE = "a" * 1_000_000
LOG = "\n".join(
    [
        "epoch 1 loss 0.41",
        HOSTILE,
        "\x1b[1;32mgreen\x1b[0m\rover it",
        LONG_LINE,
        "Traceback (most recent call last):",
        f"ValueError: {HOSTILE}\n",
    ]
)
REQUEST = {
    "experiment_name": "iris",
    "git_uri": "https://github.com/acme/iris.git",
    "model_name": "iris",
    "parameters": {"epochs": 20, "note": HOSTILE},
}
HOSTILE_REQUEST = {**REQUEST, "experiment_name": HOSTILE, "model_name": HOSTILE, "labels": {"note": HOSTILE}}
HOST, MODEL, TRIGGER = "gpu-1", "iris", "nightly"


@dataclass(frozen=True)
class Filled:
    """The API, and what its pages' addresses may name."""

    api: ApiServer
    jobs: Mapping[str, str]  # ids, by what is special about them
    promotion: str  # one that waits for a person


@contextmanager
def filled_api(folder: Path, **variables: str) -> Iterator[Filled]:
    """Serve one. It has no Redis: what is done there needs none."""
    with odd_mlflow() as mlflow:
        given = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "MLFLOW_TRACKING_URI": mlflow.served.url}
        with running_api(folder, **{**given, **variables}) as api:
            store = SqlStore(f"sqlite:///{folder / 'jobs.db'}", limits=Limits(per_key=100))
            yield Filled(api, fill(store), _awaiting(store))
            store.close()


def fill(store: SqlStore) -> dict[str, str]:
    """Have all of it there; return the jobs' ids."""
    for name, gpus in ((HOST, ("0", "1")), ("gpu-2", ())):
        store.beat(a_host(name, gpus=gpus, slots=4, labels=("a100",)), gap_seconds=60)
    store.drain("gpu-2", reason=HOSTILE)
    for name, when in ((TRIGGER, {"cron": "0 3 * * *"}), ("hourly", {"every": 3600})):
        store.create_trigger(
            replace(a_trigger(name, when=when, template={**REQUEST}), when=when, policy={"cooldown": 60})
        )
    store.pause_trigger(TRIGGER, reason=HOSTILE)
    for _ in range(60):
        _cancelled(store)
    found = {
        "succeeded": _succeeded(store),
        "failed": _failed(store),
        "cancelled": _cancelled(store),
        "retry_wait": in_retry_wait(store, request=REQUEST),
        "running": _running(store),
        "queued": submit(store, request=REQUEST, model_name=MODEL, queue="nobody-serves"),
        "hostile": submit(
            store, experiment_name=HOSTILE, model_name=HOSTILE, labels={"note": HOSTILE}, request=HOSTILE_REQUEST
        ),
    }
    _move(store, found["succeeded"])
    return found


def _running(store: SqlStore) -> str:
    held = claim(store, submit(store, request=REQUEST, model_name=MODEL, gpus=1), host=a_host(HOST, gpus=("0", "1")))
    store.resolve(held, Resolution(run_id="3"))
    store.started(held, runner="docker", container="container-1")
    store.append_log(held, b"epoch 1 loss 0.41\n", source_offset=18)
    return held.job.id


def _succeeded(store: SqlStore) -> str:
    held = running(store, request=REQUEST, model_name=MODEL, labels={"dataset": "set-7"}, submitted_by="ann")
    store.resolve(held, Resolution(commit_sha="0123456789abcdef" * 2 + "01234567", image="python:3.11", run_id="2"))
    store.append_log(held, b"epoch 1 loss 0.41\n", source_offset=18)
    return store.finish(held, SUCCEEDED).id


def _failed(store: SqlStore) -> str:
    held = running(store, request=REQUEST, model_name=MODEL)
    store.append_log(held, LOG.encode(), source_offset=len(LOG.encode()))
    reason = Reason(
        Code.NONZERO_EXIT, FailureType.USER_ERROR, f"The entry point 'main' ended with exit code 1. {HOSTILE}"
    )
    return store.finish(held, Ending(JobState.FAILED, reason, exit_code=1)).id


def _cancelled(store: SqlStore) -> str:
    return store.cancel(submit(store, request=REQUEST), force=False).id


def _awaiting(store: SqlStore) -> str:
    asked = NewPromotion(
        MODEL,
        "champion",
        Kind.TRAINING,
        "3",
        "2",
        PromotionState.AWAITING_APPROVAL,
        "ann",
        HOSTILE,
        approval_seconds=3600,
    )
    return store.propose(asked, seen=store.last_event(MODEL, "champion")).id


def _move(store: SqlStore, job_id: str) -> None:
    for version, before in (("1", None), ("2", "1")):
        made = NewPromotion(
            MODEL,
            "champion",
            Kind.TRAINING,
            version,
            before,
            PromotionState.MOVING,
            "ann",
            HOSTILE,
            job_id=job_id,
            attempt=1,
        )
        store.carried_out(store.propose(made, seen=store.last_event(MODEL, "champion")).id)
