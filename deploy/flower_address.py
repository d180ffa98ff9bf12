"""Where Flower listens; apart from what runs it, which loads Celery."""

from urllib.parse import urlsplit

from shared.own_addresses import is_this_machine
from shared.settings import Settings

PORT = 5555


def listens_at(settings: Settings) -> tuple[str, int]:
    """Return address and port. Where people reach it by a proxy, FLOWER_URL is that, and says nothing of them."""
    url = urlsplit(settings.flower_url)
    own = url.hostname if is_this_machine(url.hostname) else None
    address = settings.flower_host or own
    return address or "127.0.0.1", (url.port if address else None) or PORT
