"""Checks the MLflow server from this host: that it answers under its name, lets us in, and stores artifacts."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

from shared.own_addresses import is_this_machine
from shared.settings import Settings
from worker.findings.clocks import compare
from worker.findings.finding import Finding, failure, ok, skipped, warning
from worker.findings.mlflow_answers import ASKED, refused
from worker.findings.network import Reply, ask

SUBJECT, ARTIFACTS, LINKS = "MLflow", "MLflow artifacts", "links to MLflow"
ARTIFACT = "/api/2.0/mlflow-artifacts/artifacts/"
DISABLED = "--serve-artifacts"  # what a server that does not proxy artifacts says about itself


def check_tracking(settings: Settings) -> Iterator[Finding]:
    """Check the server at MLFLOW_TRACKING_URI."""
    url = urlsplit(settings.mlflow_tracking_uri)
    if url.password or url.username:
        advice = "Put them into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD: the address shows in containers."
        yield failure(SUBJECT, "MLFLOW_TRACKING_URI contains a user or password", advice)
    elif url.scheme not in ("http", "https"):
        advice = "Set MLFLOW_TRACKING_URI to a server's http address: containers cannot log into a folder or file."
        yield failure(SUBJECT, f"{settings.mlflow_tracking_uri} is not a server", advice)
    else:
        yield from _look(settings)


def _look(settings: Settings) -> Iterator[Finding]:
    uri, auth = settings.mlflow_tracking_uri.rstrip("/"), _credentials(settings)
    reply = ask("GET", f"{uri}{ASKED}", auth=auth)
    ours = datetime.now(UTC)
    if wrong := refused(reply, uri):
        yield failure(SUBJECT, *wrong)
        return
    version = ask("GET", f"{uri}/version", auth=auth)
    yield ok(SUBJECT, f"answers at {uri}, version {version.said.strip() if version.status == 200 else 'unknown'}")
    yield _links(settings)
    yield _artifacts(uri, auth)
    if reply.date:
        yield compare("MLflow's", reply.date, ours)


def _links(settings: Settings) -> Finding:
    """Tell where links lead people: a name without a dot is mostly one that only containers know."""
    address = settings.mlflow_public_url or settings.mlflow_tracking_uri
    name = urlsplit(address).hostname or ""
    if "." in name or ":" in name or is_this_machine(name):
        return ok(LINKS, f"lead to {address}")
    advice = f"Set MLFLOW_PUBLIC_URL to where people reach MLflow, unless their machines know the name {name}, too."
    return warning(LINKS, f"lead to {address}, which may be a name that only containers know", advice)


def _artifacts(uri: str, auth: tuple[str, str] | None) -> Finding:
    """Write a few bytes and delete them, in the way trainings reach the storage: through the server."""
    folder = f"{uri}{ARTIFACT}retrain-doctor-{secrets.token_hex(8)}"
    kept = ask("PUT", f"{folder}/probe.txt", auth=auth, body=b"retrain doctor was here\n")
    if kept.status != 200:
        return _not_kept(kept)
    gone = ask("DELETE", folder, auth=auth)
    if gone.status == 200:
        return ok(ARTIFACTS, "written and deleted through the server")
    seen = f"written, but not deleted: {_told(gone)}"
    return warning(ARTIFACTS, seen, f"Training works. Let the server delete, too; {folder.rpartition('/')[2]} is left.")


def _not_kept(reply: Reply) -> Finding:
    if reply.status is not None and DISABLED in reply.said:
        return skipped(
            ARTIFACTS, "the server does not proxy them (--no-serve-artifacts): training needs its own access"
        )
    advice = (
        "Check --artifacts-destination of the MLflow server: that its user may write there, that its disk has room, or "
        "the storage's key; the server's log has the whole error."
    )
    return failure(ARTIFACTS, f"cannot be written: {_told(reply)}", advice)


def _told(reply: Reply) -> str:
    return reply.said[:300] if reply.status is None else f"HTTP {reply.status} {reply.said[:300]}"


def _credentials(settings: Settings) -> tuple[str, str] | None:
    user = settings.mlflow_tracking_username
    return (user, settings.mlflow_tracking_password.get_secret_value()) if user else None
