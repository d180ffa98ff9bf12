"""Log lines as tests read them: as they are written, and as a program reads the JSON ones."""

import io
import json
import logging
from typing import Any, NoReturn

from shared.logs import Lines


def objects(text: str) -> list[dict[str, Any]]:
    """The lines, each of which must be a JSON object as the standard has it."""
    return [json.loads(line, parse_constant=_refuse) for line in text.split("\n") if line]


def _refuse(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")


class Log:
    """A logger of its own, or a known one, and what it wrote."""

    def __init__(self, formatter: logging.Formatter, logger: logging.Logger | None = None) -> None:
        self.stream = io.StringIO()
        self.handler = Lines(self.stream)
        self.handler.setFormatter(formatter)
        self.logger = logger or logging.Logger("iris")
        self.logger.addHandler(self.handler)

    @property
    def text(self) -> str:
        """All of it."""
        return self.stream.getvalue()

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Its lines."""
        return objects(self.text)

    @property
    def object(self) -> dict[str, Any]:
        """Its only line."""
        [found] = self.objects
        return found
