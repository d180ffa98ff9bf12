"""Asks an MLflow server from inside a container for all that trainings may not have; what got past the guard."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

REFUSED_ROUTES = Path(__file__).parents[2] / "unit" / "deploy" / "mlflow_refused_routes.txt"
SAID = "The guard before MLflow refused"
ASSISTANT = "/ajax-api/3.0/mlflow/assistant"
CREATE_EXPERIMENT = "/api/2.0/mlflow/experiments/create"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
# Prints what each of the requests, [method, path, body], got with the attempt's token and without: its status and the
# beginning of the answer.
ASK = """
import http.client, json, os, sys
from urllib.parse import urlsplit
server = urlsplit(os.environ["MLFLOW_TRACKING_URI"])
with open(os.environ["RETRAIN_EXPORTS_FILE"]) as file:
    token = file.read().partition("MLFLOW_TRACKING_TOKEN=")[2].split("\\n")[0].strip("'")
headers = {"Content-Type": "application/json", "X-Forwarded-For": "127.0.0.1", "X-HTTP-Method-Override": "GET"}
for method, path, body in json.load(sys.stdin):
    for more, expected in (({"Authorization": f"Bearer {token}"}, 403), ({}, 401)):
        connection = http.client.HTTPConnection(server.hostname, server.port, timeout=20)
        connection.request(method, path, body, {**headers, **more})
        answer = connection.getresponse()
        said = answer.read(200).decode(errors="replace")
        print(json.dumps([method, path, expected, answer.status, said]))
        connection.close()
"""
ASK_ONCE = """
import http.client, sys
from urllib.parse import urlsplit
server = urlsplit(sys.argv[1])
connection = http.client.HTTPConnection(server.hostname, server.port, timeout=20)
connection.request("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0")
print(connection.getresponse().status)
"""


def answered_at(container: Any, url: str) -> int:
    """The status with which an MLflow server there answers the container, which shows no token."""
    code, said = container.exec_run(["python3", "-c", ASK_ONCE, url])
    assert code == 0, said.decode()
    return int(said)


def attacks(folder: str) -> list[tuple[str, str, str]]:
    """Every route that is refused, ways around the layer, and requests that would write to a folder of the server's."""
    lines = [line.split() for line in REFUSED_ROUTES.read_text().splitlines() if not line.startswith("#")]
    routes = [(method, re.sub("<[a-z_:]+>", "1", path), "{}") for method, path in lines]
    around = [
        f"/{ASSISTANT}/config",
        f"{ASSISTANT}/config/",
        f"/api/..{ASSISTANT}/config",
        f"/api/2.0/mlflow/%2e%2e/%2e%2e/%2e%2e{ASSISTANT}/config",
        f"{ASSISTANT.replace('assistant', 'assistan%74')}/config",
        f"{ASSISTANT.upper()}/config",
        f"http://127.0.0.1:5007{ASSISTANT}/config",
        f"{FILES}/..%2f..%2fetc%2fpasswd",
        f"{FILES}/%252e%252e/%252e%252e/etc/passwd",
    ]
    provider = {"providers": {"claude_code": {"model": "default", "selected": True}}}
    writes = [
        ("PUT", f"{ASSISTANT}/config", json.dumps(provider)),
        ("POST", CREATE_EXPERIMENT, json.dumps({"name": "out", "artifact_location": folder})),
        ("POST", CREATE_EXPERIMENT, json.dumps({"name": "out", "artifactLocation": f"file://{folder}"})),
        ("POST", CREATE_EXPERIMENT, json.dumps(json.dumps({"name": "out", "artifact_location": folder}))),
        ("PUT", f"{FILES}/..%2f..%2fplanted", "planted"),
        ("POST", "/api/2.0/mlflow/model-versions/create", json.dumps({"name": "out", "source": folder})),
    ]
    return [*routes, *(("GET", path, "") for path in around), *writes]


def not_refused(container: Any, requests: Iterable[tuple[str, str, str]]) -> list[Any]:
    """Send them from the container, with its token and without; those that something else than the guard answered."""
    asked = list(requests)
    script = f"import io, sys\nsys.stdin = io.StringIO({json.dumps(asked)!r})\n{ASK}"
    code, output = container.exec_run(["python3", "-c", script])
    assert code == 0, output.decode()
    answers = [json.loads(line) for line in output.decode().splitlines()]
    assert len(answers) == 2 * len(asked)
    return [each for each in answers if each[2] != each[3] or SAID not in each[4]]
