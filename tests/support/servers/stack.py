"""The real stack, as `make up` starts it: on ports and in a folder of its own, and gone without a trace at the end."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests
from docker.errors import NotFound

from deploy.one_machine.plan import FOLDER, network_name
from deploy.one_machine.ports import is_taken
from deploy.one_machine.readiness import missing
from tests.support.engines import docker_or_skip
from tests.support.network.ports import free_port
from tests.support.waiting import wait_until
from worker.runners.docker.networks import BridgeNetwork

READY_SECONDS = 120
STOP_SECONDS = 20
GONE_SECONDS = 2
HTTP_SECONDS = 30
PASSED_ON = ("PATH", "LANG", "USER", "SSL_CERT_FILE", "VIRTUAL_ENV")
HOST_LABEL = "retrain.host"
PARTS = ("api", "mlflow", "redis", "worker", "flower")


@dataclass
class Stack:
    """A stack of this test. Its data, its temporary files and its home are in its folder."""

    folder: Path
    runner: str
    settings: Mapping[str, str] = field(default_factory=dict)
    checkout: Path = FOLDER
    host: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:12]}")
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in PARTS})
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def data(self) -> Path:
        """Its DATA_DIR."""
        return self.folder / "data"

    @property
    def log(self) -> str:
        """What all its processes have printed."""
        return (self.folder / "stack.log").read_text(errors="replace")

    @property
    def network(self) -> str:
        """The Docker network of its trainings."""
        return network_name(self.data.resolve())

    @property
    def urls(self) -> dict[str, str]:
        """Where its parts answer."""
        return {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items() if name != "redis"}

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of its supervisor; nothing of the tests' own settings reaches it."""
        kept = {name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith("DOCKER_")}
        ours = {
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "DATA_DIR": str(self.data),
            "API_PORT": str(self.ports["api"]),
            "REDIS_PORT": str(self.ports["redis"]),
            "MLFLOW_TRACKING_URI": self.urls["mlflow"],
            "FLOWER_URL": self.urls["flower"],
            "WORKER_METRICS_PORT": str(self.ports["worker"]),
            "WORKER_HOST": self.host,
            "GIT_SCHEMES": "https,ssh,file,http",
            "GIT_HOSTS": "127.0.0.1",
            "SWEEP_SECONDS": "1",
        }
        return {**kept, **ours, **({"RUNNER": self.runner} if self.runner else {}), **self.settings}

    def start(self, *, ready: bool = True) -> None:
        """Start it, and wait until it is ready."""
        for name in ("home", "tmp", "data"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        with (self.folder / "stack.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.one_machine.stack"],
                cwd=self.checkout,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if ready:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until it is ready."""
        wait_until(self._is_ready, timeout_seconds=READY_SECONDS, every_seconds=0.2, what="a ready stack")

    def stop(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = STOP_SECONDS) -> None:
        """Stop it, and expect a clean end: exit code 0, no listener left, and no process but a training's."""
        assert self.process is not None
        if number == signal.SIGINT:
            os.killpg(self.process.pid, number)  # as a terminal does at Ctrl-C
        else:
            self.process.send_signal(number)
        code = self.wait_for_end(seconds)
        assert code == 0, f"the stack ended with {code} after {number.name}:\n{self.log[-3000:]}"
        self.assert_gone()

    def wait_for_end(self, seconds: float = STOP_SECONDS) -> int:
        """The exit code of its supervisor."""
        assert self.process is not None
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the stack runs on after {seconds} s:\n{self.log[-3000:]}") from None

    def assert_gone(self) -> None:
        """Nothing of it runs or listens any more; what its programs had started ends a moment after them."""
        wait_until(lambda: not self.processes(training=False), timeout_seconds=GONE_SECONDS, what=f"the end of {self}")
        assert [name for name, port in self.ports.items() if is_taken(port)] == []

    def clean(self) -> None:
        """End whatever a failed test has left."""
        for process in self.processes():
            try:
                process.kill()
            except psutil.Error:
                continue
        if self.process is not None:
            self.process.wait(STOP_SECONDS)
        for container in self.containers(all_states=True) if self.runner == "docker" else []:
            remove_container(container)
        if self.runner == "docker":
            BridgeNetwork(network_name(self.data.resolve())).remove_unused(os.environ)

    def processes(self, *, training: bool = True) -> list[psutil.Process]:
        """Every process of this machine that was started by this stack, except for trainings where not wanted."""
        found = processes_of(self.data)  # a training's may have ended since
        return [each for each in found if training or (not is_training(each) and each.is_running())]

    def containers(self, *, all_states: bool = False) -> list[Any]:
        """The training containers that it started on this host."""
        client = docker_or_skip()
        try:
            return client.containers.list(
                all=all_states, ignore_removed=True, filters={"label": f"{HOST_LABEL}={self.host}"}
            )
        finally:
            client.close()

    def post(self, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """POST /retrain; the accepted job."""
        answer = requests.post(f"{self.urls['api']}/retrain", json=body, headers=headers, timeout=HTTP_SECONDS)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def get(self, path: str, **parameters: Any) -> requests.Response:
        """GET a path of the API."""
        answer = requests.get(f"{self.urls['api']}{path}", params=parameters, timeout=HTTP_SECONDS)
        assert answer.ok, answer.text
        return answer

    def job(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """GET /jobs/<id>."""
        return dict(self.get(f"/jobs/{job['id']}").json())

    def job_log(self, job: Mapping[str, Any]) -> str:
        """GET /jobs/<id>/logs."""
        return self.get(f"/jobs/{job['id']}/logs").text

    def wait(self, job: Mapping[str, Any], *, timeout_seconds: float = 120) -> dict[str, Any]:
        """The job when it has ended."""
        return self._wait_for(job, lambda seen: bool(seen["ended_at"]), timeout_seconds, "the job's end")

    def wait_running(self, job: Mapping[str, Any], *, timeout_seconds: float = 60) -> dict[str, Any]:
        """The job when it trains; a test failure when it ends before."""
        seen = self._wait_for(job, lambda j: j["state"] == "running" or bool(j["ended_at"]), timeout_seconds, "running")
        assert seen["state"] == "running", seen["reason"]
        return seen

    def _wait_for(self, job: Mapping[str, Any], condition: Any, timeout_seconds: float, what: str) -> dict[str, Any]:
        seen: dict[str, Any] = {}

        def is_so() -> bool:
            seen.update(self.job(job))
            return bool(condition(seen))

        try:
            wait_until(is_so, timeout_seconds=timeout_seconds, every_seconds=0.1, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}: {json.dumps(seen, indent=1)}\n{self.log[-3000:]}") from None
        return seen

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        return not missing(self.urls)


@contextmanager
def running_stack(
    folder: Path,
    *,
    runner: str,
    settings: Mapping[str, str] | None = None,
    checkout: Path = FOLDER,
    ready: bool = True,
) -> Iterator[Stack]:
    """Yield a stack that is ready, unless the test waits for that; at the end it must stop as it should."""
    if runner == "docker":
        docker_or_skip().close()
    stack = Stack(folder, runner, settings or {}, checkout)
    try:
        stack.start(ready=ready)
        yield stack
        if stack.process is not None and stack.process.poll() is None:
            stack.stop()
    finally:
        stack.clean()


def processes_of(data: Path) -> list[psutil.Process]:
    """Every process of this machine that a stack with this DATA_DIR started: they inherit it, or work in it."""
    found = []
    for process in psutil.process_iter():
        try:
            is_alive = process.status() != psutil.STATUS_ZOMBIE
            # Valkey writes its title over its environment, and has its own folder in DATA_DIR.
            is_ours = process.environ().get("DATA_DIR") == str(data) or Path(process.cwd()).is_relative_to(data)
        except (psutil.Error, OSError):
            continue
        if is_alive and is_ours:
            found.append(process)
    return found


def is_training(process: psutil.Process) -> bool:
    """Whether it belongs to an attempt of the process runner."""
    try:
        return "RETRAIN_JOB_ID" in process.environ()
    except (psutil.Error, OSError):
        return False


def remove_container(container: Any) -> None:
    """Remove it, whatever it does; that it is gone already is no error."""
    try:
        container.remove(force=True, v=True)
    except NotFound:
        return
