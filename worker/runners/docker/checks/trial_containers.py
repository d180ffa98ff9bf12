"""Runs short-lived containers from images that are already here: nothing is pulled, and nothing is left behind."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from shared.errors import InfrastructureError
from worker.runners.docker.engine import Engine, engine_answers

LABEL = "retrain.doctor"
MOST_IMAGES = 8  # tried in the search for one with the needed program
NOT_IN_IMAGE = ("executable file not found", "no such file or directory", "No such image")

Trial = Callable[..., str | None]  # TrialContainers.first_output, or what stands in for it


class TrialContainers:
    """The short-lived containers of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def first_output(self, command: list[str], **options: Any) -> str | None:
        """Run it in the newest image where it prints anything, and return that; None if there is no such image.

        InfrastructureError says why the engine does not start a container with these options.
        """
        for image in self._images():
            try:
                if printed := self._run(image, command, options):
                    return printed
            except InfrastructureError as error:
                if not any(words in error.message for words in NOT_IN_IMAGE):
                    raise
        return None

    def _images(self) -> Iterator[str]:
        with engine_answers("list its images"):
            found = self._engine.client.api.images()
        newest = sorted((each for each in found if each.get("RepoTags")), key=lambda each: -each["Created"])
        yield from (each["Id"] for each in newest[:MOST_IMAGES])

    def _run(self, image: str, command: list[str], options: Mapping[str, Any]) -> str:
        """Run it in a container that the engine removes when it ends, whether or not we are still there."""
        containers, api = self._engine.client.containers, self._engine.client.api
        with engine_answers("start a container"):
            container = containers.create(
                image, command[1:], entrypoint=command[0], auto_remove=True, labels={LABEL: ""}, **options
            )
            try:
                output = container.attach(stream=True, logs=True)
                try:
                    container.start()
                    return b"".join(output).decode(errors="replace").strip()
                finally:
                    # docker-py's own close() leaves the connection open until it is collected (see `_until_it_breaks`).
                    output._response.close()  # type: ignore[attr-defined]
            finally:
                with suppress(InfrastructureError), engine_answers("remove a container"):
                    api.remove_container(str(container.id), v=True, force=True)
