"""Makes cards of jobs that have ended, one at a time; a job whose card cannot be made is as it was."""

import logging
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import AttemptError
from shared.jobs.model import Job, JobState
from shared.jobs.promotions import Promotion
from shared.links import Links
from shared.logs import log_context
from shared.secrets.redactor import Redactor
from shared.settings import Settings
from worker.cards.card import Card, card_of
from worker.cards.drawing import NotDrawn, draw
from worker.cards.page import page_of
from worker.resilience import survive
from worker.tracking.client import Tracking

MOST_WAITING = 100  # cards; the oldest of more is not made
LOOK_SECONDS = 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Order:
    job_id: str
    run_id: str
    card: Card


class Cards:
    """The cards of one worker. They wait in memory: those of a worker that ends are not made."""

    def __init__(self, settings: Settings, tracking: Tracking, draw: Callable[[Card, Path], bytes] = draw) -> None:
        self.is_on = settings.job_cards
        self._scratch = settings.data_dir / "scratch" / settings.worker_host
        self._fonts = settings.data_dir / "matplotlib"  # which it makes itself, and keeps
        self._links = Links.of(settings)
        self._tracking, self._draw = tracking, draw
        self._waiting: deque[_Order] = deque(maxlen=MOST_WAITING)

    def offer(self, job: Job, decided: Sequence[Promotion], redactor: Redactor) -> None:
        """Have a card made of the job, if a model of it was decided about and it has succeeded."""
        survive("card", lambda: self._offer(job, decided, redactor))

    def _offer(self, job: Job, decided: Sequence[Promotion], redactor: Redactor) -> None:
        if self.is_on and decided and job.state is JobState.SUCCEEDED and job.run_id:
            self._waiting.append(_Order(job.id, job.run_id, card_of(job, decided, redactor, self._links)))

    def run_until(self, stopping: threading.Event) -> None:
        """Make cards until the worker stops."""
        while not stopping.is_set():
            if not survive("card", self.once):
                stopping.wait(LOOK_SECONDS)

    def once(self) -> bool:
        """Make the card that has waited longest; return False if none waits."""
        if not self._waiting:
            return False
        order = self._waiting.popleft()
        with log_context(job_id=order.job_id):
            try:
                self._make(order)
            except (NotDrawn, AttemptError, OSError) as error:
                logger.warning("no card", extra={"cause": str(error)})
        return True

    def _make(self, order: _Order) -> None:
        for each in (self._scratch, self._fonts):
            each.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            picture, page = Path(folder) / "card.png", Path(folder) / "card.html"
            picture.write_bytes(self._draw(order.card, self._fonts))
            page.write_text(page_of(order.card), encoding="utf-8")
            self._tracking.keep_files(order.run_id, [page, picture])
        logger.info("card made", extra={"run_id": order.run_id})
