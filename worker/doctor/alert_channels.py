"""Lets each alert channel check whether alerts would get there, without sending any."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from shared.settings import Settings
from worker.alerts.registry import channel_class
from worker.findings.finding import Finding, skipped

AT_ONCE = 32


def check_alert_channels(settings: Settings) -> Iterator[Finding]:
    """Check every channel that is set up; of each kind, those with names first."""
    places = sorted(settings.destinations.by_name.values(), key=lambda each: (each.kind, each.is_default))
    if not places:
        yield skipped("alerts", "no webhook is set")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        looks = [pool.submit(channel_class(each).check, each) for each in places]
        yield from (each.result() for each in looks)
