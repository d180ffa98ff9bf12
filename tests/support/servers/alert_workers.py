"""A worker as far as alerts go: it gives a sign of life, and sends what the store has, to channels of the test's."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from shared.alerts.model import Trial
from shared.jobs.store import JobStore
from shared.scheduling.hosts import Host
from worker.alerts.seam import Answer, Delivers, News, Verdict
from worker.alerts.sender import AlertSender

STOP_SECONDS = 10


class AnsweringChannel:
    """Answers always the same."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer or Answer(Verdict.SENT)
        self.trials: list[Trial] = []

    def send(self, news: News) -> Answer:
        """Answer."""
        return self.answer

    def send_trial(self, trial: Trial) -> Answer:
        """Note it, and answer."""
        self.trials.append(trial)
        return self.answer


@contextmanager
def alert_worker(store: JobStore, channels: Mapping[str, Delivers]) -> Iterator[None]:
    """Run it meanwhile."""
    store.beat(Host("gpu-1", slots=1, queues=frozenset({"default"}), runner="docker"), gap_seconds=60)
    stopping, sender = threading.Event(), AlertSender(store, channels)

    def send_all() -> None:
        while not stopping.is_set():
            sender.once()
            stopping.wait(0.01)

    thread = threading.Thread(target=send_all)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(STOP_SECONDS)
