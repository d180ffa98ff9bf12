"""Keeps triggers as the files of the operator's TRIGGERS_DIR say: at the start, and when a file changes.

Each process of the API does so; what is the same already is not written again.
"""

import logging
import threading
from collections.abc import Mapping
from pathlib import Path

from api.http.errors import InvalidRequest
from api.services import Services
from api.triggers.files import Files, TriggerOfFile, read_files, stamps
from api.triggers.writing import create, rewrite
from shared.access.acts import Act, acting
from shared.access.callers import FILES
from shared.errors import (
    ConfigurationError,
    RetrainError,
    StoreUnavailable,
    TriggerChanged,
    TriggerExists,
    TriggerNotFound,
)
from shared.jobs.triggers import Trigger
from shared.live_secrets import environment

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 5.0


class TriggerFolder:
    """The folder, and what its files were like when they were applied."""

    def __init__(self, folder: Path, services: Services) -> None:
        self._folder = folder
        self._services = services
        self._applied: dict[str, tuple[int, int]] | None = None
        self._told = ""
        self._stopping = threading.Event()

    @classmethod
    def of(cls, services: Services) -> "TriggerFolder | None":
        """Return the folder of the settings, None if they name none; raise ConfigurationError if it is not there."""
        folder = services.settings.triggers_dir
        if folder is not None and not folder.is_dir():
            raise ConfigurationError(f"TRIGGERS_DIR: there is no folder {folder}")
        return cls(folder, services) if folder is not None else None

    def watch(self, every_seconds: float = LOOK_EVERY_SECONDS) -> threading.Thread:
        """Look again and again, in a thread of its own, until `stop`."""
        thread = threading.Thread(target=self._run, args=(every_seconds,), name="triggers-folder", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()

    def _run(self, every_seconds: float) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
            except Exception:  # a thread's outermost frame: the next change is still to be seen
                logger.exception("the folder of triggers was not applied")
            self._stopping.wait(every_seconds)

    def look(self) -> None:
        """Apply the files if one has changed since they were applied; if that fails, the next look tries again."""
        try:
            now = stamps(self._folder)
            if now == self._applied:
                return
            with acting(Act(FILES, "applyTriggers", "", "")):
                is_done = _apply(read_files(self._folder, environment()), self._services)
        except OSError as error:
            self._tell("the folder of triggers cannot be read", f"{error.filename or self._folder}: {error.strerror}")
        except StoreUnavailable as error:
            self._tell("triggers' files wait for the job store", error.message)
        else:
            self._told = ""
            self._applied = now if is_done else None

    def _tell(self, message: str, cause: str) -> None:
        """Log what is in the way, once for as long as it is."""
        if self._told != cause:
            self._told = cause
            logger.error(message, extra={"cause": cause})


def _apply(files: Files, services: Services) -> bool:
    """Write what differs; return False if somebody else wrote meanwhile, so that it is to be compared again."""
    known = {each.name: each for each in services.store.list_triggers()}
    for name, cause in files.wrong.items():
        logger.error("a trigger's file is wrong; its trigger stays as it was", extra={"file": name, "cause": cause})
    written = [_write(name, wish, known.get(wish.name), services) for name, wish in files.triggers.items()]
    _delete_gone(files, known, services)
    return all(written)


def _write(name: str, wish: TriggerOfFile, before: Trigger | None, services: Services) -> bool:
    facts = {"trigger": wish.name, "file": name}
    if before is not None and before.source is None:
        cause = "another trigger has its name; delete that one, or give this one another name"
        logger.error("a trigger's file is wrong", extra={**facts, "cause": cause})
        return True
    try:
        if before is None:
            create(wish, services, source=name, team=wish.team)
            logger.info("trigger created from its file", extra=facts)
        elif _rewrite(name, wish, before, services).version != before.version:
            logger.info("trigger changed after its file", extra=facts)
    except (TriggerExists, TriggerChanged, TriggerNotFound):
        return False
    except InvalidRequest as error:
        logger.error("a trigger's file is wrong", extra={**facts, "cause": error.message})
    except StoreUnavailable:
        raise
    except RetrainError as error:
        logger.error("a trigger's file could not be applied", extra={**facts, "cause": error.message})
    return True


def _rewrite(name: str, wish: TriggerOfFile, before: Trigger, services: Services) -> Trigger:
    return rewrite(before, wish, version=None, services=services, source=name, team=wish.team).trigger


def _delete_gone(files: Files, known: Mapping[str, Trigger], services: Services) -> None:
    """Delete the triggers whose files are gone; none while a file is wrong, which may be one of them renamed."""
    wanted = {wish.name for wish in files.triggers.values()}
    gone = [each for each in known.values() if each.source is not None and each.name not in wanted]
    for each in () if files.wrong else gone:
        try:
            services.store.delete_trigger(each.name)
        except TriggerNotFound:
            continue
        logger.info("trigger deleted with its file", extra={"trigger": each.name, "file": each.source})
