"""The objects that the views use: built once by create_app, and passed to them through the Flask app."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from flask import Request, current_app, request

from api.access.known_tokens import KnownTokens
from api.hooks.receiving import Receiver
from api.live.following import Following
from api.live.known_jobs import KnownJobs
from api.live.long_poll import LongPoll
from api.live.tabs import Tabs
from api.model_registry import ModelRegistry
from shared.jobs.store import JobStore
from shared.links import Links
from shared.policy.file import PolicyFile
from shared.queue import JobQueue
from shared.secrets.vault import Vault
from shared.settings import Settings

EXTENSION = "retrain"


@dataclass(frozen=True)
class Services:
    """What the API uses outside itself. ``settings`` has no tokens: api.access keeps their hashes."""

    settings: Settings
    store: JobStore
    queue: JobQueue
    vault: Vault
    long_poll: LongPoll
    following: Following
    tabs: Tabs
    links: Links
    registry: ModelRegistry
    receiver: Receiver
    known: KnownTokens
    known_jobs: KnownJobs
    watch: Callable[[Request], Callable[[], bool]]  # says whether its sender has lost access since
    policy: PolicyFile
    administered_by_tokens_only: bool  # of the record: nobody else could administer

    def send_away(self) -> None:
        """Let no request wait or follow any more. Takes no lock, because a signal handler calls it."""
        self.long_poll.stop()
        self.following.stop()
        self.tabs.stop()


def services() -> Services:
    """Return the services of the app that handles this request."""
    return cast(Services, current_app.extensions[EXTENSION])


def links() -> Links:
    """Return what builds the links in an answer to this request, below the path by which the API is reached."""
    return services().links.below(request.script_root)
