"""What each sender sends, as its documentation gives it (shortened), and how it signs."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.jobs.store import JobStore
from shared.jobs.triggers import NewTrigger, Trigger
from shared.requests.retrain_request import RetrainRequest
from shared.secrets.vault import Vault
from shared.triggers.fields import When

WORD = "wort"  # that a trigger's senders know
COMMIT, BEFORE, ZEROS = "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c", "5" * 40, "0" * 40
TEMPLATE = {"experiment_name": "iris", "git_uri": "https://github.com/user/iris.git"}
KEY = base64.b64encode(b"k" * 32).decode()


@dataclass(frozen=True)
class Desk:
    """An API with a store, to which things are sent."""

    client: FlaskClient
    store: JobStore
    vault: Vault

    def trigger(self, name: str, secret: str | None, **when: Any) -> Trigger:
        """Record one that waits for what its ``when`` says."""
        condition = When.model_validate(when)
        template = RetrainRequest.model_validate(TEMPLATE).as_record()
        sealed = self.vault.seal_text(secret) if secret else None
        return self.store.create_trigger(
            NewTrigger(name=name, template=template, when=when, policy={}, kind=condition.kind, hook_secret=sealed)
        )

    def send(self, path: str, body: bytes, headers: dict[str, str]) -> TestResponse:
        """Post it as JSON."""
        return self.client.post(path, data=body, headers={"Content-Type": "application/json", **headers})

    def events(self, name: str) -> list[tuple[str, str]]:
        """What happened to a trigger, the newest first: outcomes and reasons."""
        return [(each.outcome.value, each.reason) for each in self.store.trigger_events(name, limit=50)]


def hex_hmac(secret: str, body: bytes) -> str:
    """HMAC-SHA256 as GitHub, Gitea and Grafana write it."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard_hmac(key: bytes, id_: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 as Standard Webhooks, GitLab and MLflow write it."""
    signed = f"{id_}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def github_push(**changed: Any) -> dict[str, Any]:
    """GitHub's event ``push``."""
    return {
        "ref": "refs/heads/main",
        "before": BEFORE,
        "after": COMMIT,
        "created": False,
        "deleted": False,
        "forced": False,
        "base_ref": None,
        "compare": "https://github.com/User/Iris/compare/555...0d1",
        "commits": [{"id": COMMIT, "message": "More data", "author": {"name": "Mona"}, "added": ["data.csv"]}],
        "head_commit": {"id": COMMIT, "timestamp": "2026-05-05T10:00:00+02:00"},
        "repository": {
            "id": 186853002,
            "full_name": "User/Iris",
            "html_url": "https://github.com/User/Iris",
            "clone_url": "https://github.com/User/Iris.git",
            "ssh_url": "git@github.com:User/Iris.git",
            "git_url": "git://github.com/User/Iris.git",
            "pushed_at": int(time.time()),
        },
        "pusher": {"name": "mona", "email": "mona@example.org"},
        "sender": {"login": "mona", "id": 21031067},
        **changed,
    }


def from_github(secret: str, payload: Any, event: str = "push", delivery: str = "72d3162e") -> dict[str, str]:
    """GitHub's headers for a body, which is the payload as JSON."""
    signature = f"sha256={hex_hmac(secret, as_bytes(payload))}"
    return {"X-GitHub-Event": event, "X-GitHub-Delivery": delivery, "X-Hub-Signature-256": signature}


def gitea_push(**changed: Any) -> dict[str, Any]:
    """The event ``push`` of Gitea and Forgejo."""
    return {
        "ref": "refs/heads/main",
        "before": BEFORE,
        "after": COMMIT,
        "compare_url": "http://git.example.org:3000/user/iris/compare/555...0d1",
        "commits": [{"id": COMMIT, "message": "Webhooks!", "timestamp": "2017-03-13T13:52:11-04:00"}],
        "repository": {
            "id": 140,
            "full_name": "user/iris",
            "html_url": "http://git.example.org:3000/user/iris",
            "ssh_url": "ssh://gitea@git.example.org:2222/user/iris.git",
            "clone_url": "http://git.example.org:3000/user/iris.git",
        },
        "pusher": {"id": 1, "login": "mona"},
        "sender": {"id": 1, "login": "mona"},
        **changed,
    }


def from_gitea(secret: str, payload: Any, event: str = "push", of: str = "Gitea") -> dict[str, str]:
    """The headers of Gitea or Forgejo."""
    return {
        f"X-{of}-Event": event,
        f"X-{of}-Delivery": "f6266f16",
        f"X-{of}-Signature": hex_hmac(secret, as_bytes(payload)),
    }


def gitlab_push(**changed: Any) -> dict[str, Any]:
    """GitLab's ``Push Hook``."""
    return {
        "object_kind": "push",
        "event_name": "push",
        "before": BEFORE,
        "after": COMMIT,
        "ref": "refs/heads/main",
        "ref_protected": True,
        "checkout_sha": COMMIT,
        "user_id": 4,
        "user_name": "Mona Lisa",
        "user_username": "mona",
        "project_id": 15,
        "project": {
            "id": 15,
            "web_url": "https://gitlab.example.org/group/team/iris",
            "git_ssh_url": "git@gitlab.example.org:group/team/iris.git",
            "git_http_url": "https://gitlab.example.org/group/team/iris.git",
            "path_with_namespace": "group/team/iris",
        },
        "commits": [{"id": COMMIT, "message": "More data", "added": ["data.csv"], "modified": [], "removed": []}],
        "total_commits_count": 1,
        **changed,
    }


def from_gitlab(secret: str, payload: Any, key: str = "e0c4a3b1", age: float = 0) -> dict[str, str]:
    """GitLab's headers: a signature by a signing token (whsec_…), and other secrets as they are."""
    headers = {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Event-UUID": "13792a34", "Idempotency-Key": key}
    if not secret.startswith("whsec_"):
        return {**headers, "X-Gitlab-Token": secret}
    timestamp = str(int(time.time() - age))
    signature = standard_hmac(base64.b64decode(secret[6:]), key, timestamp, as_bytes(payload))
    return {**headers, "webhook-id": key, "webhook-timestamp": timestamp, "webhook-signature": signature}


def registry_change(entity: str = "model_version", **fields: Any) -> dict[str, Any]:
    """MLflow's event about a version or an alias."""
    known = {"name": "embeddings", "version": "3", "source": "models:/m-1", "run_id": "abc", "tags": {}}
    return {
        "entity": entity,
        "action": "created",
        "timestamp": "2026-07-31T08:27:32.080217+00:00",
        "data": {**known, **fields},
    }


def from_mlflow(secret: str, payload: Any, delivery: str = "cfbb85ab", age: float = 0) -> dict[str, str]:
    """MLflow's headers."""
    timestamp = str(int(time.time() - age))
    signature = standard_hmac(secret.encode(), delivery, timestamp, as_bytes(payload))
    return {"X-MLflow-Delivery-Id": delivery, "X-MLflow-Timestamp": timestamp, "X-MLflow-Signature": signature}


def alert(name: str = "DriftTooHigh", **fields: Any) -> dict[str, Any]:
    """One alert of Alertmanager or Grafana."""
    return {
        "status": "firing",
        "labels": {"alertname": name, "team": "blue"},
        "annotations": {"summary": "The data drifts"},
        "startsAt": "2026-05-05T10:00:00.000Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "https://prometheus.example.org/graph",
        "fingerprint": "c6eadffa33fcdf37",
        **fields,
    }


def notification(*alerts: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Alertmanager's notification, version 4."""
    return {
        "version": "4",
        "groupKey": '{}:{alertname="DriftTooHigh"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "retrain",
        "groupLabels": {"alertname": "DriftTooHigh"},
        "commonLabels": {"team": "blue"},
        "commonAnnotations": {},
        "externalURL": "https://alertmanager.example.org",
        "alerts": list(alerts or (alert(),)),
        **changed,
    }


def of_grafana(*alerts: dict[str, Any]) -> dict[str, Any]:
    """Grafana's notification, which is Alertmanager's with more."""
    more = {"orgId": 1, "version": "1", "title": "[FIRING:1]", "state": "alerting", "message": "**Firing**"}
    return notification(*[{**each, "values": {"B": 44.2, "C": 1}} for each in alerts or (alert(),)], **more)


def evidently_report(share: float = 0.6, least: float | None = 0.5) -> dict[str, Any]:
    """What ``report.run(…).json()`` of Evidently 0.7 gives."""
    counted = {"type": "evidently:metric_v2:DriftedColumnsCount", "drift_share": least}
    column = {"type": "evidently:metric_v2:ValueDrift", "column": "age", "threshold": 0.05}
    return {
        "metrics": [
            {
                "id": "1",
                "metric_name": "DriftedColumnsCount(drift_share=0.5)",
                "config": counted,
                "value": {"count": 5 * share, "share": share},
            },
            {"id": "2", "metric_name": "ValueDrift(column=age)", "config": column, "value": 0.003},
        ],
        "tests": [],
    }


def evidently_report_before_0_7(share: float = 0.6) -> dict[str, Any]:
    """What ``report.json()`` of Evidently 0.4 gives."""
    drift = {"drift_share": 0.5, "number_of_columns": 5, "number_of_drifted_columns": 5 * share}
    result = {**drift, "share_of_drifted_columns": share, "dataset_drift": share >= 0.5}
    return {"version": "0.4.40", "metrics": [{"metric": "DatasetDriftMetric", "result": result}]}


def as_bytes(payload: Any) -> bytes:
    """The payload as JSON, or what is bytes already."""
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


@dataclass(frozen=True)
class GitHost:
    """A git host that sends pushes."""

    path: str
    push: Callable[..., dict[str, Any]]
    headers: Callable[..., dict[str, str]]
    repository: str
    secret: str = WORD


GIT_HOSTS = {
    "github": GitHost("/hooks/github", github_push, from_github, "github.com/user/iris"),
    "gitlab": GitHost("/hooks/gitlab", gitlab_push, from_gitlab, "gitlab.example.org/group/team/iris"),
    "gitlab signing": GitHost(
        "/hooks/gitlab", gitlab_push, from_gitlab, "gitlab.example.org/group/*", secret=f"whsec_{KEY}"
    ),
    "gitea": GitHost("/hooks/gitea", gitea_push, from_gitea, "git.example.org/user/iris"),
    "forgejo": GitHost("/hooks/gitea", gitea_push, partial(from_gitea, of="Forgejo"), "git.example.org:3000/user/*"),
}
