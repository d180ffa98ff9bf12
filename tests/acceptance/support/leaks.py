"""Looks for a secret in every place where one could be left: files, databases, arguments of processes, containers."""

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import docker
import psutil
from mlflow.tracking import MlflowClient

from tests.support.engines import docker_or_skip
from tests.support.servers.stack import Stack

SAMPLE_SECONDS = 0.01


@dataclass(frozen=True)
class Secret:
    """What must not be found, in every form that a program may have given it."""

    username: str
    password: str

    @cached_property
    def forms(self) -> tuple[bytes, ...]:
        """The secret itself, quoted for a URL, escaped for JSON and Python, in hex, in base64 wherever it begins."""
        pair = f"{self.username}:{self.password}"
        value = self.password or self.username
        texts = {value, quote(value, safe=""), quote(value), quote_plus(value), json.dumps(value)[1:-1]}
        texts |= {json.dumps(value, ensure_ascii=False)[1:-1], json.dumps(json.dumps(value)[1:-1])[1:-1]}
        texts |= {repr(value)[1:-1], value.encode().hex(), value.encode().hex().upper()}
        texts |= {base64.b64encode(text.encode()).decode().rstrip("=") for text in (pair, value)}
        for before in range(3):  # without the digits that are its neighbours', too
            digits = base64.b64encode(b"\0" * before + value.encode())
            inside = digits[(before * 8 + 5) // 6 : (before + len(value.encode())) * 8 // 6].decode()
            texts |= {inside, inside.replace("+", "-").replace("/", "_")}
        return tuple(sorted(text.encode() for text in texts))

    def is_in(self, content: bytes | str) -> bool:
        """Whether any form of it is in there."""
        raw = content.encode() if isinstance(content, str) else content
        return any(form in raw for form in self.forms)


@dataclass
class ArgumentSampler:
    """Reads the arguments of all processes of this machine, again and again, and keeps those with the secret."""

    secret: Secret
    found: set[str] = field(default_factory=set)
    samples: int = 0
    programs: set[str] = field(default_factory=set)

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """Sample in the background."""
        stop = threading.Event()
        thread = threading.Thread(target=self._sample_until, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _sample_until(self, stop: threading.Event) -> None:
        while not stop.wait(SAMPLE_SECONDS):
            for line in command_lines():
                self.programs.add(Path(line.split(b"\0")[0].decode(errors="replace")).name)
                if self.secret.is_in(line):
                    self.found.add(line.decode(errors="replace"))
            self.samples += 1


def command_lines() -> Iterator[bytes]:
    """The arguments of all processes, as the kernel shows them to everybody."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield file.read_bytes()
        except OSError:
            continue


def files_with(secret: Secret, folder: Path) -> list[str]:
    """The files whose bytes hold the secret: SQLite with its WAL, Redis' append-only file, mirrors, logs."""
    found = []
    for file in folder.rglob("*"):
        try:
            if file.is_file() and not file.is_symlink() and secret.is_in(file.read_bytes()):
                found.append(str(file.relative_to(folder)))
        except FileNotFoundError:
            continue
    return found


def answers_with(secret: Secret, stack: Stack, job: Mapping[str, Any]) -> list[str]:
    """What the API answers about a job that holds the secret."""
    paths = (f"/jobs/{job['id']}", f"/jobs/{job['id']}/logs", "/jobs")
    return [path for path in paths if secret.is_in(stack.get(path).content)]


def runs_with(secret: Secret, stack: Stack, job: Mapping[str, Any]) -> list[str]:
    """What MLflow says about a job's run that holds the secret: tags, parameters, artifacts."""
    client = MlflowClient(stack.urls["mlflow"])
    run_id = stack.job(job)["mlflow"]["run_id"]
    run = client.get_run(run_id)
    found = [name for name, text in {**run.data.tags, **run.data.params}.items() if secret.is_in(name + text)]
    for artifact in client.list_artifacts(run_id, "retrain"):
        local = client.download_artifacts(run_id, artifact.path, str(stack.folder / "tmp"))
        found += [artifact.path] if secret.is_in(Path(local).read_bytes()) else []
        Path(local).unlink()
    return found


def docker_with(secret: Secret, stack: Stack) -> list[str]:
    """What the engine shows about the stack's containers and their images that holds the secret."""
    client: docker.DockerClient = docker_or_skip()
    try:
        containers = stack.containers(all_states=True)
        assert containers
        shown: dict[str, Any] = {}
        for each in containers:
            image = client.images.get(each.attrs["Image"])
            shown |= {
                f"inspect {each.name}": each.attrs,
                f"top {each.name}": _processes_of(each),
                f"inspect {image.id}": image.attrs,
                f"history {image.id}": image.history(),
            }
        return [what for what, said in shown.items() if secret.is_in(json.dumps(said))]
    finally:
        client.close()


def _processes_of(container: Any) -> Any:
    try:
        return container.top()
    except docker.errors.APIError:  # it does not run, or not any more
        return None


def git_configurations(folder: Path) -> list[str]:
    """All git configuration files below a folder: mirrors have one each."""
    return [file.read_text() for file in folder.rglob("config") if file.is_file()]


def environments_with(secret: Secret, processes: list[psutil.Process]) -> list[str]:
    """The processes whose environment holds the secret."""
    found = []
    for process in processes:
        try:
            if secret.is_in(json.dumps(process.environ())):
                found.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue
    return found
