"""The interface of a runner, which runs an attempt's command, such as by Docker. One contract suite tests them all."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from shared.errors import AttemptError
from shared.settings import Settings
from worker.credentials.pulling import ANYBODY, Pull
from worker.interruption import NEVER, Interruption

PROJECT_FOLDER = "/mlflow/projects/code"  # where MLflow's own Docker backend puts a project


@dataclass(frozen=True)
class LogBounds:
    """How much of an attempt's output a runner keeps, and how much counts as a flood. In bytes."""

    kept_bytes: int
    flood_bytes: int


def log_bounds(settings: Settings) -> LogBounds:
    """Return how much the operator lets an attempt print."""
    kept = settings.log_limit_bytes
    return LogBounds(kept_bytes=kept, flood_bytes=kept * settings.log_flood_factor)


LOG_BOUNDS = LogBounds(kept_bytes=50_000_000, flood_bytes=1_000_000_000)  # the defaults of Settings


@dataclass(frozen=True)
class Inside:
    """How a training sees its surroundings, if not as the worker does."""

    tracking_uri: str | None = None  # MLflow's address, as seen by the training
    is_guarded: bool = False  # behind that address, our guard adds user and password to trainings' requests
    cache_folder: str | None = None  # where the cache of datasets is mounted
    has_home: bool = True  # HOME is set
    shares_checkout: bool = False  # what it writes into files of the project may be in the checkout, too
    runs_images: bool = False  # the command runs in the project's image, so the project must name one


@dataclass(frozen=True)
class Capacity:
    """The memory and cores of the machine on which attempts run."""

    memory_bytes: int
    cpus: int


@dataclass(frozen=True)
class Volume:
    """A host folder or named volume that the operator allows a project to mount."""

    source: str
    target: str
    mode: str = "rw"
    own_folder: str = ""  # a folder in it, to be made, that belongs to the user as whom the training runs


@dataclass(frozen=True)
class AttemptSpec:
    """Everything that a runner needs to start one attempt.

    ``source`` is only read at the start, as is ``repository``, the work tree around it, to which links may lead. Both
    are the attempt's own: its files may be linked, so that what the attempt writes into one of them shows there.
    ``private_files`` maps file names to contents that must not show in the environment or in argv; the runner
    puts them where only the attempt can read them. ``private_env`` maps each of these names to the variable for the
    file's path. ``prelude`` is lines of POSIX shell to run before the command, such as exports.
    """

    job_id: str
    attempt: int
    image: str | None
    command: str
    source: Path
    repository: Path | None = None
    prelude: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    private_files: Mapping[str, bytes] = field(default_factory=dict)
    private_env: Mapping[str, str] = field(default_factory=dict)
    cpus: float | None = None
    memory_bytes: int | None = None
    pids: int = 4096
    gpu_ids: Sequence[str] = ()  # devices that only this attempt may use
    volumes: Sequence[Volume] = ()
    network: str | None = None
    host_address: str = ""  # this machine's address for containers, if Docker's own is wrong
    part: str = ""  # what the name ends with, if this is not the training itself but a part of its attempt

    @property
    def name(self) -> str:
        """The attempt's name on its host, never reused."""
        return f"retrain-{self.job_id}-{self.attempt}{self.part}"


@dataclass(frozen=True)
class Handle:
    """A started attempt on this host. ``id`` is the container id, or ``pid:start time`` of a process."""

    id: str
    name: str
    gpu_ids: tuple[str, ...] = field(default=(), compare=False)  # only list_mine() fills it in


@dataclass(frozen=True)
class Exit:
    """How an attempt's command ended; ``not_begun`` says why it never began, whatever the exit code is."""

    exit_code: int
    oom_killed: bool = False
    memory_bytes: int | None = field(default=None, compare=False)  # its limit, if it had one
    not_begun: AttemptError | None = None


@dataclass(frozen=True)
class Image:
    """An image as the engine knows it; ``digest`` is the registry's, if there is one."""

    id: str
    digest: str | None
    was_pulled: bool = False  # just now, for this attempt


@runtime_checkable
class TellsEnds(Protocol):
    """What a runner may do besides: tell an end at once, so that it is not found by the next poll."""

    def rest(self, handle: Handle, stopping: threading.Event, seconds: float) -> None:
        """Wait so long; less once this is ``stopping``, or once the attempt has ended, as far as that is seen.

        A wait that is cut short proves nothing: `poll` says what has become of the attempt.
        """


class Runner(Protocol):
    """Starts, watches and removes attempts on this host. Raises only subclasses of AttemptError."""

    kind: str
    inside: Inside

    def prepare_image(
        self,
        image: str | None,
        *,
        pinned: str | None = None,
        timeout_seconds: float,
        interruption: Interruption = NEVER,
        pull: Pull = ANYBODY,
    ) -> Image | None:
        """Make sure that the image is here, pulling it if missing; return None if the runner uses no images.

        ``pinned`` is the id or digest that an earlier attempt ran: that one is looked for first, here and at its
        registry. If it can no longer be had, the image that the name means now is used, with a warning.
        """

    def start_or_attach(self, spec: AttemptSpec, interruption: Interruption = NEVER) -> Handle:
        """Start the attempt; if one of its name already exists, attach to it and start nothing.

        ``interruption.begin()`` is called right before the command starts; if it raises, nothing starts, and what was
        created for it is removed.
        """

    def attach(self, name: str) -> Handle | None:
        """Return the handle of a started attempt of this name, or None if there is none."""

    def poll(self, handle: Handle) -> Exit | None:
        """Return None while it runs; raise CONTAINER_LOST if it is gone without an exit code."""

    def read_log(self, handle: Handle, offset: int) -> bytes:
        """Return what was printed from byte ``offset`` on; b"" if there is nothing new.

        After the end, repeated calls return the rest: nothing is lost and nothing is repeated.
        """

    def unkept_bytes(self, handle: Handle) -> int:
        """Return how much output the runner did not keep, so that `read_log` cannot return it; 0 for none."""

    def close_log(self, handle: Handle) -> None:
        """Release what reading the log uses; reading again is possible, and starts from scratch."""

    def stop(self, handle: Handle, *, grace_seconds: float) -> None:
        """Send SIGTERM, wait for the grace period, send SIGKILL; return once it has ended. Safe to repeat."""

    def pause(self, handle: Handle) -> None:
        """Freeze it until it is resumed. Does nothing if it is paused or has ended."""

    def resume(self, handle: Handle) -> None:
        """Let it go on after a pause. Does nothing if it runs or has ended."""

    def remove(self, handle: Handle) -> None:
        """Remove every trace of an ended attempt from this host. Removing it twice is not an error."""

    def list_mine(self) -> list[Handle]:
        """Return all attempts that this service started on this host and has not removed."""

    def find_engine(self) -> str | None:
        """Return an id of the engine that lasts as long as its containers; None if there is no engine."""

    def find_gpus(self) -> tuple[str, ...]:
        """Return the ids of this host's GPUs; none if there is no way to ask."""

    def find_capacity(self) -> Capacity | None:
        """Return the memory and cores of this host; None if nothing can be limited."""

    def disk_bytes(self, handle: Handle) -> int:
        """Return how much the attempt has written to this host's disk; 0 if that is unknown."""

    def find_disk(self) -> Path | None:
        """Return the folder of its images and containers; None if that is not on a disk visible from here."""

    def find_unused_images(self, *, unused_seconds: float) -> list[str]:
        """Return the ids of images that this service pulled and has not used for that long, oldest use first."""

    def remove_image(self, image_id: str) -> bool:
        """Remove an image that this service pulled; return False if it is in use or not ours to remove.

        Removing it twice is not an error.
        """
