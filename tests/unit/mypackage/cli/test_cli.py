"""The command `retrain` against the API's own app, over HTTP."""

import json
import re
import shlex
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mypackage.cli.access.audit import audit
from mypackage.cli.access.tokens import tokens
from mypackage.cli.alerts import alerts
from mypackage.cli.gate import gate
from mypackage.cli.main import main
from mypackage.cli.triggers import triggers
from mypackage.cli.workers import workers
from shared.errors import Code, FailureType
from shared.jobs.model import JobState, Reason
from shared.jobs.promotions import PromotionState
from shared.jobs.records import Ending, JobFilter, Resolution
from tests.fakes.store import MemoryStore
from tests.support.retrain_command import RetrainCommand, at_a_terminal, make_checkout
from tests.support.servers.alert_workers import AnsweringChannel, alert_worker
from tests.support.servers.odd_mlflow import odd_mlflow
from tests.support.servers.served_app import ServedApp, served
from tests.support.waiting import wait_until
from tests.unit.conftest import BODY, HOST, ClaimJob, MakeApp
from tests.unit.mypackage.promotions import AWAITING, promotion
from worker.alerts.seam import Answer, Verdict

EXAMPLE_ID = "5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b"
NIGHTLY = {"name": "iris-nightly", "template": BODY, "when": {"cron": "30 2 * * *"}}
EVIL = "\x1b]0;title\x07[bold]\x1b[31mred\x9b2J\r\x08"
FAILURE = Reason(Code.NONZERO_EXIT, FailureType.USER_ERROR, f"exit code 1 {EVIL}")
WITH_COMMANDS = (alerts, audit, gate, tokens, triggers, workers)
GROUPS = {f"{group.name} {name}": each for group in WITH_COMMANDS for name, each in group.commands.items()}
COMMANDS = {"main": main, **main.commands, **GROUPS}
NO_SERVICE = {"RUNNER": "process", "REDIS_URL": "redis://127.0.0.1:1", "MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}
Ended = Callable[..., str]


@pytest.fixture
def server(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedApp]:
    with served(make_app, monkeypatch) as start, odd_mlflow() as mlflow:
        yield start(
            alert_webhooks="team-a=json:https://hooks.example/hunter2",
            discord_webhook_url="https://hooks.example",
            mlflow_tracking_uri=mlflow.served.url,
        )


@pytest.fixture
def run(server: ServedApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RetrainCommand:
    monkeypatch.chdir(tmp_path)
    return RetrainCommand(server.url)


@pytest.fixture
def ended(run: RetrainCommand, store: MemoryStore, claim_job: ClaimJob) -> Ended:
    """Makes a job that has ended, with a log and a run."""

    def make(state: JobState = JobState.SUCCEEDED, **body: Any) -> str:
        job_id = run.new_job(**{**BODY, **body})
        claim = claim_job(job_id)
        store.resolve(claim, Resolution(run_id="a" * 32, experiment_id="3"))
        store.append_log(claim, f"epoch 1 {EVIL}\n[red]epoch 2[/red]\n".encode(), source_offset=0)
        if state is JobState.CANCELLED:
            store.cancel(job_id, force=False)
        store.finish(claim, Ending(state, reason=None if state is JobState.SUCCEEDED else FAILURE))
        return job_id

    return make


@pytest.mark.parametrize(("state", "code"), [(JobState.SUCCEEDED, 0), (JobState.FAILED, 1), (JobState.CANCELLED, 3)])
def test_the_exit_code_of_wait_is_the_outcome(run: RetrainCommand, ended: Ended, state: JobState, code: int) -> None:
    job_id = ended(state)
    assert json.loads(run("wait", job_id, "--json", code=code).stdout)["state"] == state
    assert f"state: {state}" in run("wait", job_id, code=code).stdout


def test_a_wait_that_takes_too_long_has_its_own_exit_code(run: RetrainCommand) -> None:
    assert "goes on" in run("wait", run.new_job(**BODY), "--timeout", "0.05", code=4).stderr


def test_following_a_submitted_job_prints_its_log_and_its_outcome(
    run: RetrainCommand, server: ServedApp, store: MemoryStore, claim_job: ClaimJob
) -> None:
    with ThreadPoolExecutor(1) as thread:
        arguments = ["--url", server.url, "submit", "--experiment-name", "iris", "--git-uri", BODY["git_uri"]]
        result = thread.submit(CliRunner().invoke, main, [*arguments, "--follow"])
        claim = claim_job(wait_until(lambda: [path for _, path in server.requests if "wait" in path])[0][6:42])
        store.append_log(claim, b"epoch 1\n", source_offset=0)
        store.finish(claim, Ending(JobState.FAILED, reason=FAILURE))
        done = result.result(30)
    assert done.exit_code == 1
    assert done.stdout == "epoch 1\n"
    assert "failed: NONZERO_EXIT: exit code 1" in done.stderr


def test_status_says_why_a_job_waits(run: RetrainCommand) -> None:
    assert "waits: " in run("status", run.new_job(**BODY)).stdout


def test_a_list_in_a_pipe_is_a_line_for_each_job(run: RetrainCommand, ended: Ended) -> None:
    done, waiting = ended(model_name="m"), run.new_job(**BODY, labels={"team": "x"})
    rows = [line.split("\t") for line in run("list").stdout.splitlines()]
    assert [row[:4] for row in rows] == [[waiting, "queued", "iris", ""], [done, "succeeded", "iris", "m"]]
    assert [job["id"] for job in json.loads(run("list", "--label", "team=x", "--json").stdout)] == [waiting]
    assert run("list", "--state", "running").stdout == ""


def test_priority_prints_the_job_and_a_refusal_says_why(run: RetrainCommand, ended: Ended) -> None:
    job_id = run.new_job(**BODY)
    assert json.loads(run("priority", job_id, "9", "--json").stdout)["priority"] == 9
    assert "only a job that waits" in run("priority", ended(experiment_name="wine"), "9", code=2).stderr


def test_jobs_are_searched_by_host_and_by_what_one_types(run: RetrainCommand, ended: Ended) -> None:
    job_id = ended(experiment_name="wine")
    run.new_job(**BODY)
    for words in (("--host", HOST.name), ("--search", "wine"), ("--search", job_id[:8])):
        assert [job["id"] for job in json.loads(run("list", *words, "--json").stdout)] == [job_id]
    assert run("list", "--commit", "abcdef").stdout == ""


def test_cancel_and_retry_print_the_job(run: RetrainCommand) -> None:
    job_id = run.new_job(**BODY)
    assert "state: cancelled" in run("cancel", job_id, "--force").stdout
    again = json.loads(run("retry", job_id, "--no-pin", "--json").stdout)
    assert again["retry_of"] == job_id


def test_a_test_of_the_alerts_tells_the_outcome_and_has_its_exit_code(run: RetrainCommand, store: MemoryStore) -> None:
    assert run("alerts", "test", code=1).stdout == "discord: no worker: no worker is alive\n"
    gone = AnsweringChannel(Answer(Verdict.CLOSED, "HTTP 404 \x1b[31m"))
    with alert_worker(store, {"team-a": gone, "discord": AnsweringChannel()}):
        assert run("alerts", "test").stdout == "discord: sent\n"
        shown = run("alerts", "test", "--to", "team-a", "--to", "discord", code=1).stdout
        assert shown == "discord: sent\nteam-a: refused: HTTP 404 ; check team-a in ALERT_WEBHOOKS\n"
        told = json.loads(run("alerts", "test", "--to", "team-a", "--json", code=1).stdout)
    assert [(each["channel"], each["outcome"]) for each in told] == [("team-a", "refused")]
    assert "known are discord, team-a" in run("alerts", "test", "--to", "team-b", code=2).stderr


def test_open_prints_the_runs_page(run: RetrainCommand, ended: Ended) -> None:
    assert run("open", ended()).stdout.endswith(f"/runs/{'a' * 32}?workflowType=machine_learning\n")
    assert "has no MLflow run" in run("open", run.new_job(**BODY), code=2).stderr


def test_a_server_that_is_away_and_a_missing_token_are_told(
    run: RetrainCommand, server: ServedApp, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.app = make_app(api_tokens=("another",))
    stderr = run("list", code=2, RETRAIN_TOKEN="not-for-anybody").stderr
    assert "Set RETRAIN_TOKEN" in stderr
    assert "not-for-anybody" not in stderr
    server.stop()
    assert "does not answer" in run("list", code=2).stderr
    assert "RETRAIN_URL" in CliRunner().invoke(main, ["list"], env={"RETRAIN_URL": "nothing"}).stderr


def test_interrupting_leaves_the_job_alone(run: RetrainCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = run.new_job(**BODY)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mypackage.client.job.JobHandle.wait", interrupt)
    assert "goes on" in run("wait", job_id, code=130).stderr


def test_nothing_that_others_wrote_reaches_a_terminal_as_a_control(run: RetrainCommand, ended: Ended) -> None:
    job_id = ended(JobState.FAILED)
    assert run("logs", job_id).stdout == "epoch 1 [bold]red\n\n[red]epoch 2[/red]\n"
    assert run("logs", job_id, "-f", "--attempt", "1").stdout == run("logs", job_id).stdout
    for arguments in (["status", job_id], ["list"], ["wait", job_id], ["status", job_id, "--json"]):
        output = run(*arguments, code=1 if arguments[0] == "wait" else 0).output
        assert "[bold]" in output
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", output)


def test_a_terminal_gets_tables_and_colours_but_no_markup_of_others(
    run: RetrainCommand, server: ServedApp, ended: Ended
) -> None:
    job_id = ended(JobState.FAILED)
    table = at_a_terminal("--url", server.url, "list")
    assert "experiment" in table
    assert "\x1b[31mfailed" in table
    assert "[bold]red" in table
    assert "\x07" not in table
    live = at_a_terminal("--url", server.url, "wait", job_id)
    assert "claimed by gpu-1" in live
    assert "title" not in live


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_every_table_shows_what_matters_at_any_width(
    server: ServedApp, run: RetrainCommand, ended: Ended, store: MemoryStore, columns: int
) -> None:
    job_id = ended(JobState.FAILED)
    store.beat(HOST, gap_seconds=60)
    jobs = at_a_terminal("--url", server.url, "list", COLUMNS=str(columns)).splitlines()
    hosts = at_a_terminal("--url", server.url, "workers", COLUMNS=str(columns)).splitlines()
    assert re.search(rf"^{job_id[:8]} .*failed.* \d+ s .*iris", jobs[1])
    assert "NONZERO_EXIT" in jobs[1] or columns == 60
    assert re.search(r"^gpu-1 .*alive.* 0/100 .*0/2 .*\d+ s ", hosts[1])
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip()) for line in jobs + hosts) <= columns
    assert (len(jobs), len(hosts)) == (2, 2)
    assert job_id in run("status", job_id[:8]).stdout


def test_a_log_that_is_followed_at_a_terminal_has_the_jobs_state_under_it(
    server: ServedApp, store: MemoryStore, claim_job: ClaimJob
) -> None:
    with ThreadPoolExecutor(1) as thread:
        arguments = ["--url", server.url, "submit", "--experiment-name", "iris", "--git-uri", BODY["git_uri"]]
        following = thread.submit(at_a_terminal, *arguments, "--follow")
        (job_id,) = wait_until(lambda: open_jobs(store), timeout_seconds=20)
        claim = claim_job(job_id)
        store.append_log(claim, f"  epoch 1 {EVIL}\n".encode(), source_offset=0)
        store.finish(claim, Ending(JobState.SUCCEEDED))
        shown = re.sub(r"\x1b\[[0-?]*[@-~]", "", following.result(30))
    assert "\n  epoch 1 [bold]red" in shown.replace("\r", "\n")
    assert "succeeded, attempt 1" in shown.rpartition("epoch 1")[2]


def examples_of(name: str) -> list[str]:
    """The examples in a command's help."""
    result = CliRunner().invoke(main, [*name.split(), "--help"] if name != "main" else ["--help"])
    assert result.exit_code == 0
    text = result.output.partition("Examples:\n")[2].partition("\n\n")[0]
    return [line.strip() for line in text.splitlines()]


@pytest.fixture
def in_checkout(run: RetrainCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_checkout(tmp_path / "checkout")
    (folder / "job.yaml").write_text(json.dumps(BODY))
    (folder / "rules.yaml").write_text("min_delta: 0.01")
    (folder / "triggers").mkdir()
    for name in ("nightly.yaml", "triggers/nightly.yaml"):
        (folder / name).write_text(json.dumps(NIGHTLY))
    (folder / "train.py").touch()
    (folder / "models/iris").mkdir(parents=True)
    (folder / "models/iris/fit.py").touch()
    monkeypatch.chdir(folder)


def make_what_is_named(words: list[str], run: RetrainCommand, store: MemoryStore) -> None:
    if {"rotate", "revoke"} & set(words) and not store.list_tokens():
        run("tokens", "create", "ci", "--role", "submitter")
    if "triggers" in words and "add" not in words:
        run("triggers", "add", "nightly.yaml", "--replace")


@pytest.mark.usefixtures("in_checkout")
@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_every_help_work(
    name: str, run: RetrainCommand, ended: Ended, store: MemoryStore, claim_job: ClaimJob
) -> None:
    examples = examples_of(name)
    assert examples
    for example in examples:
        for job_id in open_jobs(store):  # those that the examples before left would go first
            store.cancel(job_id, force=False)
        program, *words = shlex.split(example.replace("http://127.0.0.1:5005", run.url))
        assert program == "retrain"
        job_id = run.new_job(**BODY) if {"cancel", "priority"} & set(words) else ended()
        if {"approve", "reject", "champion"} & set(words):
            job_id = promotion(store, PromotionState.PROMOTED if "champion" in words else AWAITING)
        words = [job_id if word == EXAMPLE_ID else word for word in words]
        make_what_is_named(words, run, store)
        if "alerts" in words:
            with alert_worker(store, {"team-a": AnsweringChannel(), "discord": AnsweringChannel()}):
                run(*words)
            continue
        if "doctor" in words:
            run(*words, code=1, **NO_SERVICE)
        elif "--at" in words and "champion" in words:  # when there was none yet
            assert "CHAMPION_UNKNOWN" in run(*words, code=2).stderr
        elif "workers" in words:
            store.beat(HOST, gap_seconds=60)
            run(*words)
            store.undrain(HOST.name)
        elif {"--wait", "--follow"} & set(words):
            run_to_end(run, words, store, claim_job)
        else:
            run(*words)


def open_jobs(store: MemoryStore) -> list[str]:
    return [job.id for job in store.list(JobFilter(), limit=100) if not job.state.is_terminal]


def run_to_end(run: RetrainCommand, words: list[str], store: MemoryStore, claim_job: ClaimJob) -> None:
    """Run a command that waits for its new job, and let the job succeed."""
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(run, *words)
        (job_id,) = wait_until(lambda: open_jobs(store), timeout_seconds=5)
        store.finish(claim_job(job_id), Ending(JobState.SUCCEEDED))
        done.result(30)
