"""The seam to whatever runs an attempt's command: Docker, or a plain process. One contract suite holds both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from shared.errors import AttemptError
from shared.settings import Settings
from worker.interruption import NEVER, Interruption

PROJECT_FOLDER = "/mlflow/projects/code"  # where MLflow's own Docker backend puts a project


@dataclass(frozen=True)
class LogBounds:
    """How much of an attempt's output a runner keeps, and after how much it has flooded the host. In bytes."""

    kept_bytes: int
    flood_bytes: int


def log_bounds(settings: Settings) -> LogBounds:
    """Return what the operator lets an attempt print."""
    kept = settings.log_limit_bytes
    return LogBounds(kept_bytes=kept, flood_bytes=kept * settings.log_flood_factor)


LOG_BOUNDS = LogBounds(kept_bytes=50_000_000, flood_bytes=1_000_000_000)  # what Settings has by default


@dataclass(frozen=True)
class Inside:
    """How a training sees what is around it, where that is not as the worker sees it."""

    tracking_uri: str | None = None  # MLflow's address there
    is_guarded: bool = False  # behind that address our guard adds user and password to what trainings ask
    cache_folder: str | None = None  # where the cache of datasets is mounted
    has_home: bool = True  # HOME is set
    runs_images: bool = False  # the command runs in the project's image, so the project must name one


@dataclass(frozen=True)
class Capacity:
    """What the machine has on which attempts run."""

    memory_bytes: int
    cpus: int


@dataclass(frozen=True)
class Volume:
    """A host folder or named volume that the operator allows a project to mount."""

    source: str
    target: str
    mode: str = "rw"


@dataclass(frozen=True)
class AttemptSpec:
    """All that a runner needs to start one attempt. ``source`` is read at the start only.

    ``private_files`` maps file names to contents that must not show in the environment or in argv; the runner
    puts them where only the attempt reads them. ``private_env`` maps each of these names to the variable that
    gets the file's path. ``prelude`` is lines of POSIX shell to be run before the command, such as exports.
    """

    job_id: str
    attempt: int
    image: str | None
    command: str
    source: Path
    prelude: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    private_files: Mapping[str, bytes] = field(default_factory=dict)
    private_env: Mapping[str, str] = field(default_factory=dict)
    cpus: float | None = None
    memory_bytes: int | None = None
    pids: int = 4096
    gpu_ids: Sequence[str] = ()  # devices that are this attempt's alone
    volumes: Sequence[Volume] = ()
    network: str | None = None
    host_address: str = ""  # of this machine as containers know it, where Docker's own word is not right

    @property
    def name(self) -> str:
        """The attempt's name on its host, unique for ever."""
        return f"retrain-{self.job_id}-{self.attempt}"


@dataclass(frozen=True)
class Handle:
    """A started attempt on this host. ``id`` is the container id, or ``pid:start time`` of a process."""

    id: str
    name: str
    gpu_ids: tuple[str, ...] = field(default=(), compare=False)  # only list_mine() looks for them


@dataclass(frozen=True)
class Exit:
    """How an attempt's command ended; ``not_begun`` says why it never began, whatever the exit code is."""

    exit_code: int
    oom_killed: bool = False
    memory_bytes: int | None = field(default=None, compare=False)  # its limit, where it had one
    not_begun: AttemptError | None = None


@dataclass(frozen=True)
class Image:
    """An image as the engine knows it; ``digest`` is the registry's, where there is one."""

    id: str
    digest: str | None
    was_pulled: bool = False  # just now, for this attempt


class Runner(Protocol):
    """Starts, watches and removes attempts on this host. Raises AttemptError subclasses only."""

    kind: str
    inside: Inside

    def prepare_image(
        self,
        image: str | None,
        *,
        pinned: str | None = None,
        timeout_seconds: float,
        interruption: Interruption = NEVER,
    ) -> Image | None:
        """Make sure that the image is here, pulling it when missing; None where images mean nothing.

        ``pinned`` is the id or digest that an earlier attempt ran: exactly that one is looked for first, here and at
        its registry. Where it cannot be had any more, it is the one that the name means now, with a warning.
        """

    def start_or_attach(self, spec: AttemptSpec, interruption: Interruption = NEVER) -> Handle:
        """Start the attempt; where one of its name exists already, attach to it and start nothing.

        ``interruption.begin()`` is asked right before the command starts; where it raises, nothing starts, and what
        was made for it is removed.
        """

    def attach(self, name: str) -> Handle | None:
        """Return the handle of a started attempt of this name, or None where there is none."""

    def poll(self, handle: Handle) -> Exit | None:
        """Return None while it runs; raise CONTAINER_LOST when it is gone without an exit code."""

    def read_log(self, handle: Handle, offset: int) -> bytes:
        """Return what was printed from byte ``offset`` on, b"" when there is nothing new.

        After the end repeated calls return the rest: nothing is lost and nothing comes twice.
        """

    def unkept_bytes(self, handle: Handle) -> int:
        """How much output came after what `read_log` can give, because the runner did not keep it; 0 for none."""

    def close_log(self, handle: Handle) -> None:
        """Let go of what reading the log holds; reading again is possible, and begins anew."""

    def stop(self, handle: Handle, *, grace_seconds: float) -> None:
        """SIGTERM, the grace, SIGKILL; returns when it no longer runs. Stopping what has ended is no error."""

    def pause(self, handle: Handle) -> None:
        """Freeze it: it does nothing until it is resumed. What is paused or has ended stays so."""

    def resume(self, handle: Handle) -> None:
        """Let it go on after a pause. What runs or has ended is no error."""

    def remove(self, handle: Handle) -> None:
        """Remove every trace of an ended attempt from this host. Removing twice is no error."""

    def list_mine(self) -> list[Handle]:
        """All attempts that this service started on this host and has not removed."""

    def find_engine(self) -> str | None:
        """What names the engine for as long as it keeps its containers; None where there is none."""

    def find_gpus(self) -> tuple[str, ...]:
        """The ids of this host's GPUs; none where there is no way to ask."""

    def find_capacity(self) -> Capacity | None:
        """What this host has; None where nothing can be limited."""

    def disk_bytes(self, handle: Handle) -> int:
        """What the attempt has written on this host's disk; 0 where that is not known."""

    def find_disk(self) -> Path | None:
        """The folder where it keeps images and containers; None where that is not on a disk seen from here."""

    def find_unused_images(self, *, unused_seconds: float) -> list[str]:
        """The ids of images that this service pulled and did not use for so long, the longest unused first."""

    def remove_image(self, image_id: str) -> bool:
        """Remove an image that this service pulled; False where something uses it or it is not ours to remove.

        Removing twice is no error.
        """
