"""Explains an MLflow server's answer to a request for its experiments."""

from urllib.parse import urlsplit

from worker.findings.network import Reply

ASKED = "/api/2.0/mlflow/experiments/search?max_results=1"
WRONG_HOST = "Invalid Host header"
STARTED = "Start the MLflow server, or correct MLFLOW_TRACKING_URI (host, port, scheme); check the firewall."


def refused(reply: Reply, address: str) -> tuple[str, str] | None:
    """Return what is wrong with an answer, and what to do; None if nothing is."""
    host = urlsplit(address).netloc
    if reply.status is None:
        return f"{address} does not answer: {reply.said}", STARTED
    if reply.status == 403 and WRONG_HOST in reply.said:
        return (
            f"{address} answers 403: it does not accept the name {host}",
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
