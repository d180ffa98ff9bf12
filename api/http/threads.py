"""The threads that answer requests: each is started when a request would otherwise wait, and then stays.

Waitress starts all of them at once: 230 by default, most of which are for followers and open pages that never come.
"""

import logging
from itertools import count
from typing import Any

from waitress.task import ThreadedTaskDispatcher  # type: ignore[import-untyped]

logger = logging.getLogger(__name__)


class ThreadsAsNeeded(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Waitress's own, with up to so many threads."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def add_task(self, task: Any) -> None:
        """Have it done by the thread that is free first, or by a new one if none is."""
        with self.lock:
            self.queue.append(task)
            idle = len(self.threads) - self.active_count
            if len(self.queue) > idle and len(self.threads) < self._most and not self.stop_count:
                self._start_one()
            else:
                self.queue_cv.notify()

    def _start_one(self) -> None:
        number = next(each for each in count() if each not in self.threads)
        try:
            self.start_new_thread(self.handler_thread, number)
        except RuntimeError:  # this machine has no more: the task waits for one of those that are there
            logger.warning("no further thread for requests", extra={"threads": len(self.threads)})
            return
        self.threads.add(number)
        self.active_count += 1
