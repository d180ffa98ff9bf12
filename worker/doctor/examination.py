"""Runs checks at the same time. A check that crashes or does not end is reported as a finding like any other."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping

from worker.findings.finding import Finding, failure

LIMIT_SECONDS = 12.0

Check = Callable[[], Iterator[Finding]]


def examine(checks: Mapping[str, Check], *, limit_seconds: float = LIMIT_SECONDS) -> list[Finding]:
    """Return what the checks find before the time is up, in the order of the checks."""
    looks = [_Look(subject, check) for subject, check in checks.items()]
    for each in looks:
        each.start()
    deadline = time.monotonic() + limit_seconds
    for each in looks:
        each.join(max(0.0, deadline - time.monotonic()))
    return [finding for each in looks for finding in each.until_now(limit_seconds)]


class _Look(threading.Thread):
    """One check. The process does not wait for it when it ends: a hung check may hang in the kernel."""

    def __init__(self, subject: str, check: Check) -> None:
        super().__init__(name=f"doctor-{subject}", daemon=True)
        self._subject = subject
        self._check = check
        self._findings: list[Finding] = []

    def run(self) -> None:
        try:
            for finding in self._check():
                self._findings.append(finding)
        except Exception as error:  # noqa: BLE001 - a thread's outermost frame: whatever it is, it is a finding
            advice = (
                "The doctor did not expect this. Check what the error names; if nothing is wrong there, report a bug."
            )
            self._findings.append(failure(self._subject, f"{type(error).__name__}: {error}", advice))

    def until_now(self, limit_seconds: float) -> list[Finding]:
        """Return what it has found, and a failure if it is not done."""
        is_over = not self.is_alive()
        found = list(self._findings)
        if is_over:
            return found
        advice = "Something accepts the connection but does not answer, or drops packets: a firewall, or a hung server."
        return [*found, failure(self._subject, f"no answer within {limit_seconds:g} s", advice)]
