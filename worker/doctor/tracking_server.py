"""The MLflow server as this host reaches it: there, open to us under its name, and able to keep an artifact."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

from shared.settings import Settings
from worker.findings.clocks import compare
from worker.findings.finding import Finding, failure, ok, skipped, warning
from worker.findings.network import Reply, ask

SUBJECT, ARTIFACTS = "MLflow", "MLflow artifacts"
ASKED = "/api/2.0/mlflow/experiments/search?max_results=1"
ARTIFACT = "/api/2.0/mlflow-artifacts/artifacts/"
WRONG_HOST = "Invalid Host header"
STARTED = "Start the MLflow server, or correct MLFLOW_TRACKING_URI (host, port, scheme); check the firewall."
DISABLED = "--serve-artifacts"  # what a server that passes none on says of itself


def check_tracking(settings: Settings) -> Iterator[Finding]:
    """Look at the server behind MLFLOW_TRACKING_URI."""
    url = urlsplit(settings.mlflow_tracking_uri)
    if url.password or url.username:
        advice = "Put them into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD: the address shows in containers."
        yield failure(SUBJECT, "MLFLOW_TRACKING_URI holds a user or password", advice)
    elif url.scheme not in ("http", "https"):
        advice = "Set MLFLOW_TRACKING_URI to a server's http address: containers cannot log into a folder or file."
        yield failure(SUBJECT, f"{settings.mlflow_tracking_uri} is no server", advice)
    else:
        yield from _look(settings)


def refused(reply: Reply, address: str) -> tuple[str, str] | None:
    """What is wrong with an answer, and what to do; None where the server does what it was asked."""
    host = urlsplit(address).netloc
    if reply.status is None:
        return f"{address} does not answer: {reply.said}", STARTED
    if reply.status == 403 and WRONG_HOST in reply.said:
        return (
            f"{address} answers 403: it does not know itself as {host}",
            f"Start the server with {host} among its --allowed-hosts (or MLFLOW_SERVER_ALLOWED_HOSTS).",
        )
    if reply.status in (401, 403):
        return (
            f"{address} answers {reply.status}: it refuses our user or password",
            "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a user that may read and write.",
        )
    if reply.status != 200:
        return f"{address} answers {reply.status} to MLflow's API", f"Something else may listen there. {STARTED}"
    return None


def _look(settings: Settings) -> Iterator[Finding]:
    uri, auth = settings.mlflow_tracking_uri.rstrip("/"), _credentials(settings)
    reply = ask("GET", f"{uri}{ASKED}", auth=auth)
    ours = datetime.now(UTC)
    if wrong := refused(reply, uri):
        yield failure(SUBJECT, *wrong)
        return
    version = ask("GET", f"{uri}/version", auth=auth)
    yield ok(SUBJECT, f"answers at {uri}, version {version.said.strip() if version.status == 200 else 'unknown'}")
    yield _artifacts(uri, auth)
    if reply.date:
        yield compare("MLflow's", reply.date, ours)


def _artifacts(uri: str, auth: tuple[str, str] | None) -> Finding:
    """Keep a few bytes and delete them, as trainings reach the storage: through the server."""
    folder = f"{uri}{ARTIFACT}retrain-doctor-{secrets.token_hex(8)}"
    kept = ask("PUT", f"{folder}/probe.txt", auth=auth, body=b"retrain doctor was here\n")
    if kept.status != 200:
        return _not_kept(kept)
    gone = ask("DELETE", folder, auth=auth)
    if gone.status == 200:
        return ok(ARTIFACTS, "written and deleted through the server")
    seen = f"written, and not deleted: {_told(gone)}"
    return warning(ARTIFACTS, seen, f"Trainings work. Let the server delete, too; {folder.rpartition('/')[2]} is left.")


def _not_kept(reply: Reply) -> Finding:
    if reply.status is not None and DISABLED in reply.said:
        return skipped(
            ARTIFACTS, "the server passes none on (--no-serve-artifacts): trainings need access of their own"
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
