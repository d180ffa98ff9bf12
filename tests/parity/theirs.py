"""Cases through `mlflow.projects.run`: a process that has MLflow loaded, and forks for each."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.parity.case import Outcome, shown_in

AT_ONCE = 3
OUTPUT, ENDED = "theirs.log", "theirs.json"


def run_by_mlflow(jobs: Sequence[Mapping[str, Any]]) -> list[Outcome]:
    """Run each job, which has a folder with the project, an entry point, and parameters."""
    environment = {
        **{name: os.environ[name] for name in ("HOME", "DOCKER_HOST") if name in os.environ},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.environ.get("PYTHONPATH", str(Path.cwd())),
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, "-m", "tests.parity.theirs"]
    subprocess.run(command, input=json.dumps(jobs), env=environment, text=True, check=True, timeout=900)
    return [_outcome(Path(job["outputs"])) for job in jobs]


def _outcome(folder: Path) -> Outcome:
    ended = json.loads((folder / ENDED).read_text())
    if "refused" in ended:
        return Outcome(None, refused=ended["refused"])
    return Outcome(ended["exit_code"], shown_in((folder / OUTPUT).read_text(errors="replace")))


def main() -> None:
    waiting, running = json.load(sys.stdin), 0
    _warm_up()
    while waiting or running:
        if waiting and running < AT_ONCE:
            job = waiting.pop(0)
            if os.fork() == 0:
                _run_in_child(job)
            running += 1
        else:
            os.wait()
            running -= 1


def _warm_up() -> None:
    """Run a project here, so that each child finds loaded what MLflow loads as it goes."""
    import mlflow.projects.docker  # noqa: F401, PLC0415 - only here: the table does without

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "project").mkdir()
        (Path(folder) / "project" / "MLproject").write_text("entry_points: {main: {command: 'true'}}")
        job = {"entry_point": "main", "parameters": {}, "host": {}, "build_image": False}
        _run({**job, "folder": str(Path(folder) / "project")}, Path(folder))


def _run_in_child(job: Mapping[str, Any]) -> None:
    outputs = Path(job["outputs"])
    ended: dict[str, Any] = {"refused": "it ended unseen"}
    try:
        _redirect(outputs / OUTPUT)
        ended = _run(job, outputs)
    except BaseException as error:  # noqa: BLE001 - it must not go on as a second parent
        ended = {"refused": f"{type(error).__name__}: {error}"}
    finally:
        (outputs / ENDED).write_text(json.dumps(ended))
        os._exit(0)


def _redirect(output: Path) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (descriptor, 1), (descriptor, 2)):
        os.dup2(source, target)


def _run(job: Mapping[str, Any], outputs: Path) -> dict[str, Any]:
    import mlflow  # noqa: PLC0415
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from mlflow.projects.submitted_run import LocalSubmittedRun  # noqa: PLC0415

    os.environ.update(job["host"])
    codes: list[int] = []

    def wait(run: LocalSubmittedRun) -> bool:
        codes.append(run.command_proc.wait())
        return codes[-1] == 0

    # MLflow says that a run failed, but not with which exit code.
    LocalSubmittedRun.wait = wait  # type: ignore[method-assign]
    mlflow.set_tracking_uri(str(outputs / "mlruns"))
    tempfile.tempdir = str(outputs)  # it leaves folders behind
    try:
        mlflow.projects.run(  # type: ignore[no-untyped-call]
            job["folder"],
            job["entry_point"],
            parameters=job["parameters"],
            env_manager="local",
            build_image=job["build_image"],
        )
    except MlflowException as error:
        if not codes:
            return {"refused": f"{type(error).__name__}: {error}"[:300]}
    return {"exit_code": codes[0] if codes[0] >= 0 else 128 - codes[0]}


if __name__ == "__main__":
    main()
