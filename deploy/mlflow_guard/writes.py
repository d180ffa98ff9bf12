"""Says what a training's request writes to, and what of it reaches MLflow: the service's own tags are put in. Pure.

Every route of the table that writes has a rule here; one without is refused. Whether a thing belongs to the training
is for ``owners`` to find out.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.mlflow_guard import tags
from deploy.mlflow_guard.bodies import Unfit, stays_within
from deploy.mlflow_guard.routes import API, API_3, ARTIFACTS, UPLOAD
from shared.secrets.attempt_tokens import Grant

SOURCE_RUN = "mlflow.sourceRun"  # in a trace's metadata

Said = dict[str, Any]


class Kind(StrEnum):
    """What a training may own."""

    RUN = "run"
    MODEL = "logged model"
    VERSION = "model version"
    TRACE = "trace"
    NEW_TRACE = "new trace"  # or its own one
    DATASET = "dataset"
    FILE = "file"  # below the artifacts of a run, a logged model or a trace
    SOURCE = "source"  # of a model version


@dataclass(frozen=True)
class Thing:
    """One thing of MLflow's. A version's name is "model/number"; a file's name is its path among all artifacts."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Write:
    """``needs``: all that must be the training's own. ``body``: what is sent on; None for the bytes that came.

    ``mentions``: logged models to which values would be added. One of another job is left out of the body.
    """

    needs: tuple[Thing, ...] = ()
    body: Said | None = None
    mentions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """A request that may write: the route, what stands for its placeholders, and the body."""

    method: str
    route: str
    named: Mapping[str, str] = field(default_factory=dict)
    said: Said = field(default_factory=dict)
    raw: bytes = b""
    content_type: str = ""


Rule = Callable[[Grant, Asked], Write]


def write_of(grant: Grant, asked: Asked) -> Write:
    """Return what the request writes; raise Unfit if no training may send it."""
    rule = RULES.get(f"{asked.method} {asked.route}")
    if rule is None:
        raise Unfit("nobody has decided yet what a training may write there")
    return rule(grant, asked)


def texts(said: Mapping[str, Any], name: str) -> list[str]:
    """Return the field's values, in both spellings that MLflow's parser knows; raise Unfit for what is no text."""
    head, *rest = name.split("_")
    spellings = {name, head + "".join(each.capitalize() for each in rest)}
    found = [said[each] for each in spellings if said.get(each) not in (None, "")]
    if not all(isinstance(each, str) for each in found):
        raise Unfit(f"its '{name}' is not a text")
    return found


def _one(said: Mapping[str, Any], name: str) -> str:
    found = texts(said, name)
    if len(found) != 1:
        raise Unfit(f"it needs one '{name}'")
    return found[0]


def _runs(said: Mapping[str, Any], *names: str) -> tuple[Thing, ...]:
    """Return all runs that the body names; MLflow's handlers take the first that is not empty."""
    found = tuple(Thing(Kind.RUN, each) for name in names for each in texts(said, name))
    if not found:
        raise Unfit("it names no run")
    return found


def _listed(said: Mapping[str, Any], name: str) -> Iterator[Said]:
    entries = said.get(name) or []
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise Unfit(f"its '{name}' is not a list of objects")
    yield from entries


def _parents(said: Said) -> tuple[Thing, ...]:
    """Return the runs that this nests a run in: whoever looks for the best child must find only the job's own."""
    return tuple(Thing(Kind.RUN, each) for each in tags.parents(said))


def _create_run(grant: Grant, asked: Asked) -> Write:
    return Write(_parents(asked.said), body=tags.with_ours(asked.said, grant))


def _to_run(_grant: Grant, asked: Asked) -> Write:
    return Write(_runs(asked.said, "run_id", "run_uuid"))


def _tag_run(grant: Grant, asked: Asked) -> Write:
    tags.check_one(asked.said, grant)
    return Write((*_runs(asked.said, "run_id", "run_uuid"), *_parents(asked.said)))


def _log_metric(_grant: Grant, asked: Asked) -> Write:
    models = tuple(texts(asked.said, "model_id"))
    return Write(_runs(asked.said, "run_id", "run_uuid"), asked.said if models else None, models)


def _log_batch(grant: Grant, asked: Asked) -> Write:
    tags.check(asked.said, grant)
    models = {each for metric in _listed(asked.said, "metrics") for each in texts(metric, "model_id")}
    needs = (*_runs(asked.said, "run_id", "run_uuid"), *_parents(asked.said))
    return Write(needs, asked.said if models else None, tuple(models))


def without_models(said: Said, others: set[str]) -> Said:
    """Return the body without these models: values of metrics stay values of the run."""
    kept = {name: each for name, each in said.items() if not (name in ("model_id", "modelId") and each in others)}
    if "metrics" in kept:
        kept["metrics"] = [without_models(each, others) for each in kept["metrics"]]
    return kept


def _log_outputs(_grant: Grant, asked: Asked) -> Write:
    models = [_one(each, "model_id") for each in _listed(asked.said, "models")]
    return Write((*_runs(asked.said, "run_id"), *(Thing(Kind.MODEL, each) for each in models)))


def _create_model(grant: Grant, asked: Asked) -> Write:
    runs = tuple(Thing(Kind.RUN, each) for each in texts(asked.said, "source_run_id"))
    return Write(runs, tags.with_ours(asked.said, grant))


def _to_model(_grant: Grant, asked: Asked) -> Write:
    """MLflow finalizes the model that the body names, whatever stands in the path."""
    names = (asked.named["model_id"], *texts(asked.said, "model_id"))
    return Write(tuple(Thing(Kind.MODEL, each) for each in dict.fromkeys(names)))


def _tag_model(grant: Grant, asked: Asked) -> Write:
    tags.check(asked.said, grant)
    return _to_model(grant, asked)


def _create_dataset(grant: Grant, asked: Asked) -> Write:
    return Write(body=tags.with_ours_as_text(asked.said, grant))


def _to_dataset(grant: Grant, asked: Asked) -> Write:
    tags.check_text(asked.said, grant)
    names = (asked.named["dataset_id"], *texts(asked.said, "dataset_id"))
    return Write(tuple(Thing(Kind.DATASET, each) for each in dict.fromkeys(names)))


def _create_trace(grant: Grant, asked: Asked) -> Write:
    trace = asked.said.get("trace")
    trace = trace if isinstance(trace, dict) else {}
    places = [name for name in ("trace_info", "traceInfo") if name in trace]
    info = trace[places[0]] if len(places) == 1 else None
    if not isinstance(info, dict):
        raise Unfit("it has not one 'trace_info'")
    body = {**asked.said, "trace": {**trace, places[0]: tags.with_ours_as_map(info, grant)}}
    metadata = info.get("trace_metadata", info.get("traceMetadata")) or {}
    run_id = metadata.get(SOURCE_RUN) if isinstance(metadata, dict) else None
    runs = (Thing(Kind.RUN, str(run_id)),) if run_id else ()
    return Write((Thing(Kind.NEW_TRACE, _one(info, "trace_id")), *runs), body)


def _tag_trace(grant: Grant, asked: Asked) -> Write:
    tags.check_one(asked.said, grant)
    names = (asked.named["trace_id"], *texts(asked.said, "trace_id"))
    return Write(tuple(Thing(Kind.TRACE, each) for each in dict.fromkeys(names)))


def _send_spans(_grant: Grant, asked: Asked) -> Write:
    if asked.content_type.partition(";")[0].strip() != "application/x-protobuf":
        raise Unfit("spans are sent as application/x-protobuf")
    sent = ExportTraceServiceRequest()
    try:
        sent.ParseFromString(asked.raw)
    except DecodeError as error:
        raise Unfit("its spans cannot be read") from error
    spans = (span for resource in sent.resource_spans for scope in resource.scope_spans for span in scope.spans)
    # As MLflow makes its own ids of them.
    ids = {f"tr-{int.from_bytes(span.trace_id):032x}" for span in spans}
    return Write(tuple(Thing(Kind.NEW_TRACE, each) for each in sorted(ids)))


def _upload(_grant: Grant, asked: Asked) -> Write:
    return Write((Thing(Kind.FILE, asked.named["artifact_path"]),))


def _upload_parts(_grant: Grant, asked: Asked) -> Write:
    """MLflow puts the file where the path of the body leads to, from that of the address."""
    path = _one(asked.said, "path")
    if not stays_within(path) or path.startswith("/") or "" in path.split("/"):
        raise Unfit("its 'path' is not in the plain form, without '..' or '//'")
    folder = asked.named["artifact_path"]
    return Write(tuple(Thing(Kind.FILE, each) for each in (folder, f"{folder}/{path}")))


def _may_register(grant: Grant, name: str) -> None:
    if grant.model_name is not None and name != grant.model_name:
        raise Unfit(f"this job trains the model '{grant.model_name}', and registers no other (model_name)")


def _create_registered_model(grant: Grant, asked: Asked) -> Write:
    _may_register(grant, _one(asked.said, "name"))
    tags.check(asked.said, grant)
    return Write()


def _create_version(grant: Grant, asked: Asked) -> Write:
    said = asked.said
    _may_register(grant, _one(said, "name"))
    runs = tuple(Thing(Kind.RUN, each) for each in texts(said, "run_id"))
    models = tuple(Thing(Kind.MODEL, each) for each in texts(said, "model_id"))
    if set("?#") & set(_one(said, "source")):  # where the path ends for some, and not for MLflow
        raise Unfit("its 'source' has a '?' or '#' in it")
    body = tags.with_ours(said, grant)
    if not runs:  # a logged model without a run
        body = {**{name: each for name, each in body.items() if name != "runId"}, "run_id": grant.run_id}
    return Write((Thing(Kind.SOURCE, _one(said, "source")), *runs, *models), body)


def _to_version(_grant: Grant, asked: Asked) -> Write:
    return Write((Thing(Kind.VERSION, f"{_one(asked.said, 'name')}/{_one(asked.said, 'version')}"),))


def _tag_version(grant: Grant, asked: Asked) -> Write:
    tags.check_one(asked.said, grant)
    return _to_version(grant, asked)


def _free(_grant: Grant, _asked: Asked) -> Write:
    return Write()


RULES: dict[str, Rule] = {
    f"POST {API}/experiments/create": _free,
    f"POST {API}/runs/create": _create_run,
    f"POST {API}/runs/update": _to_run,
    f"POST {API}/runs/log-metric": _log_metric,
    f"POST {API}/runs/log-parameter": _to_run,
    f"POST {API}/runs/log-batch": _log_batch,
    f"POST {API}/runs/log-inputs": _to_run,
    f"POST {API}/runs/log-model": _to_run,
    f"POST {API}/runs/outputs": _log_outputs,
    f"POST {API}/runs/set-tag": _tag_run,
    f"POST {API}/runs/delete-tag": _tag_run,
    f"PUT {UPLOAD}": _upload,
    f"POST {ARTIFACTS}/mpu/create/<path:artifact_path>": _upload_parts,
    f"POST {ARTIFACTS}/mpu/complete/<path:artifact_path>": _upload_parts,
    f"POST {ARTIFACTS}/mpu/abort/<path:artifact_path>": _upload_parts,
    f"POST {API}/logged-models": _create_model,
    f"PATCH {API}/logged-models/<model_id>": _to_model,
    f"POST {API}/logged-models/<model_id>/params": _to_model,
    f"PATCH {API}/logged-models/<model_id>/tags": _tag_model,
    f"POST {API_3}/datasets/create": _create_dataset,
    f"POST {API_3}/datasets/<dataset_id>/records": _to_dataset,
    f"PATCH {API_3}/datasets/<dataset_id>/tags": _to_dataset,
    "POST /v1/traces": _send_spans,
    f"POST {API_3}/traces": _create_trace,
    f"PATCH {API_3}/traces/<trace_id>/tags": _tag_trace,
    f"POST {API}/registered-models/create": _create_registered_model,
    f"POST {API}/model-versions/create": _create_version,
    f"PATCH {API}/model-versions/update": _to_version,
    f"POST {API}/model-versions/set-tag": _tag_version,
    f"DELETE {API}/model-versions/delete-tag": _tag_version,
}
