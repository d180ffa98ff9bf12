"""An in-memory runner: attempts print and end as their script says, one step a poll, or as the test says.

It keeps to the same contract suite as the real ones (tests/integration/runners/test_contract.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from shared.errors import AttemptError, Code, InfrastructureError
from worker.credentials.pulling import ANYBODY, Pull
from worker.interruption import NEVER, Interruption
from worker.runners.seam import LOG_BOUNDS, AttemptSpec, Capacity, Exit, Handle, Image, Inside, LogBounds

KILLED_EXIT_CODE = 137
TERMINATED_EXIT_CODE = 143


@dataclass(frozen=True)
class Script:
    """What an attempt does: each poll prints the next output; after the last it ends, unless it ``hangs``.

    ``on_sigterm`` is the exit code after SIGTERM; None ignores it, and the attempt is killed after the grace.
    """

    outputs: Sequence[bytes] = ()
    exit: Exit = field(default_factory=lambda: Exit(exit_code=0))
    hangs: bool = False
    on_sigterm: int | None = TERMINATED_EXIT_CODE
    start_error: AttemptError | None = None


@dataclass
class FakeAttempt:
    """One attempt as the fake host knows it."""

    handle: Handle
    script: Script
    spec: AttemptSpec
    is_paused: bool = False
    log: bytes = b""
    exit: Exit | None = None
    steps: int = 0

    def step(self) -> None:
        """Do the next thing of the script."""
        if self.exit or self.is_paused:
            return
        if self.steps < len(self.script.outputs):
            self.log += self.script.outputs[self.steps]
            self.steps += 1
        elif not self.script.hangs:
            self.exit = self.script.exit


@dataclass
class FakeHost:
    """What outlives a runner: the attempts, and what was asked for."""

    attempts: dict[str, FakeAttempt] = field(default_factory=dict)
    started: list[AttemptSpec] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    read: list[int] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    paused: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    pinned: list[str | None] = field(default_factory=list)
    removed_images: list[str] = field(default_factory=list)
    unused_images: Callable[[float], list[str]] = lambda _seconds: []
    engine: str | None = None
    gpus: tuple[str, ...] = ()
    disk: Path | None = None
    capacity: Capacity | None = None
    sizes: dict[str, int] = field(default_factory=dict)


class FakeRunner:
    """A runner for unit tests. ``plan`` gives each attempt its script."""

    kind = "fake"

    def __init__(
        self,
        plan: Script | Callable[[AttemptSpec], Script] | None = None,
        *,
        host: FakeHost | None = None,
        log_bounds: LogBounds = LOG_BOUNDS,
    ) -> None:
        self.plan = plan or Script()
        self.log_bounds = log_bounds
        self.host = host or FakeHost()
        self.image_error: AttemptError | None = None
        self.is_available = True
        self.inside = Inside()

    def restarted(self) -> "FakeRunner":
        """Return the runner of a worker that was started anew on the same host."""
        return FakeRunner(self.plan, host=self.host, log_bounds=self.log_bounds)

    def print(self, name: str, output: bytes) -> None:
        """Let an attempt print something now."""
        self.host.attempts[name].log += output

    def finish(self, name: str, *, exit_code: int = 0, oom_killed: bool = False) -> None:
        """Let an attempt end now."""
        self.host.attempts[name].exit = Exit(exit_code=exit_code, oom_killed=oom_killed)

    def vanish(self, name: str) -> None:
        """Remove an attempt from outside."""
        del self.host.attempts[name]

    def prepare_image(
        self,
        image: str | None,
        *,
        pinned: str | None = None,
        timeout_seconds: float,
        interruption: Interruption = NEVER,
        pull: Pull = ANYBODY,
    ) -> Image | None:
        """Return an image, unless ``image_error`` is set."""
        self._answer()
        if self.image_error:
            raise self.image_error
        if image is None:
            return None
        self.host.images.append(image)
        self.host.pinned.append(pinned)
        return Image(id=pinned or f"sha256:{image}", digest=None)

    def start_or_attach(self, spec: AttemptSpec, interruption: Interruption = NEVER) -> Handle:
        """Start the attempt, unless one of its name exists."""
        self._answer()
        if found := self.attach(spec.name):
            return found
        interruption.begin()
        script = self.plan(spec) if callable(self.plan) else self.plan
        if script.start_error:
            raise script.start_error
        self.host.started.append(replace(spec))
        handle = Handle(id=f"fake-{len(self.host.started)}", name=spec.name)
        self.host.attempts[spec.name] = FakeAttempt(handle, script, spec)
        return handle

    def attach(self, name: str) -> Handle | None:
        """Return the attempt's handle, or None."""
        self._answer()
        attempt = self.host.attempts.get(name)
        return attempt.handle if attempt else None

    def poll(self, handle: Handle) -> Exit | None:
        """Do one step of the script; return how it ended, if it has."""
        attempt = self._get(handle)
        attempt.step()
        return attempt.exit

    def read_log(self, handle: Handle, offset: int) -> bytes:
        """Return what was printed from ``offset`` on."""
        self.host.read.append(offset)
        return self._get(handle).log[offset : self.log_bounds.kept_bytes]

    def unkept_bytes(self, handle: Handle) -> int:
        """Return how much more was printed than is kept."""
        return max(0, len(self._get(handle).log) - self.log_bounds.kept_bytes)

    def close_log(self, handle: Handle) -> None:
        """Note that nobody reads on."""
        self.host.closed.append(handle.name)

    def stop(self, handle: Handle, *, grace_seconds: float) -> None:
        """End the attempt as its script says, at once."""
        self._answer()
        self.host.stopped.append(handle.name)
        attempt = self.host.attempts.get(handle.name)
        if attempt and not attempt.exit:
            code = attempt.script.on_sigterm
            attempt.exit = Exit(exit_code=KILLED_EXIT_CODE if code is None else code)

    def pause(self, handle: Handle) -> None:
        """Let the script rest."""
        self._answer()
        self.host.paused.append(handle.name)
        if attempt := self.host.attempts.get(handle.name):
            attempt.is_paused = True

    def resume(self, handle: Handle) -> None:
        """Let the script go on."""
        self._answer()
        if attempt := self.host.attempts.get(handle.name):
            attempt.is_paused = False

    def remove(self, handle: Handle) -> None:
        """Forget the attempt."""
        self._answer()
        self.host.removed.append(handle.name)
        self.host.attempts.pop(handle.name, None)

    def list_mine(self) -> list[Handle]:
        """All attempts that were not removed."""
        self._answer()
        return [replace(each.handle, gpu_ids=tuple(each.spec.gpu_ids)) for each in self.host.attempts.values()]

    def find_engine(self) -> str | None:
        """The name that the test gave to the host's engine."""
        self._answer()
        return self.host.engine

    def find_gpus(self) -> tuple[str, ...]:
        """The GPUs that the test gave to the host."""
        self._answer()
        return self.host.gpus

    def find_capacity(self) -> Capacity | None:
        """What the test gave to the host."""
        self._answer()
        return self.host.capacity

    def disk_bytes(self, handle: Handle) -> int:
        """What the test says."""
        self._answer()
        return self.host.sizes.get(handle.name, 0)

    def find_disk(self) -> Path | None:
        """The folder that the test gave to the host."""
        self._answer()
        return self.host.disk

    def find_unused_images(self, *, unused_seconds: float) -> list[str]:
        """Those that the test says were pulled and not used for long."""
        self._answer()
        return self.host.unused_images(unused_seconds)

    def remove_image(self, image_id: str) -> bool:
        """Note it, unless an attempt that was not removed uses the image."""
        self._answer()
        if any(image_id in (each.spec.image, f"sha256:{each.spec.image}") for each in self.host.attempts.values()):
            return False
        self.host.removed_images.append(image_id)
        return True

    def _get(self, handle: Handle) -> FakeAttempt:
        self._answer()
        attempt = self.host.attempts.get(handle.name)
        if attempt is None:
            raise InfrastructureError(Code.CONTAINER_LOST, f"'{handle.name}' is no longer there.", name=handle.name)
        return attempt

    def _answer(self) -> None:
        if not self.is_available:
            raise InfrastructureError(Code.DOCKER_UNAVAILABLE, "The fake host does not answer.")
