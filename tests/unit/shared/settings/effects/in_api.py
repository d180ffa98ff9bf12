"""Settings of the API, and what a request or its server shows of them."""

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from werkzeug.test import TestResponse

from api.__main__ import make_server
from api.app import Api, create_app
from api.http.serving import Server, listen
from api.services import EXTENSION, Services
from api.sign_on.signed_tokens import SignedTokens
from api.submission import make_job
from api.triggers.folder import TriggerFolder
from shared.access.acts import Act
from shared.access.audit import NO_HASH, AuditEntry, NewEntry
from shared.access.callers import NOBODY
from shared.addresses.git_uri import Credentials
from shared.errors import ConfigurationError
from shared.jobs.model import NewJob
from shared.requests.retrain_request import RetrainRequest
from shared.secrets.vault import JobSecrets, Vault
from shared.settings import Settings
from shared.sql import SqlStore
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.support.network.ports import free_port
from tests.unit.api.ui.browser import sign_in
from tests.unit.shared.settings.effects.effect import Effect

KEY = Fernet.generate_key()
SEALED = Vault(KEY).seal(JobSecrets(Credentials("https://git.example", "robot", "t")))
BODY = {"experiment_name": "iris", "git_uri": "https://github.com/user/iris.git"}
TRIGGER = {"name": "nightly", "template": BODY, "when": {"every": 3600}}
TOKENS = {"API_TOKENS": "t"}
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def app(settings: Settings) -> Api:
    store = MemoryStore(limits=settings.limits, alerting=settings.alerting)
    return create_app(settings, store=store, queue=RecordingQueue(), vault=Vault(KEY))


def ask(settings: Settings, method: str, path: str, *, token: str = "", **given: Any) -> TestResponse:
    headers = {**given.pop("headers", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
    return app(settings).test_client().open(path, method=method, headers=headers, **given)


def posted(settings: Settings, **fields: Any) -> int:
    return ask(settings, "POST", "/retrain", json={**BODY, **fields}).status_code


def job(settings: Settings) -> NewJob:
    """What becomes of a request that says nothing more than it must."""
    api = app(settings)
    with api.test_request_context():
        services: Services = api.extensions[EXTENSION]
        return make_job(RetrainRequest.model_validate(BODY), services)


def gpus(settings: Settings) -> int:
    found: int = (ask(settings, "POST", "/retrain", json=BODY).json or {})["request"]["resources"]["gpus"]
    return found


def triggers(settings: Settings) -> list[str]:
    """The names of those that are from files."""
    services: Services = app(settings).extensions[EXTENSION]
    if folder := TriggerFolder.of(services):
        folder.look()
    return [each.name for each in services.store.list_triggers()]


def location(settings: Settings) -> str:
    told = {"X-Forwarded-Prefix": "/told"}
    answer = ask(settings, "POST", "/retrain", token="t", json=BODY, headers=told)
    return answer.headers["Location"].split("/jobs/")[0]


def server(settings: Settings) -> Server:
    return make_server(app(settings), settings.model_copy(update={"api_port": free_port()}))


def threads(settings: Settings) -> int:
    with closing(server(settings)) as served:
        number: int = served.adj.threads
    return number


def bounds(settings: Settings) -> str:
    with closing(server(settings)) as served:
        return repr(served._bounds)


def place(settings: Settings) -> Any:
    """Where it listens; another program may have the usual port."""
    try:
        with listen(settings) as listener:
            return listener.getsockname()
    except ConfigurationError:
        return "taken"


def opens(settings: Settings) -> bool:
    """Whether it reads what the other processes have sealed."""
    try:
        return settings.vault().open(SEALED).source is not None
    except ConfigurationError:
        return False


def per_caller(settings: Settings) -> int:
    number: int = app(settings).extensions["retrain"].following._per_caller
    return number


def quota(settings: Settings) -> str:
    return ask(settings, "GET", "/jobs", token="t").headers.get("RateLimit-Policy", "")


def signed_in_seconds(settings: Settings) -> float:
    """How long who enters the token stays signed in."""
    api = app(settings)
    browser = api.test_client()
    sign_in(browser, "t")
    [(new, *_)] = api.extensions[EXTENSION].store._sessions.values()
    return float(new.expires_in_seconds)


def second_job(settings: Settings) -> int:
    """Its status."""
    client = app(settings).test_client()
    given: dict[str, Any] = {"json": BODY, "headers": {"Authorization": "Bearer t"}}
    client.post("/retrain", **given)
    return client.post("/retrain", **given).status_code


def per_peer(settings: Settings) -> int:
    following = app(settings).extensions["retrain"].following
    number: int = following._per_peer
    return number


def audit_lines(settings: Settings) -> bool:
    """Whether an act leaves a line there."""
    store = SqlStore(settings.store_url, audit_log=settings.audit_log)
    store._audit_was_written([AuditEntry.after(0, NO_HASH, NewEntry.of(Act(NOBODY, "a", "", ""), ""), NOON)])
    store.close()
    return bool(settings.audit_log) and bool(Path(settings.audit_log).read_text())


def person(settings: Settings) -> Any:
    """Who it takes a person for whom a proxy names."""
    return ask(settings, "GET", "/whoami", headers={"X-User": "ann", "X-Groups": "ml"}).json


def signed(settings: Settings) -> Any:
    """How it reads signed tokens."""
    found = SignedTokens.of(settings.model_copy(update={"oidc_issuer": "https://login.example.com"}))
    return found and (found.audience, found.name_claim, found.groups_claim)


PROXY = {"API_TRUSTED_PROXIES": "127.0.0.0/8", "AUTH_HEADER": "X-User", "AUTH_GROUPS_HEADER": "X-Groups"}
EFFECTS = {
    "audit_log": Effect("{folder}/audit.jsonl", audit_lines),
    "auth_header": Effect("X-User", person, PROXY),
    "auth_groups_header": Effect("X-Groups", person, {**PROXY, "AUTH_ROLES": "ml=operator"}),
    "auth_roles": Effect("ml=operator", person, PROXY),
    "auth_teams": Effect("ml=vision", person, PROXY),
    "auth_default_role": Effect("operator", person, PROXY),
    "oidc_issuer": Effect(
        "https://login.example.com", lambda s: ask(s, "GET", "/jobs").status_code, {"OIDC_AUDIENCE": "retrain"}
    ),
    "oidc_audience": Effect("retrain", signed),
    "oidc_name_claim": Effect("email", signed),
    "oidc_groups_claim": Effect("realm_access.roles", signed),
    "api_host": Effect("127.0.0.2", place, {"API_PORT": str(free_port())}),
    "api_port": Effect(str(free_port()), place),
    "api_public_url": Effect("https://ml.example.com/retrain", location, TOKENS),
    "api_trusted_proxies": Effect("127.0.0.0/8", location, TOKENS),
    "api_threads": Effect("5", threads),
    "ui_session_hours": Effect("1", signed_in_seconds, TOKENS),
    "api_followers": Effect("5", threads),
    "api_tabs": Effect("5", threads),
    "api_followers_per_peer": Effect("5", per_peer),
    "api_followers_per_caller": Effect("5", per_caller),
    "caller_requests_per_second": Effect("5", quota, TOKENS),
    "caller_burst_seconds": Effect("5", quota, TOKENS),
    "caller_jobs_queued": Effect("1", second_job, TOKENS),
    "queues": Effect("gpu", lambda s: posted(s, queue="default")),
    "policy_file": Effect(
        "{folder}/policy.toml", lambda s: posted(s, queue="gpu"), files={"policy.toml": '[default]\nqueues = ["cpu"]'}
    ),
    "api_connections": Effect("50", bounds),
    "api_connections_per_peer": Effect("50", bounds),
    "api_tokens": Effect("t", lambda s: ask(s, "GET", "/jobs").status_code),
    "metrics_tokens": Effect("m", lambda s: ask(s, "GET", "/metrics", token="m").status_code, TOKENS),
    "teams_isolated": Effect("true", lambda s: app(s).extensions["retrain"].settings.teams_isolated),
    "triggers_dir": Effect("{folder}/triggers", triggers, files={"triggers/a.yaml": json.dumps(TRIGGER)}),
    "security_contact": Effect(
        "mailto:security@example.com", lambda s: ask(s, "GET", "/.well-known/security.txt").status_code
    ),
    "default_gpus": Effect("1", gpus),
    "secret_key": Effect(KEY.decode(), opens),
    "secret_key_file": Effect("{folder}/key", opens, files={"key": KEY.decode()}),
    "queue_timeout_seconds": Effect("60", lambda s: job(s).queue_timeout_seconds),
    "git_schemes": Effect("https,http", lambda s: posted(s, git_uri="http://github.com/user/iris.git")),
    "git_hosts": Effect("git.example", posted),
    "git_private_networks": Effect("true", lambda s: posted(s, git_uri="https://10.1.2.3/iris.git")),
    "attempt_memory_most_bytes": Effect("1000000000", lambda s: posted(s, resources={"memory": "2g"})),
    "attempt_cpus_most": Effect("2", lambda s: posted(s, resources={"cpus": 4})),
    "alert_webhooks": Effect("team-a=json:https://x.example", lambda s: posted(s, alerts={"to": ["team-a"]})),
    "alert_secrets_folder": Effect(
        "{folder}/alerts",
        lambda s: posted(s, alerts={"to": ["discord"]}),
        files={"alerts/discord_webhook_url": "https://x.example"},
    ),
}
