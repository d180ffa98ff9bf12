"""Decides which routes of MLflow a training may use, and which ones of our own server nobody may. Pure.

Paths are in MLflow's form. A test compares every route of the installed MLflow with these tables.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qsl, unquote

API = "/api/2.0/mlflow"
API_3 = "/api/3.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts"
MOST_QUERY_FIELDS = 1000


class Body(Enum):
    """What body a request may have, and how it is handled."""

    NONE = "none"  # a body is refused, because MLflow reads JSON even in a GET
    JSON = "json"  # read completely, up to a limit, and checked
    OPAQUE = "opaque"  # read completely, up to a limit
    STREAM = "stream"  # passed on as it comes: a file


@dataclass(frozen=True)
class Verdict:
    """``refusal`` says why a request is refused; if it is empty, the request may pass with this kind of body.

    ``route`` is the table's, and ``named`` what stands in the place of its placeholders.
    """

    body: Body = Body.NONE
    refusal: str = ""
    route: str = ""
    named: Mapping[str, str] = field(default_factory=dict)

    @property
    def passes(self) -> bool:
        """Whether the request may pass."""
        return not self.refusal


Decide = Callable[[str, bytes, bytes], Verdict]  # method, path and query as they were sent

# Every path with its methods; <name> is one segment. Anything else is refused.
ALLOWED: dict[str, str] = {
    "/health": "GET",
    "/version": "GET",
    f"{API_3}/server-info": "GET",  # what clients ask first
    f"{API}/experiments/create": "POST",
    f"{API}/experiments/get": "GET",
    f"{API}/experiments/get-by-name": "GET",
    f"{API}/experiments/search": "GET POST",
    f"{API}/runs/create": "POST",
    f"{API}/runs/get": "GET",
    f"{API}/runs/search": "POST",
    f"{API}/runs/update": "POST",
    f"{API}/runs/log-metric": "POST",
    f"{API}/runs/log-parameter": "POST",
    f"{API}/runs/log-batch": "POST",
    f"{API}/runs/log-inputs": "POST",
    f"{API}/runs/log-model": "POST",
    f"{API}/runs/outputs": "POST",
    f"{API}/runs/set-tag": "POST",
    f"{API}/runs/delete-tag": "POST",
    f"{API}/metrics/get-history": "GET",
    f"{API}/metrics/get-history-bulk-interval": "GET",
    f"{API}/artifacts/list": "GET",
    f"{ARTIFACTS}/artifacts": "GET",
    f"{ARTIFACTS}/artifacts/<path:artifact_path>": "GET PUT",
    f"{ARTIFACTS}/presigned/<path:artifact_path>": "GET",
    f"{ARTIFACTS}/mpu/create/<path:artifact_path>": "POST",
    f"{ARTIFACTS}/mpu/complete/<path:artifact_path>": "POST",
    f"{ARTIFACTS}/mpu/abort/<path:artifact_path>": "POST",
    f"{API}/logged-models": "POST",
    f"{API}/logged-models/search": "POST",
    f"{API}/logged-models/<model_id>": "GET PATCH",
    f"{API}/logged-models/<model_id>/params": "POST",
    f"{API}/logged-models/<model_id>/tags": "PATCH",
    f"{API}/logged-models/<model_id>/artifacts/directories": "GET",
    f"{API_3}/datasets/create": "POST",
    f"{API_3}/datasets/search": "GET POST",
    f"{API_3}/datasets/<dataset_id>": "GET",
    f"{API_3}/datasets/<dataset_id>/records": "GET POST",
    f"{API_3}/datasets/<dataset_id>/experiment-ids": "GET",
    f"{API_3}/datasets/<dataset_id>/tags": "PATCH",
    # What autologging of language models writes.
    "/v1/traces": "POST",
    f"{API_3}/traces": "POST",
    f"{API_3}/traces/search": "POST",
    f"{API_3}/traces/get": "GET",
    f"{API_3}/traces/batchGet": "GET",
    f"{API_3}/traces/<trace_id>": "GET",
    f"{API_3}/traces/<trace_id>/tags": "PATCH",
    # Trainings register versions; the service moves the aliases.
    f"{API}/registered-models/create": "POST",
    f"{API}/registered-models/get": "GET",
    f"{API}/registered-models/search": "GET",
    f"{API}/registered-models/alias": "GET",
    f"{API}/registered-models/get-latest-versions": "GET POST",
    f"{API}/model-versions/create": "POST",
    f"{API}/model-versions/get": "GET",
    f"{API}/model-versions/get-download-uri": "GET",
    f"{API}/model-versions/search": "GET",
    f"{API}/model-versions/update": "PATCH",
    f"{API}/model-versions/set-tag": "POST",
    f"{API}/model-versions/delete-tag": "DELETE",
}
UPLOAD = f"{ARTIFACTS}/artifacts/<path:artifact_path>"
# Questions with a body. What else is no GET writes, and writes.py says what it may write to.
QUESTIONS = frozenset(
    {
        *(f"{API}/{each}/search" for each in ("experiments", "runs", "logged-models")),
        *(f"{API_3}/{each}/search" for each in ("datasets", "traces")),
        f"{API}/registered-models/get-latest-versions",
    }
)
OPEN = frozenset({"/health", "/version"})  # to who shows no token: a check whether somebody answers
OPAQUE_BODIES = frozenset({"/v1/traces"})  # protobuf

# What our own server refuses to everybody: these run commands or programs, or write files, as the server's user. MLflow
# also has switches for the AI gateway and the execution of jobs (deploy/mlflow_server.py).
SHUT = (
    "/gateway",
    *(
        f"/{twin}{path}"
        for twin in ("ajax-api", "api")
        for path in (
            "/3.0/mlflow/assistant",
            "/3.0/mlflow/jobs",
            "/3.0/mlflow/prompt-optimization",
            "/3.0/mlflow/mcp-servers",
            "/3.0/mlflow/gateway",
            "/3.0/mlflow/scorer/invoke",
            "/3.0/mlflow/issues/invoke",
            "/3.0/mlflow/genai/evaluate/invoke",
            "/2.0/mlflow/gateway-proxy",
            "/2.0/mlflow/upload-artifact",
            "/2.0/mlflow/runs/create-promptlab-run",
        )
    ),
)

DECIDES = (
    "the service decides which version becomes champion, when this training has ended: call "
    "utility.auto_compare_and_register (update the copy of mypackage in the image if it is an old one), "
    "or set rules in the request's 'promotion'"
)
REMEDIES = (  # by how a path begins
    (f"{API}/registered-models/alias", DECIDES),
    (f"{API}/model-versions/transition-stage", DECIDES),
    *(
        (
            f"{API}/registered-models/{each}",
            "a model belongs to all jobs: describe and tag the version you registered (an old copy of mypackage tags "
            f"the model before it moves an alias: {DECIDES})",
        )
        for each in ("update", "rename", "set-tag", "delete-tag")
    ),
    *(
        (f"{API}/experiments/{each}", "an experiment belongs to all jobs: tag your own run")
        for each in ("update", "set-experiment-tag", "delete-experiment-tag")
    ),
)
DELETES = re.compile(r"/(delete|restore)[a-z-]*$")

WORD = r"[A-Za-z0-9_~:@-][A-Za-z0-9_.~:@-]*"
PLAIN = re.compile(rf"/(?:{WORD}(?:/{WORD})*)?")  # no percent sign, no empty segment, none that begins with a dot
PLACEHOLDER = re.compile(r"<(path:)?([a-z_]+)>")
QUERY_PATHS = frozenset({"path", "artifact_directory_path"})


def decide_for_training(method: str, raw_path: bytes, query: bytes) -> Verdict:
    """Allow a training only the routes in the table, in the one spelling that MLflow has for them."""
    path = raw_path.decode("latin-1")
    found = next(((each, route) for pattern, route in PATTERNS if (each := pattern.fullmatch(path))), None)
    if found is None or method not in ALLOWED[found[1]].split():
        return Verdict(refusal=remedy(method, path))
    match, route = found
    if not _is_in_normal_form(path, route) or not _has_inner_paths_only(query):
        return Verdict(refusal="its path is not in the plain form, without '..', '//' or encoded slashes")
    if query and method != "GET":
        return Verdict(refusal="it has a query, which this kind of request has not")
    return Verdict(_body(method, route), route=route, named=match.groupdict())


def remedy(method: str, path: str) -> str:
    """Return why a training may not use this route, and what it does instead."""
    kind = next((text for beginning, text in REMEDIES if path.startswith(beginning)), None)
    if kind is None and (method == "DELETE" or DELETES.search(path)):
        kind = "a training deletes and restores nothing; people do that in MLflow"
    return kind or "trainings do not use this route of MLflow"


def decide_for_people(method: str, raw_path: bytes, query: bytes) -> Verdict:
    """Allow people everything that MLflow does, except the routes that are closed."""
    path = re.sub("/+", "/", unquote(raw_path.decode("latin-1")))
    if any(path == each or path.startswith(f"{each}/") for each in SHUT):
        return Verdict(refusal="this server does not run commands, jobs or programs, nor store files in this way")
    return Verdict(Body.STREAM)


def _body(method: str, route: str) -> Body:
    if method == "GET":
        return Body.NONE
    if route == UPLOAD:
        return Body.STREAM
    return Body.OPAQUE if route in OPAQUE_BODIES else Body.JSON


def _pattern(route: str) -> re.Pattern[str]:
    parts = re.split(r"(<[a-z_:]+>)", route)
    return re.compile("".join(_as_regex(part) for part in parts))


def _as_regex(part: str) -> str:
    found = PLACEHOLDER.fullmatch(part)
    if not found:
        return re.escape(part)
    return f"(?P<{found[2]}>{'.+' if found[1] else WORD})"


def _is_in_normal_form(path: str, route: str) -> bool:
    head, is_file, _ = route.partition("<path:")
    if not is_file:
        return PLAIN.fullmatch(path) is not None
    return _is_inner_path(path.removeprefix(head))


def _is_inner_path(encoded: str) -> bool:
    """Return whether it leads to one place below its start, however often it is decoded."""
    path, decoded = encoded, unquote(encoded)
    while _is_plain(decoded) and decoded.count("/") == path.count("/"):
        if decoded == path:
            return True
        path, decoded = decoded, unquote(decoded)
    return False


def _is_plain(path: str) -> bool:
    if "\\" in path or not path.isprintable():
        return False
    return not any(segment in ("", ".", "..") for segment in path.split("/"))


def _has_inner_paths_only(query: bytes) -> bool:
    try:
        fields = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_QUERY_FIELDS)
    except ValueError:
        return False
    return all(_is_inner_path(value) for name, value in fields if name in QUERY_PATHS and value)


# The most specific first: of two matching routes, MLflow uses the one without a placeholder.
PATTERNS = [(_pattern(route), route) for route in sorted(ALLOWED, key=lambda route: ("<" in route, route))]
