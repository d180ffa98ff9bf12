"""Creates the Flask app from the objects that it uses; it opens and reads nothing itself."""

from flask import Flask, Response

from api import metrics, ui
from api.access import authentication, rates, refused
from api.access.authentication import Authentication
from api.access.authorisation import TEAMS_ISOLATED
from api.access.known_tokens import KnownTokens
from api.hooks.receiving import Receiver
from api.hooks.refusals import Refusals
from api.http import behind_proxy, problems, request_ids
from api.http.json_request import JsonRequest
from api.live.changes import Changes
from api.live.following import Following
from api.live.known_jobs import KnownJobs
from api.live.long_poll import LongPoll
from api.live.tabs import Tabs
from api.model_registry import ModelRegistry
from api.openapi import pages as documentation
from api.services import EXTENSION, Services
from api.views import operations
from shared.jobs.store import JobStore
from shared.links import Links
from shared.logs import log_context
from shared.policy.file import PolicyFile
from shared.queue import JobQueue
from shared.secrets.redactor import Redactor
from shared.secrets.vault import Vault
from shared.settings import Settings


class Api(Flask):
    """Flask with our request bodies and our log context."""

    request_class = JsonRequest

    def full_dispatch_request(self) -> Response:
        """Answer the current request, with its id in all lines logged meanwhile."""
        with log_context(request_id=request_ids.request_id()):
            return super().full_dispatch_request()


def create_app(
    settings: Settings,
    *,
    store: JobStore,
    queue: JobQueue,
    vault: Vault,
    redactor: Redactor | None = None,
    changes: Changes | None = None,
) -> Api:
    """Return the app; it keeps only hashes of the tokens in the settings. ``changes`` are the store's."""
    app, known, served = Api("api", static_folder=None), KnownTokens(store), operations()
    callers = Authentication(
        settings,
        known,
        store,
        open_paths={each.path for each in served if each.needs is None},
        provable={each.path for each in served if each.signed_in},
    )
    app.extensions[EXTENSION] = Services(
        settings=settings.model_copy(update={"api_tokens": (), "metrics_tokens": ()}),
        store=store,
        queue=queue,
        vault=vault,
        long_poll=LongPoll(store, limit=settings.api_threads // 2, changes=changes),
        following=Following(
            store,
            limit=settings.api_followers,
            per_peer=settings.api_followers_per_peer,
            per_caller=settings.api_followers_per_caller,
        ),
        tabs=Tabs(store, limit=settings.api_tabs),
        links=Links.of(settings),
        policy=PolicyFile(settings.policy_file),
        registry=ModelRegistry.of(settings),
        receiver=Receiver(store, vault, Refusals(store)),
        known=known,
        known_jobs=KnownJobs(store),
        watch=callers.watch,
        administered_by_tokens_only=authentication.is_administered_by_tokens_only(settings),
    )
    app.config[TEAMS_ISOLATED] = settings.teams_isolated
    app.url_map.strict_slashes = False  # as the predecessor, which took POST /retrain/, too
    metrics.register(app, settings, store)
    request_ids.register(app)
    refused.register(app, store)
    behind_proxy.register(app, settings)
    authentication.register(app, callers)
    rates.register(app, settings)
    ui.register(app, callers)
    problems.register(app, redactor or Redactor())
    for each in served:
        app.add_url_rule(each.path, endpoint=each.id, view_func=each, methods=[each.method])
    documentation.register(app, served)
    return app
