"""The clients: a trickle of short trainings, submitted and cancelled as a real client does it: again until answered."""

import random
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import requests

from tests.drill.project import NO_MODEL
from tests.drill.stack import DEFAULT, DOCKER, DrillStack

MOST_OPEN = 14
CLIENTS = 16
ANSWER_SECONDS = 15
REPEAT_SECONDS = 0.2
MODELS, BETTER = ("drill-a", "drill-b"), 20
PROPOSING = 0.4  # of the jobs: importing MLflow takes more of a small machine than all else that a job does
SHARED_KEYS = ("shared-a", "shared-b")
FAILING_EXIT_CODE = 3


class Script(StrEnum):
    """What a job is made to do."""

    PLAIN = "plain"
    SHARED_KEY = "shared key"
    FAILS = "fails"
    CRASHES_ONCE = "crashes once"
    IS_CANCELLED = "is cancelled"


WEIGHTS = {Script.PLAIN: 5, Script.SHARED_KEY: 2, Script.FAILS: 1, Script.CRASHES_ONCE: 1, Script.IS_CANCELLED: 2}


@dataclass
class Sent:
    """One request of a client, and what it was answered."""

    script: Script
    queue: str
    lines: int
    pause_seconds: float
    concurrency_key: str
    model: str | None = None  # which it proposes, with this value
    value: float = 0.0
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    job_ids: set[str] = field(default_factory=set)  # of all 202 answers
    cancel_status: int | None = None

    @property
    def job_id(self) -> str | None:
        """The accepted job."""
        return next(iter(self.job_ids), None)


class Load:
    """Clients in threads of their own. ``broken`` collects answers that no client should ever get."""

    def __init__(self, stack: DrillStack, seed: int, *, open_jobs: Callable[[], int]) -> None:
        self.sent: list[Sent] = []
        self.broken: list[str] = []
        self._stack = stack
        self._open_jobs = open_jobs
        self._random = random.Random(f"load {seed}")  # noqa: S311 - no secret
        self._lock = threading.Lock()
        self._stopping, self._abandoned = threading.Event(), threading.Event()
        self._clients = ThreadPoolExecutor(CLIENTS, thread_name_prefix="client")
        self._trickle = threading.Thread(target=self._drip, name="trickle")

    def start(self) -> None:
        """Begin."""
        self._trickle.start()

    def burst(self, count: int, *, queue: str | None = None) -> list[Sent]:
        """Send so many at once, from now on, and return without waiting for the answers."""
        return [self._send(queue) for _ in range(count)]

    def end(self) -> None:
        """Send no more, and wait until every request was answered with 202 or 409."""
        self._stopping.set()
        self._trickle.join()
        self._clients.shutdown()

    def abandon(self) -> None:
        """End without waiting for answers; ending twice is no error."""
        self._abandoned.set()
        self._stopping.set()
        if self._trickle.is_alive():
            self._trickle.join()
        self._clients.shutdown(cancel_futures=True)

    def by_job(self) -> dict[str, Sent]:
        """The requests by the job that they became."""
        return {job_id: each for each in list(self.sent) for job_id in list(each.job_ids)}

    def _drip(self) -> None:
        while not self._stopping.wait(self._random.uniform(0.2, 1.0)):
            unanswered = sum(not each.job_ids for each in self.sent)
            if self._open_jobs() + unanswered < MOST_OPEN:
                self._send(None)

    def _send(self, queue: str | None) -> Sent:
        with self._lock:
            draw = self._random
            script = draw.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            key = draw.choice(SHARED_KEYS) if script is Script.SHARED_KEY else uuid.uuid4().hex
            sent = Sent(script, queue or draw.choice((DOCKER, DEFAULT)), draw.randint(5, 25), 0.2, key)
            if script is not Script.FAILS and draw.random() < PROPOSING:
                # Better with time, so that about every second one is promoted.
                sent.model, sent.value = draw.choice(MODELS), round(len(self.sent) + draw.uniform(0, BETTER), 3)
            delay = draw.uniform(0, sent.lines * sent.pause_seconds * 1.3)
            asks_twice = draw.random() < 0.1
            self.sent.append(sent)
        self._clients.submit(self._client, sent, delay, asks_twice)
        return sent

    def _client(self, sent: Sent, cancel_after_seconds: float, asks_twice: bool) -> None:
        try:
            self._submit(sent)
            if asks_twice:
                self._submit(sent)
            if sent.script is Script.IS_CANCELLED:
                self._abandoned.wait(cancel_after_seconds)
                self._cancel(sent)
        except Exception as error:  # noqa: BLE001 - the thread's outermost frame: it would vanish in the pool
            self.broken.append(f"a client broke: {error!r}")

    def _submit(self, sent: Sent) -> None:
        answer = self.until_told("/retrain", self._body(sent), {"Idempotency-Key": sent.key}, {202})
        if answer is not None:
            sent.job_ids.add(answer.json()["id"])

    def _cancel(self, sent: Sent) -> None:
        answer = self.until_told(f"/jobs/{sent.job_id}/cancel", {}, {}, {202, 409})
        if answer is not None:
            sent.cancel_status = answer.status_code

    def until_told(
        self, path: str, body: dict[str, Any], headers: dict[str, str], wanted: set[int]
    ) -> requests.Response | None:
        """Ask again after a broken connection and after 503, as the answer says; None when the drill was given up."""
        while not self._abandoned.is_set():
            try:
                answer = requests.post(f"{self._stack.url}{path}", json=body, headers=headers, timeout=ANSWER_SECONDS)
            except requests.RequestException:
                self._abandoned.wait(REPEAT_SECONDS)
                continue
            if answer.status_code in wanted:
                return answer
            if answer.status_code != 503 or "Retry-After" not in answer.headers:
                self.broken.append(f"POST {path} was answered {answer.status_code}: {answer.text[:500]}")
                return None
            self._abandoned.wait(REPEAT_SECONDS)
        return None

    def _body(self, sent: Sent) -> dict[str, Any]:
        folder = "docker" if self._stack.trains_in_containers(sent.queue) else "process"
        is_crashing = sent.script is Script.CRASHES_ONCE
        return {
            "experiment_name": f"drill-{sent.queue}",
            "git_uri": self._stack.repository.uri,
            "MLproject_location": folder,
            "queue": sent.queue,
            "concurrency_key": sent.concurrency_key,
            "labels": {"key": sent.key},
            "parameters": {
                "lines": sent.lines,
                "pause": sent.pause_seconds,
                "code": FAILING_EXIT_CODE if sent.script is Script.FAILS else 0,
                "crashes": int(is_crashing),
                "ledger": self._stack.ledger_of(sent.queue),
                "model": sent.model or NO_MODEL,
                "value": sent.value,
            },
            "retry": {
                "max_attempts": 20,
                "on": ["infrastructure", "user_error"] if is_crashing else ["infrastructure"],
                "initial_delay_seconds": 0.2,
                "max_delay_seconds": 2.0,
            },
        }
