"""What confines trainings by setting: another OCI runtime, a user without rights, a read-only image. Pure."""

from dataclasses import dataclass
from typing import Any

from docker.types import Mount

from shared.settings import Settings
from worker.runners.seam import AttemptSpec

ROOT = "/"
# The folders that training writes to where its image is read-only: its project and HOME, our own files (some images
# have theirs in /run, too), and what is temporary. They are on disk, as usual: files in memory count as memory.
WRITABLE = ("/mlflow/projects", "/run", "/tmp", "/var/tmp")  # noqa: S108 - in a container of its own
FILLED = ("/mlflow/projects", "/run")  # of these, those that we put files into
HOME = "/mlflow/projects/home"
LOGIN = "training"  # getpass and those who use it look here first; an unknown uid has no name


@dataclass(frozen=True)
class Confinement:
    """An operator's choice for all trainings of a host. ``user`` is uid:gid."""

    runtime: str = ""
    user: str = ""
    read_only_root: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "Confinement":
        """Return what the settings say."""
        return cls(settings.container_runtime, settings.container_user, settings.container_read_only_root)

    def user_for(self, image_user: str) -> str:
        """Return who to run as instead of the image's USER; empty for that one.

        A name may stand for root: the image says itself who has which number.
        """
        uid = image_user.partition(":")[0]
        is_other = uid.isdecimal() and int(uid) != 0
        return "" if is_other else self.user

    def has_own_home(self, image_user: str) -> bool:
        """Return whether HOME is a folder that we make, because training could not write to the image's."""
        return self.read_only_root or bool(self.user_for(image_user))

    @property
    def filled(self) -> tuple[str, ...]:
        """The folders into which files are put before the start; an engine puts none into an image that is closed."""
        return FILLED if self.read_only_root else (ROOT,)

    def options(self, spec: AttemptSpec, image_user: str) -> dict[str, Any]:
        """Return docker-py's options."""
        options: dict[str, Any] = {}
        if self.runtime:
            options["runtime"] = self.runtime
        if user := self.user_for(image_user):
            options["user"] = user
        if self.read_only_root:
            taken = {each.target.rstrip("/") for each in spec.volumes}
            options["read_only"] = True
            options["mounts"] = [Mount(each, None, type="volume") for each in WRITABLE if each not in taken]
        return options

    def variables(self, image_user: str) -> dict[str, str]:
        """Return the variables that go with it; what a project sets itself counts more."""
        if not self.has_own_home(image_user):
            return {}
        return {"HOME": HOME} | ({"USER": LOGIN, "LOGNAME": LOGIN} if self.user_for(image_user) else {})


AS_USUAL = Confinement()
