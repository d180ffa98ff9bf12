"""Runs attempts as Docker containers. Only the modules of this folder import docker."""

import logging
import math
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from docker.errors import APIError, ImageNotFound, NotFound
from requests.exceptions import RequestException

from worker.credentials.pulling import ANYBODY, Pull
from worker.interruption import NEVER, Interruption
from worker.runners.docker.confinement import AS_USUAL, Confinement
from worker.runners.docker.engine import Engine, engine_answers, why
from worker.runners.docker.engine_logs import EngineLogs
from worker.runners.docker.failures import lost, not_packed, pull_failed, refused
from worker.runners.docker.files import container_bytes
from worker.runners.docker.filling import fill
from worker.runners.docker.image_reference import require_image
from worker.runners.docker.images import DockerImages, PullLimits
from worker.runners.docker.options import container_options, create, gpus_in
from worker.runners.docker.pulled_images import PulledImages
from worker.runners.docker.start import Made, Start, find_why_not_begun, plan_start
from worker.runners.gpus import cdi_gpus, find_gpus
from worker.runners.seam import LOG_BOUNDS, AttemptSpec, Capacity, Exit, Handle, Image, Inside, LogBounds

HOST_LABEL = "retrain.host"
SERVICE_LABEL = "retrain.service"
IN_IMAGES = Inside(runs_images=True)

logger = logging.getLogger(__name__)


class DockerRunner:
    """One service's containers on one host. ``environment`` has DOCKER_HOST and the like; the engine may start later.

    Another service, such as a second `make up`, may use the same engine: ``service`` tells their containers apart.
    """

    kind = "docker"

    def __init__(  # noqa: PLR0913 - each has a name and a default
        self,
        environment: Mapping[str, str],
        *,
        host: str,
        service: str = "",
        timeout_seconds: float = 60,
        pulled: PulledImages | None = None,
        log_bounds: LogBounds = LOG_BOUNDS,
        inside: Inside = IN_IMAGES,
        confinement: Confinement = AS_USUAL,
    ) -> None:
        self.inside = inside
        self._engine = Engine(environment, timeout_seconds=timeout_seconds)
        self._images = DockerImages(self._engine, pulled)
        self._host = host
        self._mine = {HOST_LABEL: host, SERVICE_LABEL: service}
        self._log_bounds = log_bounds
        self._confinement = confinement
        self._logs = EngineLogs(self._engine, log_bounds)
        self._ended: set[str] = set()  # containers that were seen to have ended: they stay so until they are removed

    def prepare_image(
        self,
        image: str | None,
        *,
        pinned: str | None = None,
        timeout_seconds: float,
        interruption: Interruption = NEVER,
        pull: Pull = ANYBODY,
    ) -> Image | None:
        """Make sure that the image is here, pulling it if missing; exactly the ``pinned`` one if still available."""
        limits = PullLimits(timeout_seconds, interruption, pull)
        return self._images.prepare(image, pinned=pinned, limits=limits)

    def start_or_attach(self, spec: AttemptSpec, interruption: Interruption = NEVER) -> Handle:
        """Start the attempt, unless a container of its name has already been started.

        A container that was created but not started may have only some of its files: it gets all of them again.
        """
        with engine_answers(f"start '{spec.name}'", name=spec.name):
            start = plan_start(self._images.find_config(require_image(spec.image)), spec)
            container = self._create_or_find(spec, start)
            if not container.is_started:
                self._fill_and_start(container, spec, start, interruption)
        return Handle(id=container.id, name=spec.name)

    def attach(self, name: str) -> Handle | None:
        """Return the handle of a started attempt of this name, or None if there is none."""
        with engine_answers(f"look for '{name}'", name=name):
            try:
                found = self._find(name)
            except NotFound:
                return None
        return Handle(id=found.id, name=name) if found.is_started else None

    def poll(self, handle: Handle) -> Exit | None:
        """Return None while it runs; DOCKER_UNAVAILABLE means that its state is unknown, not that it failed."""
        with engine_answers(f"inspect '{handle.name}'", name=handle.name):
            found = self._inspect(handle)
            state = found["State"]
            if not _has_ended(state):
                return None
            self._ended.add(handle.id)
            why_not = find_why_not_begun(self._engine.client, found)
        memory = found["HostConfig"].get("Memory") or None
        return Exit(state["ExitCode"], oom_killed=state["OOMKilled"], memory_bytes=memory, not_begun=why_not)

    def read_log(self, handle: Handle, offset: int) -> bytes:
        """Return output from byte ``offset`` on, at most 1 MiB; bytes that are not UTF-8 become U+FFFD."""
        return self._logs.read(handle, offset, has_ended=lambda: self._is_over(handle))

    def rest(self, handle: Handle, stopping: threading.Event, seconds: float) -> None:
        """Wait so long; less once the output that is being followed ends."""
        self._logs.rest(handle, stopping, seconds)

    def unkept_bytes(self, handle: Handle) -> int:
        """Return a flood's worth once the engine has discarded the log's beginning, which it does not report."""
        return self._logs.unkept_bytes(handle, has_ended=handle.id in self._ended)

    def close_log(self, handle: Handle) -> None:
        """Close the stream that follows the container's output."""
        self._logs.close(handle)

    def stop(self, handle: Handle, *, grace_seconds: float) -> None:
        """Send SIGTERM, wait for the grace period, send SIGKILL; return once it no longer runs."""
        if handle.id in self._ended:
            return
        with engine_answers(f"stop '{handle.name}'", name=handle.name), suppress(NotFound):
            self._engine.client.api.stop(handle.id, timeout=math.ceil(grace_seconds))

    def pause(self, handle: Handle) -> None:
        """Freeze all processes of the container. Stopping or removing it also ends the pause."""
        with engine_answers(f"pause '{handle.name}'", name=handle.name):
            self._freeze(handle, is_wanted=True)

    def resume(self, handle: Handle) -> None:
        """Let it go on after a pause."""
        with engine_answers(f"resume '{handle.name}'", name=handle.name):
            self._freeze(handle, is_wanted=False)

    def remove(self, handle: Handle) -> None:
        """Remove the container and its anonymous volumes."""
        self._logs.forget(handle)
        with engine_answers(f"remove '{handle.name}'", name=handle.name):
            self._remove(handle.id)
        self._ended.discard(handle.id)

    def list_mine(self) -> list[Handle]:
        """Return all containers with this service's and host's labels, including those that were never started."""
        wanted = [f"{name}={value}" for name, value in self._mine.items()]
        with engine_answers("list containers", host=self._host):
            found = self._engine.client.api.containers(all=True, filters={"label": wanted})
        return [
            Handle(id=each["Id"], name=each["Names"][0].lstrip("/"), gpu_ids=gpus_in(each.get("Labels") or {}))
            for each in found
            if each["Names"]
        ]

    def find_engine(self) -> str | None:
        """Return the engine's own id, which is stored with its data."""
        with engine_answers("tell its id", host=self._host):
            return str(self._engine.client.api.info()["ID"])

    def find_gpus(self) -> tuple[str, ...]:
        """Return what nvidia-smi says; without it, as in a container, what the engine has discovered."""
        found = find_gpus()
        return self._discovered_gpus() if found is None else found

    def find_capacity(self) -> Capacity | None:
        """Return what the engine's machine has: the worker may be in a container with a limit of its own."""
        info = self._engine_info
        return Capacity(memory_bytes=int(info["MemTotal"]), cpus=int(info["NCPU"]))

    def disk_bytes(self, handle: Handle) -> int:
        """Return the size of its own layer and volumes; its log is bounded, and other volumes are shared."""
        with engine_answers(f"measure '{handle.name}'", name=handle.name):
            return container_bytes(self._engine.client.api, handle.id)

    def find_disk(self) -> Path | None:
        """Return the engine's data folder if it is on this machine."""
        folder = Path(str(self._engine_info["DockerRootDir"]))
        return folder if folder.is_dir() else None

    def find_unused_images(self, *, unused_seconds: float) -> list[str]:
        """Return what this service pulled and no longer uses, by its record."""
        return self._images.find_unused(unused_seconds)

    def remove_image(self, image_id: str) -> bool:
        """Remove an image that this service pulled; never one that is in use, or that somebody else has named."""
        return self._images.remove(image_id)

    def close(self) -> None:
        """Stop reading all logs; the containers go on."""
        self._logs.close_all()

    def _is_over(self, handle: Handle) -> bool:
        return handle.id in self._ended or _has_ended(self._inspect(handle)["State"])

    def _inspect(self, handle: Handle) -> Mapping[str, Any]:
        """Inspect a started container; raise CONTAINER_LOST if there is none."""
        try:
            found: Mapping[str, Any] = self._engine.client.api.inspect_container(handle.id)
        except NotFound as error:
            raise lost(handle, "no longer there: it was removed from outside") from error
        if found["State"]["Status"] == "created":
            raise lost(handle, "there, but was never started")
        return found

    def _create_or_find(self, spec: AttemptSpec, start: Start) -> Made:
        image = require_image(spec.image)
        options = container_options(
            spec,
            {**self._mine, **start.labels},
            self._log_bounds,
            confinement=self._confinement,
            image_user=start.image_user,
        )
        try:
            made = create(self._engine.client.api, image, start, options)
            return Made(made, options.get("user") or start.image_user)
        except ImageNotFound as error:
            raise pull_failed(image, "it is not on this host (any more)") from error
        except APIError as error:
            if error.status_code != 409:
                raise refused(spec, status=error.status_code, why=why(error)) from error
        logger.info("container exists, attaching", extra={"container": spec.name})
        return self._find(spec.name)

    def _find(self, name: str) -> Made:
        found = self._engine.client.api.inspect_container(name)
        return Made(found["Id"], found["Config"].get("User") or "", found["State"]["Status"] != "created")

    def _fill_and_start(self, container: Made, spec: AttemptSpec, start: Start, interruption: Interruption) -> None:
        try:
            api = self._engine.client.api
            with interruption.cleaning(partial(self._remove, container.id)):
                fill(api, container, spec, start, self._confinement, interruption=interruption)
                interruption.begin()
            api.start(container.id)
        except APIError as error:
            self._remove(container.id)  # what the engine refused once, it would refuse again
            raise refused(spec, status=error.status_code, why=why(error)) from error
        except OSError as error:
            if isinstance(error, RequestException):
                raise
            raise not_packed(spec, error) from error

    def _remove(self, container_id: str) -> None:
        try:
            self._engine.client.api.remove_container(container_id, v=True, force=True)
        except NotFound:
            return
        except APIError as error:
            if error.status_code != 409:  # its removal is already under way
                raise

    def _freeze(self, handle: Handle, *, is_wanted: bool) -> None:
        """Pause or resume. The engine reports "already so" like a failure, so a look tells which it was."""
        api = self._engine.client.api
        try:
            (api.pause if is_wanted else api.unpause)(handle.id)
        except NotFound:
            return
        except APIError:
            with suppress(NotFound):
                state = api.inspect_container(handle.id)["State"]
                if state["Running"] and state["Paused"] is not is_wanted:
                    raise

    @cached_property
    def _engine_info(self) -> Mapping[str, Any]:
        with engine_answers("tell what it is", host=self._host):
            info: Mapping[str, Any] = self._engine.client.api.info()
            return info

    def _discovered_gpus(self) -> tuple[str, ...]:
        with engine_answers("tell its devices", host=self._host):
            devices = self._engine.client.api.info().get("DiscoveredDevices") or []
        return cdi_gpus(str(each.get("ID")) for each in devices)


def _has_ended(state: Mapping[str, Any]) -> bool:
    return state["Status"] in ("exited", "dead")
