"""The jobs, hosts, model and triggers that the pictures show."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.errors import Code, FailureType
from shared.jobs.model import JobState, Reason
from shared.jobs.promotions import Kind, NewPromotion, PromotionState
from shared.jobs.records import Claim, Ending, Resolution
from shared.scheduling.hosts import Host
from shared.sql import SqlStore
from tests.support.clocks import HeldClock
from tests.support.jobs import a_host, claim, submit
from tests.support.kept_triggers import a_trigger

HOSTS = (
    a_host("gpu-1", slots=4, gpus=("0", "1"), labels=("a100",)),
    a_host("gpu-2", slots=4, gpus=("0", "1", "2", "3"), labels=("h100",)),
    a_host("cpu-1", slots=8),
)
MODELS = ("iris", "demand", "fraud-score", "churn", "digits")
COMMITS = ("4f1c9a7e", "b02d88c1", "9e63a5f4")
OUT_OF_MEMORY = Reason(Code.OOM_KILLED, FailureType.USER_ERROR, "The training used more than its 8 GiB of memory.")
BAD_EXIT = Reason(Code.NONZERO_EXIT, FailureType.USER_ERROR, "The entry point 'main' ended with exit code 1.")


def fill(store: SqlStore, clock: HeldClock) -> str:
    """Have all of it there; return the id of the job that the picture of one job shows."""
    now = datetime.now(UTC)
    clock.now = now - timedelta(hours=20)
    for name, when in (("nightly", {"cron": "30 2 * * *"}), ("new-data", {"every": 3600})):
        template = _request("iris", 20)
        store.create_trigger(
            replace(a_trigger(name, when=when, template=template), when=when, policy={"cooldown": 600})
        )
    _promote(store, "1", None, "promoted: first version of 'iris' (accuracy 0.8711)")
    for number in range(18):
        _ended(store, clock, number)
    clock.now = now - timedelta(minutes=11)
    shown = _running(store, "iris", HOSTS[0], gpus=1)
    clock.pass_seconds(120)
    _running(store, "fraud-score", HOSTS[1], gpus=2)
    clock.pass_seconds(240)
    _promote(store, "2", "1", "promoted: 0.9127 > 0.8711 (same evaluation data)")
    for model in ("demand", "churn"):
        submit(store, **_facts(model, 40), gpus=8)
    clock.now = now
    for host in HOSTS:
        store.beat(host, gap_seconds=60)
    return shown.job.id


def _request(model: str, epochs: int) -> dict[str, Any]:
    return {
        "experiment_name": f"{model}-retraining",
        "model_name": model,
        "git_uri": f"https://github.com/acme/{model}.git",
        "commit_hash": "main",
        "dataset_repo": f"https://data.acme.example/{model}/2026-11.parquet",
        "parameters": {"epochs": epochs, "learning_rate": 0.001},
    }


def _facts(model: str, epochs: int) -> dict[str, Any]:
    words = {"experiment_name": f"{model}-retraining", "model_name": model, "submitted_by": "ann", "team": "vision"}
    return {
        "request": _request(model, epochs),
        "labels": {"dataset": "2026-11"},
        "concurrency_key": f"model:{model}",
        **words,
    }


def _begin(store: SqlStore, model: str, host: Host, *, gpus: int, number: int) -> Claim:
    held = claim(store, submit(store, **_facts(model, 20), gpus=gpus), host=host)
    sha = COMMITS[number % len(COMMITS)] * 5
    store.resolve(held, Resolution(commit_sha=sha, image=f"registry.acme.example/{model}:3", run_id="2"))
    store.started(held, runner="docker", container=f"retrain-{number}")
    return held


def _ended(store: SqlStore, clock: HeldClock, number: int) -> None:
    model = MODELS[number % len(MODELS)]
    held = _begin(store, model, HOSTS[number % 2], gpus=1, number=number)
    clock.pass_seconds(400 + 97 * number)
    if number % 6 == 4:
        store.finish(held, Ending(JobState.FAILED, OUT_OF_MEMORY if number % 4 else BAD_EXIT, exit_code=1))
    else:
        result = {"metrics": {"accuracy": 0.87 + number / 400}}
        store.finish(held, Ending(JobState.SUCCEEDED, exit_code=0, result=result))
    clock.pass_seconds(1800)


def _running(store: SqlStore, model: str, host: Host, *, gpus: int) -> Claim:
    held = _begin(store, model, host, gpus=gpus, number=1)
    lines = [f"epoch {epoch:2}  loss {1.2 / epoch:.4f}  accuracy {0.93 - 0.4 / epoch:.4f}\n" for epoch in range(1, 15)]
    log = "".join(
        ["Reading 2026-11.parquet: 184,221 rows\n", *lines, "\x1b[33mWarning: 12 rows without a label\x1b[0m\n"]
    )
    store.append_log(held, log.encode(), source_offset=len(log.encode()))
    return held


def _promote(store: SqlStore, version: str, before: str | None, why: str) -> None:
    made = NewPromotion("iris", "champion", Kind.TRAINING, version, before, PromotionState.MOVING, "ann", why)
    store.carried_out(store.propose(made, seen=store.last_event("iris", "champion")).id)
