"""`make demo`: the main job from nothing, on this machine, through the HTTP API: a model, then a worse one refused."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import requests

from deploy.dependencies.telling import EVERY_SECONDS, run_telling, say_now
from deploy.one_machine.plan import FOLDER
from deploy.one_machine.ports import is_taken
from deploy.one_machine.readiness import missing
from deploy.one_machine.stack import running_stack
from shared.errors import RetrainError
from shared.own_addresses import listener, own_loopback, reachable_at
from shared.proxies import go_directly_to_own_parts
from shared.settings import Settings
from worker.runners.registry import RUNNERS

EXAMPLE = "examples/sklearn-dummy"
IMAGE = "retrain-example-sklearn-dummy"
READY_SECONDS = 180
BUILD_SECONDS = 900
JOB_SECONDS = 600
STOP_SECONDS = 20
POLL_SECONDS = 0.3
DEFAULT_PORTS = {"API_PORT": 5005, "MLFLOW_PORT": 5007, "FLOWER_PORT": 5555, "REDIS_PORT": 6389}


class DemoFailed(RetrainError):
    """The demo did not show what it should; the message says why."""


def main() -> int:
    """Run the demo; 0 only when it showed all that it should."""
    argparse.ArgumentParser(
        prog="make demo",
        description="Start the service, retrain an example twice through its HTTP API, show the result, and stop.",
        epilog="RUNNER=docker or RUNNER=process chooses how it trains; by default Docker, where it answers.",
    ).parse_args()
    try:
        settings = Settings.load()
        go_directly_to_own_parts(os.environ, settings)
        runner = _choose_runner(settings)
        urls = running_stack(settings.data_dir)
        if urls:
            _say("Using the stack that runs already.")
            _show(urls)
        else:
            with _stack(settings.data_dir, runner) as urls:
                _show(urls)
    except (RetrainError, requests.RequestException) as error:
        print(f"\nmake demo failed: {error}", file=sys.stderr)
        return 1
    _say("Done. To look at it all again: make up, then open the address that it prints first.")
    return 0


def _choose_runner(settings: Settings) -> str:
    """Docker where it answers and the example's image can be made; said aloud where not, refused where insisted on."""
    asked = settings.runner if "runner" in settings.model_fields_set else ""
    if asked == "process":
        return "process"
    if RUNNERS.load("docker").find_version(os.environ) is None:
        if asked == "docker":
            raise DemoFailed("RUNNER=docker, but Docker does not answer. Start it, or use RUNNER=process.")
        _say("Docker does not answer: training will run as a plain process of your user, without isolation.")
        return "process"
    problem = _build_image()
    if problem is None:
        return "docker"
    if asked == "docker":
        raise DemoFailed(f"The image {IMAGE} could not be built: {problem}")
    _say(
        f"Docker answers, but the example's image could not be built: {problem}\n"
        "Going on with a plain process of your user, without isolation. RUNNER=docker insists on Docker."
    )
    return "process"


def _build_image() -> str | None:
    if shutil.which("docker") is None:
        return "the docker command is missing"
    _say(f"Building the example's image {IMAGE} (the first time takes a minute or two) ...")
    command = ["docker", "build", "--file", f"{FOLDER}/{EXAMPLE}/Dockerfile", "--tag", IMAGE, str(FOLDER)]
    with TemporaryFile() as output:
        try:
            code = run_telling(command, "still building", output=output, timeout_seconds=BUILD_SECONDS)
        except subprocess.TimeoutExpired:
            return f"it took longer than {BUILD_SECONDS} s"
        output.seek(0)
        lines = output.read().decode(errors="replace").strip().splitlines()
    return None if code == 0 else (lines[-1] if lines else f"exit code {code}")


@contextmanager
def _stack(data: Path, runner: str) -> Iterator[dict[str, str]]:
    """Start the stack of `make up`, on other ports where the usual ones are taken, and stop it at the end."""
    environment, urls = _environment(runner)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = data / "demo-stack.log"
    _say(f"Starting Redis, MLflow, API, worker and Flower (their output: {log}) ...")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.one_machine.stack"],
            cwd=FOLDER,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, urls, log)
        yield urls
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)


def _environment(runner: str) -> tuple[dict[str, str], dict[str, str]]:
    ports = {name: _usual_or_free(name, usual) for name, usual in DEFAULT_PORTS.items()}
    here = reachable_at(own_loopback())
    urls = {
        "api": f"http://{here}:{ports['API_PORT']}",
        "mlflow": f"http://{here}:{ports['MLFLOW_PORT']}",
        "flower": f"http://{here}:{ports['FLOWER_PORT']}",
        "runner": runner,
    }
    told = {
        "RUNNER": runner,
        "API_HOST": own_loopback(),
        "API_PORT": str(ports["API_PORT"]),
        "REDIS_PORT": str(ports["REDIS_PORT"]),
        "MLFLOW_TRACKING_URI": urls["mlflow"],
        "FLOWER_URL": urls["flower"],
        "WORKER_METRICS_PORT": "0",
        "GIT_SCHEMES": "https,ssh,file",
    }
    return {**os.environ, **told}, urls


def _usual_or_free(name: str, usual: int) -> int:
    if not is_taken(usual):
        return usual
    with listener(own_loopback(), 0) as probe:
        port: int = probe.getsockname()[1]
    _say(f"Port {usual} is taken; {name} is {port} for this demo.")
    return port


def _wait_until_ready(process: "subprocess.Popen[bytes]", urls: Mapping[str, str], log: Path) -> None:
    deadline, tell_at = time.monotonic() + READY_SECONDS, time.monotonic() + EVERY_SECONDS
    while absent := missing(urls):
        if time.monotonic() > tell_at:
            tell_at += EVERY_SECONDS
            say_now(f"  waiting for {' and '.join(absent)} ...")
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise DemoFailed(f"no answer from {' and '.join(absent)}. The end of {log}:\n{tail}")
        time.sleep(POLL_SECONDS)


def _show(urls: Mapping[str, str]) -> None:
    """Run the main job, and then the same with worse parameters."""
    _say(f"Pages {urls['api']}/ui/")
    print(
        f"API {urls['api']}   MLflow {urls['mlflow']}   Flower {urls['flower']}   runner: {urls['runner']}", flush=True
    )
    model = f"sklearn-dummy-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    good = _retrain(urls, model, {})
    if not good["model"]:
        raise DemoFailed(f"no model was registered: {good['promotion']}")
    _say(
        f"Registered: model {good['model']['name']}, version {good['model']['version']} "
        f"({good['promotion']['reason']})\n  run {good['mlflow']['url']}"
    )
    _say("Retraining with worse parameters (alpha=0.1) ...")
    worse = _retrain(urls, model, {"alpha": 0.1})
    if worse["promotion"]["promoted"] or worse["model"]:
        raise DemoFailed(f"the worse model was promoted: {worse['promotion']}")
    _say(f"The second run: {worse['promotion']['reason']}\nThe champion stays version {good['model']['version']}.")


def _retrain(urls: Mapping[str, str], model: str, parameters: Mapping[str, float]) -> dict[str, Any]:
    body = {
        "experiment_name": "demo",
        "git_uri": FOLDER.as_uri(),
        "MLproject_location": EXAMPLE,
        "commit_hash": _head(),
        "model_name": model,
        "parameters": dict(parameters),
    }
    answer = requests.post(f"{urls['api']}/retrain", json=body, headers=_token(), timeout=30)
    if answer.status_code != 202:
        raise DemoFailed(f"POST /retrain answered {answer.status_code}: {answer.text}")
    _say(f"POST /retrain -> {answer.status_code}, {answer.headers['Location']}")
    job = _follow(urls["api"] + answer.headers["Location"])
    if job["state"] != "succeeded":
        raise DemoFailed(f"the job {job['id']} ended as {job['state']}: {job['reason']}")
    return job


def _head() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=FOLDER, capture_output=True, text=True, timeout=30, check=False
    )
    if done.returncode != 0:
        raise DemoFailed(f"this folder is no git checkout, and the service trains commits: {done.stderr.strip()}")
    return done.stdout.strip()


def _token() -> dict[str, str]:
    tokens = Settings.load().api_tokens
    return {"Authorization": f"Bearer {tokens[0].get_secret_value()}"} if tokens else {}


def _follow(url: str) -> dict[str, Any]:
    """Print states and log lines as they come, until the job has ended."""
    seen, offset, deadline = 0, 0, time.monotonic() + JOB_SECONDS
    while time.monotonic() < deadline:
        job: dict[str, Any] = requests.get(url, headers=_token(), timeout=30).json()
        offset = _print_log(url, offset)
        for change in job["transitions"][seen:]:
            print(f"  {change['at'][11:19]}  {change['to']:<10} {change['reason']}", flush=True)
        seen = len(job["transitions"])
        if job["ended_at"]:
            _print_log(url, offset)
            return job
        time.sleep(POLL_SECONDS)
    raise DemoFailed(f"the job did not end within {JOB_SECONDS} s: {url}")


def _print_log(url: str, offset: int) -> int:
    answer = requests.get(f"{url}/logs", params={"offset": offset}, headers=_token(), timeout=30)
    for line in answer.text.splitlines():
        print(f"            | {line}", flush=True)
    return int(answer.headers.get("X-Log-Next-Offset", offset))


def _say(text: str) -> None:
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
