"""Runs attempts as Docker containers. The only module that imports docker; its errors do not leave it."""

import io
import logging
import math
import socket
import struct
import tarfile
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from ipaddress import ip_network
from typing import Any, cast

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.types import CancellableStream, DeviceRequest, LogConfig
from docker.utils import kwargs_from_env
from requests.exceptions import ReadTimeout, RequestException
from urllib3.exceptions import HTTPError, ReadTimeoutError

from worker.docker_failures import lost, not_packed, pull_failed, pull_timeout, refused, unavailable
from worker.docker_log import AttemptLog, EngineStream
from worker.image_reference import require_image
from worker.project_archive import PRIVATE_FOLDER, Owner, find_owner, write_archive
from worker.runner import END_AFTER_SIGTERM, PROJECT_FOLDER, AttemptSpec, Exit, Handle, Image

HOST_LABEL = "retrain.host"
SERVICE_LABEL = "retrain.service"
HOST_GATEWAY = "host.docker.internal"
PIDS_LIMIT = 4096
SHM_BYTES = 1024**3  # data loaders pass tensors through /dev/shm; Docker's 64 MB end in a bus error
# Said explicitly, because a host's own defaults (often 10 MB) would rotate away what was not read yet.
LOG_CONFIG = LogConfig(type=LogConfig.types.JSON, config={"max-size": "1t"})
INIT_ENV = {"TINI_KILL_PROCESS_GROUP": "1"}  # Docker's init passes SIGTERM on to the shell and to what it runs
PULL_SILENCE_SECONDS = 60
PROBE_SECONDS = 10
USERS_FILE_BYTES = 1024**2
ENGINE_ERRORS = (DockerException, RequestException, HTTPError)

logger = logging.getLogger(__name__)


class DockerRunner:
    """One service's containers on one host. ``environment`` holds DOCKER_HOST and its like; the engine may come later.

    Another service may use the same engine, such as a second `make up`: ``service`` tells their containers apart.
    """

    kind = "docker"

    def __init__(
        self, environment: Mapping[str, str], *, host: str, service: str = "", timeout_seconds: float = 60
    ) -> None:
        self._environment = dict(environment)
        self._host = host
        self._mine = {HOST_LABEL: host, SERVICE_LABEL: service}
        self._timeout_seconds = math.ceil(timeout_seconds)
        self._logs: dict[str, AttemptLog] = {}

    @cached_property
    def _client(self) -> docker.DockerClient:
        return docker.DockerClient(version="auto", timeout=self._timeout_seconds, **self._connection())

    def _connection(self) -> dict[str, Any]:
        return {**kwargs_from_env(environment=self._environment)}

    def prepare_image(self, image: str | None, *, timeout_seconds: float) -> Image | None:
        """Make sure that the image is here, pulling it when missing."""
        name = require_image(image)
        with _engine_answers(f"look for the image '{name}'", image=name):
            if found := self._find_image(name):
                return found
        self._pull(name, timeout_seconds=timeout_seconds)
        with _engine_answers(f"look for the pulled image '{name}'", image=name):
            return self._find_image(name)

    def start_or_attach(self, spec: AttemptSpec) -> Handle:
        """Start the attempt, unless a container of its name has been started already.

        One that was created and not started may have part of its files: it gets all of them again.
        """
        with _engine_answers(f"start '{spec.name}'", name=spec.name):
            container = self._create_or_find(spec)
            if container.status == "created":
                self._fill_and_start(container, spec)
        return _handle(container, spec.name)

    def attach(self, name: str) -> Handle | None:
        """Return the handle of a started attempt of this name, or None where there is none."""
        with _engine_answers(f"look for '{name}'", name=name):
            try:
                container = self._client.containers.get(name)
            except NotFound:
                return None
        return None if container.status == "created" else _handle(container, name)

    def poll(self, handle: Handle) -> Exit | None:
        """Return None while it runs; DOCKER_UNAVAILABLE means that it cannot be seen, not that it failed."""
        with _engine_answers(f"inspect '{handle.name}'", name=handle.name):
            try:
                state = self._client.api.inspect_container(handle.id)["State"]
            except NotFound as error:
                raise lost(handle, "no longer there: it was removed from outside") from error
        if state["Status"] in ("exited", "dead"):
            return Exit(exit_code=state["ExitCode"], oom_killed=state["OOMKilled"])
        if state["Status"] == "created":
            raise lost(handle, "there, but was never started")
        return None

    def read_log(self, handle: Handle, offset: int) -> bytes:
        """Return output from byte ``offset`` on, at most 1 MiB; bytes that are not UTF-8 come as U+FFFD."""
        log = self._logs.get(handle.id)
        if log and (data := log.read_ahead(offset)):
            return data
        ended = self.poll(handle) is not None
        log = log or self._logs.setdefault(handle.id, self._log_of(handle))
        with _engine_answers(f"send the log of '{handle.name}'", name=handle.name):
            return log.read_ended(offset) if ended else log.read_running(offset)

    def close_log(self, handle: Handle) -> None:
        """End the stream that follows the container's output."""
        if log := self._logs.pop(handle.id, None):
            log.close()

    def stop(self, handle: Handle, *, grace_seconds: float) -> None:
        """SIGTERM, the grace, SIGKILL; returns when it no longer runs."""
        with _engine_answers(f"stop '{handle.name}'", name=handle.name), suppress(NotFound):
            self._client.api.stop(handle.id, timeout=math.ceil(grace_seconds))

    def remove(self, handle: Handle) -> None:
        """Remove the container and its anonymous volumes."""
        self.close_log(handle)
        with _engine_answers(f"remove '{handle.name}'", name=handle.name):
            self._remove(handle.id)

    def list_mine(self) -> list[Handle]:
        """All containers with this service's and host's labels, those that were never started too."""
        wanted = [f"{name}={value}" for name, value in self._mine.items()]
        with _engine_answers("list containers", host=self._host):
            found = self._client.api.containers(all=True, filters={"label": wanted})
        return [Handle(id=each["Id"], name=each["Names"][0].lstrip("/")) for each in found if each["Names"]]

    def close(self) -> None:
        """End all reading; the containers go on."""
        while self._logs:
            self._logs.popitem()[1].close()

    def _find_image(self, name: str) -> Image | None:
        try:
            found = self._client.images.get(name).attrs
        except ImageNotFound:
            return None
        digests = found.get("RepoDigests") or []
        return Image(id=found["Id"], digest=digests[0].partition("@")[2] if digests else None)

    def _pull(self, name: str, *, timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        silence_seconds = math.ceil(min(timeout_seconds, PULL_SILENCE_SECONDS))
        logger.info("pulling an image", extra={"image": name})
        try:
            with closing(_PullClient(version="auto", timeout=silence_seconds, **self._connection())) as client:
                for progress in client.pull(name, stream=True, decode=True):
                    if "error" in progress:
                        raise pull_failed(name, progress["error"])
                    if time.monotonic() > deadline:
                        raise pull_timeout(name, timeout_seconds)
        except (ReadTimeout, ReadTimeoutError) as error:
            raise pull_timeout(name, timeout_seconds) from error
        except APIError as error:
            raise pull_failed(name, _why(error)) from error
        except ENGINE_ERRORS as error:
            raise unavailable(f"pull '{name}'", error, image=name) from error

    def _create_or_find(self, spec: AttemptSpec) -> Container:
        image = require_image(spec.image)
        command = ["/bin/sh", "-c", END_AFTER_SIGTERM + spec.command]
        try:
            return self._client.containers.create(image, command, **self._options(spec))
        except ImageNotFound as error:
            raise pull_failed(image, "it is not on this host (any more)") from error
        except APIError as error:
            if error.status_code != 409:
                raise refused(spec, status=error.status_code, why=_why(error)) from error
        logger.info("container exists, attaching", extra={"container": spec.name})
        return self._client.containers.get(spec.name)

    def _options(self, spec: AttemptSpec) -> dict[str, Any]:
        paths = {spec.private_env[name]: f"{PRIVATE_FOLDER}/{name}" for name in spec.private_files}
        labels = {"retrain.job": spec.job_id, "retrain.attempt": str(spec.attempt), **self._mine}
        options: dict[str, Any] = {
            "name": spec.name,
            "labels": labels,
            "environment": {**INIT_ENV, **spec.env, **paths},
            "working_dir": PROJECT_FOLDER,
            "init": True,
            "stop_signal": "SIGTERM",
            "security_opt": ["no-new-privileges"],
            "pids_limit": PIDS_LIMIT,
            "shm_size": SHM_BYTES,
            "log_config": LOG_CONFIG,
            "volumes": {each.source: {"bind": each.target, "mode": each.mode} for each in spec.volumes},
        }
        return options | _limits(spec) | _network(spec.network)

    def _fill_and_start(self, container: Container, spec: AttemptSpec) -> None:
        try:
            owner = self._owner(container)
            with tempfile.TemporaryFile() as archive:
                write_archive(archive, spec, owner)
                archive.seek(0)
                container.put_archive("/", archive)
            container.start()
        except APIError as error:
            self._remove(str(container.id))  # what the engine refuses once it refuses always
            raise refused(spec, status=error.status_code, why=_why(error)) from error
        except OSError as error:
            if isinstance(error, RequestException):
                raise
            raise not_packed(spec, error) from error

    def _owner(self, container: Container) -> Owner:
        user = container.attrs["Config"].get("User") or ""
        if not user:
            return Owner()
        return find_owner(user, passwd=_read_file(container, "/etc/passwd"), group=_read_file(container, "/etc/group"))

    def _remove(self, container_id: str) -> None:
        try:
            self._client.api.remove_container(container_id, v=True, force=True)
        except NotFound:
            return
        except APIError as error:
            if error.status_code != 409:  # its removal is under way already
                raise

    def _log_of(self, handle: Handle) -> AttemptLog:
        def open_stream(follow: bool) -> EngineStream:
            stream = self._client.api.logs(handle.id, stream=True, follow=follow)
            return EngineStream(chunks=_until_it_breaks(stream), close=lambda: _close(stream))

        return AttemptLog(open_stream, name=handle.name, timeout_seconds=self._timeout_seconds)


class _PullClient(docker.APIClient):
    """docker-py pulls with no timeout at all; this client gives up on an engine or registry that says nothing."""

    def post(self, url: str | bytes, data: Any = None, json: Any = None, **kwargs: Any) -> Any:
        return super().post(url, data, json, **{**kwargs, "timeout": self.timeout})


def _limits(spec: AttemptSpec) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if spec.cpus:
        limits["nano_cpus"] = int(spec.cpus * 1e9)
    if spec.memory_bytes:  # no swap on top: beyond the limit it is killed, and says so, instead of crawling
        limits["mem_limit"] = limits["memswap_limit"] = spec.memory_bytes
    if spec.gpus:
        limits["device_requests"] = [DeviceRequest(count=spec.gpus, capabilities=[["gpu"]])]
    return limits


def _network(network: str | None) -> dict[str, Any]:
    if network == "host":
        return {"network": network}
    options: dict[str, Any] = {"extra_hosts": {HOST_GATEWAY: "host-gateway"}}
    return options | {"network": network} if network else options


def _read_file(container: Container, path: str) -> str:
    """Return a small file's text; nothing where there is none, or what is no plain file or too large to be real."""
    try:
        chunks, _ = container.get_archive(path)
    except NotFound:
        return ""
    archive = bytearray()
    with closing(cast(Generator[bytes, None, None], chunks)):
        for chunk in chunks:
            archive += chunk
            if len(archive) > USERS_FILE_BYTES:
                logger.warning("the image's file is too large to be read", extra={"path": path})
                return ""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.next()
        content = tar.extractfile(member) if member and member.isfile() else None
        return content.read().decode(errors="replace") if content else ""


def _until_it_breaks(stream: "CancellableStream[bytes]") -> Generator[bytes, None, None]:
    try:
        yield from stream
    except (*ENGINE_ERRORS, OSError, ValueError, struct.error) as error:  # an engine that goes, our own close()
        logger.debug("log stream broke off", extra={"error": str(error)})
    finally:
        # docker-py's own close() leaves the connection open until it is collected, and offers no other way.
        stream._response.close()  # type: ignore[attr-defined]


def _close(stream: "CancellableStream[bytes]") -> None:
    with suppress(DockerException, OSError):  # over ssh it cannot be closed; ended already
        stream.close()


@contextmanager
def _engine_answers(doing: str, **facts: object) -> Iterator[None]:
    try:
        yield
    except ENGINE_ERRORS as error:
        raise unavailable(doing, error, **facts) from error


def _handle(container: Container, name: str) -> Handle:
    return Handle(id=str(container.id), name=name)


def _why(error: APIError) -> str:
    return str(error.explanation or error)


def engine_version(environment: Mapping[str, str]) -> str | None:
    """The version of the Docker engine that answers here, or None."""
    try:
        with closing(docker.DockerClient(timeout=PROBE_SECONDS, **kwargs_from_env(environment=environment))) as client:
            return str(client.version()["Version"])
    except ENGINE_ERRORS:
        return None


def bridge_address(environment: Mapping[str, str]) -> str | None:
    """This machine's address on Docker's default bridge; None where containers reach loopback by another way."""
    try:
        with closing(docker.DockerClient(timeout=PROBE_SECONDS, **kwargs_from_env(environment=environment))) as client:
            bridge = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
            # Until its daemon was restarted once, an engine does not say its own gateway: the subnet's first address.
            address = bridge.get("Gateway") or str(next(ip_network(bridge["Subnet"]).hosts()))
    except (*ENGINE_ERRORS, KeyError, IndexError, ValueError):
        return None
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))  # with Docker Desktop the bridge is in a virtual machine, not here
        except OSError:
            return None
    return address
