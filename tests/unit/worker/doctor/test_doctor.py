"""What the doctor makes of what it sees: its verdicts, its report, and that nothing brings it down."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.errors import Code, InfrastructureError
from shared.live_secrets import redactor_of
from shared.own_files import CHOSEN_BY_MAKE_UP
from shared.settings import Settings
from worker.doctor import __main__ as program
from worker.doctor.__main__ import without_secrets
from worker.doctor.examination import examine
from worker.doctor.own_settings import check_settings, chosen_by_make_up
from worker.doctor.report import as_json, as_text, has_failure
from worker.doctor.tracking_server import check_tracking
from worker.findings.clocks import compare
from worker.findings.finding import Finding, State, failure, ok, skipped, warning
from worker.findings.mlflow_answers import refused
from worker.findings.network import Reply
from worker.runners.docker.checks.gpu_access import check_gpus
from worker.runners.docker.checks.seen_from_containers import check_from_container
from worker.runners.docker.checks.trial_containers import Trial

ROOT = Path(__file__).parents[4]
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ADDRESS = "http://mlflow:5000"


def printing(printed: str | None) -> Trial:
    """Containers that print this; None where no image is there for one."""
    return lambda *_command, **_options: printed


def refusing(*_command: object, **_options: object) -> None:
    """An engine that starts no container."""
    raise InfrastructureError(Code.DOCKER_UNAVAILABLE, "could not select device driver")


def settings(folder: Path, **fields: Any) -> Settings:
    return Settings.load(_env_file=None, **{"data_dir": folder, "disk_low_bytes": 1, **fields})


def test_each_finding_is_a_line_and_its_advice_the_next() -> None:
    found = [
        ok("Redis", "answers"),
        failure("MLflow artifacts", "HTTP 500\n\x1b[31mno", "Check the disk."),
        warning("clock", "late", "Set it."),
        skipped("alerts", "no webhook"),
    ]
    assert as_text(found).splitlines() == [
        "ok       Redis             answers",
        "FAILURE  MLflow artifacts  HTTP 500 [31mno",
        "         -> Check the disk.",
        "warning  clock             late",
        "         -> Set it.",
        "skipped  alerts            no webhook",
        "",
        "1 ok, 1 warning, 1 FAILURE, 1 skipped",
    ]


def test_programs_get_the_same_as_json() -> None:
    said = json.loads(as_json([failure("Redis", "gone", "Start it.")]))
    assert said == {
        "ok": False,
        "findings": [{"subject": "Redis", "state": "failure", "seen": "gone", "advice": "Start it."}],
    }


@pytest.mark.parametrize(("found", "expected"), [(warning("a", "b", "c"), False), (failure("a", "b", "c"), True)])
def test_only_a_failure_fails(found: Finding, expected: bool) -> None:
    assert has_failure([found, ok("a", "b")]) is expected


def test_a_check_that_breaks_or_hangs_is_a_finding_beside_those_of_the_others() -> None:
    goes_on = threading.Event()

    def breaks() -> Iterator[Finding]:
        yield ok("first", "seen before")
        raise RuntimeError("unforeseen")

    def hangs() -> Iterator[Finding]:
        yield ok("second", "seen before")
        goes_on.wait(30)

    def works() -> Iterator[Finding]:
        yield ok("third", "seen")

    found = examine({"first": breaks, "second": hangs, "third": works}, limit_seconds=0.2)
    goes_on.set()
    assert [(each.subject, each.state, each.seen) for each in found] == [
        ("first", State.OK, "seen before"),
        ("first", State.FAILURE, "RuntimeError: unforeseen"),
        ("second", State.OK, "seen before"),
        ("second", State.FAILURE, "no answer within 0.2 s"),
        ("third", State.OK, "seen"),
    ]


@pytest.mark.parametrize(
    ("seconds", "state", "seen"),
    [(4.9, State.OK, "within 5 s"), (60, State.WARNING, "60 s ahead of"), (-60, State.WARNING, "60 s behind")],
)
def test_a_clock_that_is_off_is_warned_of(seconds: float, state: State, seen: str) -> None:
    found = compare("Redis'", NOW + timedelta(seconds=seconds), NOW)
    assert (found.subject, found.state) == ("Redis' clock", state)
    assert seen in found.seen


@pytest.mark.parametrize(
    ("reply", "advice"),
    [
        (Reply(None, "Connection refused"), "Start the MLflow server"),
        (Reply(403, "Invalid Host header - possible DNS rebinding attack detected"), "mlflow:5000 among its --allowed"),
        (Reply(403, "Permission denied"), "MLFLOW_TRACKING_USERNAME"),
        (Reply(401, ""), "MLFLOW_TRACKING_USERNAME"),
        (Reply(404, "<html>"), "Something else may listen there"),
    ],
)
def test_refusals_of_mlflow_are_told_apart(reply: Reply, advice: str) -> None:
    wrong = refused(reply, ADDRESS)
    assert wrong
    assert advice in wrong[1]
    assert refused(Reply(200, "{}"), ADDRESS) is None


@pytest.mark.parametrize("address", ["http://ci:hunter2@mlflow:5000", "file:///data/mlruns"])
def test_an_mlflow_that_trainings_cannot_use_is_named_without_its_password(address: str, tmp_path: Path) -> None:
    (found,) = check_tracking(settings(tmp_path, mlflow_tracking_uri=address))
    assert found.state is State.FAILURE
    assert "hunter2" not in found.seen


@pytest.mark.parametrize(
    ("public", "state"),
    [("", State.WARNING), ("http://mlflow.example.com", State.OK), ("http://10.1.2.3:5007", State.OK)],
)
def test_links_that_lead_people_to_a_name_of_containers_are_warned_of(
    public: str, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.doctor.tracking_server.ask", lambda *_, **__: Reply(200, "{}"))
    found = check_tracking(settings(tmp_path, mlflow_tracking_uri="http://mlflow:5007", mlflow_public_url=public))
    (links,) = (each for each in found if each.subject == "links to MLflow")
    assert links.state is state
    assert "MLFLOW_PUBLIC_URL" in links.advice or state is State.OK


@pytest.mark.parametrize(
    ("printed", "state", "said"),
    [
        ("200", State.OK, "answers at http://mlflow:5000"),
        ("401 Unauthorized", State.OK, "answers"),  # it asks for a password, which trainings have
        ("403 Invalid Host header", State.FAILURE, "--allowed-hosts"),
        ("- [Errno -2] Name or service not known", State.FAILURE, "CONTAINER_TRACKING_URI"),
        (None, State.SKIPPED, "no image"),
    ],
)
def test_what_a_container_says_of_mlflow_is_understood(
    printed: str | None, state: State, said: str, tmp_path: Path
) -> None:
    found = check_from_container(printing(printed), settings(tmp_path, mlflow_tracking_uri=ADDRESS))
    assert found.state is state
    assert said in f"{found.seen} {found.advice}"


NVIDIA: dict[str, Any] = {"Runtimes": {"nvidia": {}}}


@pytest.mark.parametrize(
    ("setting", "trial", "info", "state"),
    [
        ("none", printing(None), {}, State.OK),
        ("0,1", printing("started"), {}, State.OK),
        ("0,1", refusing, NVIDIA, State.FAILURE),
        ("0,1", printing(None), NVIDIA, State.OK),
        ("0,1", printing(None), {"Runtimes": {"runc": {}}}, State.SKIPPED),
        ("0,0", printing("started"), NVIDIA, State.FAILURE),
    ],
)
def test_gpus_are_what_the_engine_gives(setting: str, trial: Trial, info: Mapping[str, Any], state: State) -> None:
    assert check_gpus(trial, info, setting).state is state


@pytest.mark.parametrize("is_named", [True, False])
def test_a_file_without_a_key_in_it_is_named_and_a_missing_one_is_not_made(tmp_path: Path, is_named: bool) -> None:
    file = tmp_path / ("own.key" if is_named else "secret.key")
    given = settings(tmp_path, secret_key="", secret_key_file=file if is_named else None)
    assert next(iter(check_settings(given))).state is State.OK
    assert not file.exists()
    file.write_text("garbage")
    found = next(iter(check_settings(given)))
    assert (found.state, found.seen) == (State.FAILURE, f"{file} holds no Fernet key")
    assert "from the backup" in found.advice


def test_a_wrong_key_and_a_data_folder_that_is_a_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    key, folder, _ = check_settings(settings(tmp_path / "file", secret_key="hunter2"))
    assert (key.state, folder.state) == (State.FAILURE, State.FAILURE)
    assert "Fernet.generate_key" in key.advice
    assert str(tmp_path / "file") in folder.seen


def test_settings_that_cannot_be_read_are_the_only_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLOTS", "many")
    assert program.main([]) == 1
    printed = capsys.readouterr().out
    assert "FAILURE  settings" in printed
    assert "SLOTS: Input should be a valid integer" in printed
    assert printed.endswith("1 FAILURE, 1 skipped\n")


def test_no_secret_of_the_settings_is_told(tmp_path: Path) -> None:
    url = "https://discord.example/api/webhooks/1/hunter2-token"
    asked = settings(tmp_path, discord_webhook_url=url, redis_url="redis://:hunter2-redis@redis:6379/0")
    found = [failure("alerts", f"{url} said hunter2-redis", f"look at {url}")]
    assert without_secrets(found, redactor_of(asked, {})) == [failure("alerts", "*** said ***", "look at ***")]


def test_the_command_says_where_to_run_it_where_the_service_is_not(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "mypackage", tmp_path / "mypackage")
    command = [sys.executable, "-m", "mypackage.cli", "doctor"]
    done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "docker compose run --rm worker python -m worker.doctor" in " ".join(done.stderr.split())


def test_folders_that_triggers_look_at_are_on_this_host(tmp_path: Path) -> None:
    *_, there = check_settings(settings(tmp_path, trigger_folders=str(tmp_path)))
    *_, away = check_settings(settings(tmp_path, trigger_folders=f"{tmp_path},{tmp_path}/nothing"))
    assert (there.subject, there.state, away.state) == ("TRIGGER_FOLDERS", State.OK, State.WARNING)
    assert away.seen == f"{tmp_path}/nothing is not a folder here that can be read"


def test_what_a_running_make_up_chose_counts_unless_it_is_given(tmp_path: Path) -> None:
    assert chosen_by_make_up(settings(tmp_path)) == {}
    (tmp_path / CHOSEN_BY_MAKE_UP).write_text('{"RUNNER": "docker", "CONTAINER_NETWORK": "retrain-1"}')
    assert chosen_by_make_up(settings(tmp_path, runner="process")) == {"CONTAINER_NETWORK": "retrain-1"}


def test_the_policy_is_named_with_its_tables_or_with_what_is_wrong_in_it(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("[team.vision]\ngpus = 1")
    *_, good = check_settings(settings(tmp_path, policy_file=file))
    file.write_text("[team.vision]\ngpu = 1")
    *_, wrong = check_settings(settings(tmp_path, policy_file=file))
    assert (good.subject, good.state, good.seen) == ("POLICY_FILE", State.OK, f"{file}: default, team.vision")
    assert (wrong.state, "[team.vision] has the unknown key gpu" in wrong.seen) == (State.FAILURE, True)
