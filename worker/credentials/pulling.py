"""What a runner is told about pulling one image."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Pull:
    """The login to show the registry, if any. ``asks_registry``: also for an image that is here already."""

    username: str = ""
    password: str = field(default="", repr=False)
    asks_registry: bool = False


ANYBODY = Pull()
