"""Finds out, by asking MLflow, whether a thing is of the training's own job. What is, stays so, and is remembered.

The tag of the job says whose a run, a logged model, a version, a trace or a dataset is: only the service and the guard
set it. A logged model and a trace without it belong to the run that they are of.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

from deploy.mlflow_guard.bodies import Unfit, parse
from deploy.mlflow_guard.bounded import Bounded
from deploy.mlflow_guard.routes import API, API_3
from deploy.mlflow_guard.tags import MODEL_VERSIONS, PLACE
from deploy.mlflow_guard.writes import SOURCE_RUN, Kind, Thing
from mypackage.protocol import JOB_TAG, REGISTERED_MODEL
from shared.secrets.attempt_tokens import Grant

MOST_KNOWN = 20_000  # things; some 200 bytes each
MOST_PAGES = 20
ARTIFACTS = "artifacts"

Found = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """MLflow's answer to a question of ours."""

    status: int
    said: Any


class Mlflow(Protocol):
    """Asks MLflow with the service's own password."""

    def ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Awaitable[Answer]:
        """Return the answer; raise layer.Refused, to be tried again, if MLflow does not give one."""


@dataclass(frozen=True)
class Place:
    """Where a thing of the job has its artifacts: ``root`` is a path in MLflow's storage, ``run_id`` the run."""

    owner: Thing
    run_id: str
    root: str


class Owners:
    """Knows what is whose. ``owns`` is asked for each write."""

    def __init__(self, mlflow: Mlflow) -> None:
        self._mlflow = mlflow
        self._own: Bounded[tuple[str, Thing], bool] = Bounded(MOST_KNOWN)
        self._places: Bounded[tuple[str, str], Place] = Bounded(MOST_KNOWN)

    async def owns(self, grant: Grant, thing: Thing) -> bool:
        """Return whether this exists and is of the grant's job; a new trace needs not exist yet."""
        if thing == Thing(Kind.RUN, grant.run_id) or (grant.job_id, thing) in self._own:
            return True
        is_own = await self._find_out(grant, thing)
        if is_own and thing.kind is not Kind.FILE:  # of which there are many, in few places
            self._own.put((grant.job_id, thing), True)
            if thing.kind is Kind.NEW_TRACE:
                self._own.put((grant.job_id, Thing(Kind.TRACE, thing.name)), True)
        return is_own

    async def find_place(self, grant: Grant, path: str) -> Place | None:
        """Return the place of the job's own that this path, of a file or folder, leads to; None if to none."""
        segments = path.split("/")
        for number in (number for number, each in enumerate(segments) if each == ARTIFACTS and number):
            place = await self._place(grant, segments[number - 1])
            if place and place.root == "/".join(segments[: number + 1]):
                return place
        return None

    async def is_root(self, grant: Grant, path: str) -> bool:
        """Return whether this is the folder of all artifacts of a thing: a file there would be in its place."""
        place = await self.find_place(grant, path)
        return place is not None and place.root == path.rstrip("/")

    async def path_of_source(self, grant: Grant, source: str) -> str | None:
        """Return the path of what a version of the job's is, or would be, made of; None if it is not the job's."""
        parts = urlsplit(source)
        first, _, rest = parts.path.lstrip("/").partition("/")
        if parts.scheme not in ("runs", "models"):
            path = path_of(source)
            return path if await self.find_place(grant, path) else None
        if parts.netloc:
            return None
        if named := REGISTERED_MODEL.match(source):
            version = Thing(Kind.VERSION, f"{named['name']}/{named['version']}")
            return await self._path_of_version(grant, version) if await self.owns(grant, version) else None
        place = await self._place(grant, first) if (parts.scheme == "models") == is_model(first) else None
        return f"{place.root}/{rest}".rstrip("/") if place else None

    async def has_versions(self, model_id: str) -> bool:
        """Return whether a registered version refers to this logged model."""
        info = await self._model(model_id)
        return MODEL_VERSIONS in _pairs((info or {}).get("tags"))  # whatever it says: it cannot be deleted

    async def versions_of(self, run_id: str) -> list[Found]:
        """Return the versions that are registered of this run."""
        found: list[Found] = []
        query = {"filter": f"run_id='{run_id}'", "max_results": "200"}
        for _ in range(MOST_PAGES):
            said = (await self._get(f"{API}/model-versions/search", query)) or {}
            found += said.get("model_versions") or []
            if not (token := said.get("next_page_token")):
                break
            query["page_token"] = token
        return found

    async def _find_out(self, grant: Grant, thing: Thing) -> bool:
        ways: dict[Kind, Callable[[Grant, str], Awaitable[object]]] = {
            Kind.RUN: self._owns_run,
            Kind.MODEL: self._find_model,
            Kind.VERSION: self._owns_version,
            Kind.TRACE: self._owns_trace,
            Kind.NEW_TRACE: self._may_make_trace,
            Kind.DATASET: self._owns_dataset,
            Kind.FILE: lambda grant, path: self.find_place(grant, unquote(path)),
            Kind.SOURCE: self.path_of_source,
        }
        return bool(await ways[thing.kind](grant, thing.name))

    async def _owns_run(self, grant: Grant, run_id: str) -> bool:
        run = ((await self._get(f"{API}/runs/get", {"run_id": run_id})) or {}).get("run") or {}
        is_it = (run.get("info") or {}).get("run_id") == run_id  # a database may take other spellings for it
        return is_it and _job(_pairs((run.get("data") or {}).get("tags"))) == grant.job_id

    async def _model(self, model_id: str) -> Found | None:
        said = await self._get(f"{API}/logged-models/{quote(model_id, safe='')}")
        info = ((said or {}).get("model") or {}).get("info") or {}
        return info if info.get("model_id") == model_id else None

    async def _find_model(self, grant: Grant, model_id: str) -> Found | None:
        """Return the logged model, if it is the job's."""
        info = await self._model(model_id) or {}
        is_own = await self._is_own(grant, _pairs(info.get("tags")), info.get("source_run_id"))
        return info if is_own else None

    async def _path_of_version(self, grant: Grant, version: Thing) -> str | None:
        said = await self._version(version.name) or {}
        source = str(said.get("source") or "")
        return None if REGISTERED_MODEL.match(source) else await self.path_of_source(grant, source)

    async def _version(self, name: str) -> Found | None:
        model, _, number = name.rpartition("/")
        said = await self._get(f"{API}/model-versions/get", {"name": model, "version": number})
        version = (said or {}).get("model_version") or {}
        is_it = (version.get("name"), str(version.get("version"))) == (model, number)
        return version if is_it else None

    async def _owns_version(self, grant: Grant, name: str) -> bool:
        return _job(_pairs((await self._version(name) or {}).get("tags"))) == grant.job_id

    async def _trace(self, trace_id: str) -> Found | None:
        said = await self._get(f"{API_3}/traces/{quote(trace_id, safe='')}")
        trace: Found = ((said or {}).get("trace") or {}).get("trace_info") or {}
        return trace if trace.get("trace_id") == trace_id else None

    async def _owns_trace(self, grant: Grant, trace_id: str) -> bool:
        return await self._is_own_trace(grant, await self._trace(trace_id) or {})

    async def _may_make_trace(self, grant: Grant, trace_id: str) -> bool:
        trace = await self._trace(trace_id)
        return trace is None or await self._is_own_trace(grant, trace)

    async def _is_own_trace(self, grant: Grant, trace: Found) -> bool:
        return await self._is_own(grant, trace.get("tags") or {}, (trace.get("trace_metadata") or {}).get(SOURCE_RUN))

    async def _is_own(self, grant: Grant, tags: Mapping[str, Any], run_id: Any) -> bool:
        """Return whether it has the job's tag or, without such a tag, is of a run of the job's."""
        if job := _job(tags):
            return job == grant.job_id
        return bool(run_id) and await self.owns(grant, Thing(Kind.RUN, str(run_id)))

    async def _owns_dataset(self, grant: Grant, dataset_id: str) -> bool:
        said = await self._get(f"{API_3}/datasets/{quote(dataset_id, safe='')}")
        dataset = (said or {}).get("dataset") or {}
        try:
            tags = parse(dataset.get("tags") or "{}")
        except Unfit:
            return False
        return dataset.get("dataset_id") == dataset_id and _job(tags) == grant.job_id

    async def _place(self, grant: Grant, name: str) -> Place | None:
        """Return where the thing of this name has its artifacts, if it is the job's own."""
        if place := self._places.find((grant.job_id, name)):
            return place
        thing, run_id, address = await self._look_up(grant, name)
        if not address:
            return None
        place = Place(thing, run_id, path_of(address))
        self._places.put((grant.job_id, name), place)
        return place

    async def _look_up(self, grant: Grant, name: str) -> tuple[Thing, str, str]:
        if is_model(name):
            info = await self._find_model(grant, name) or {}
            return Thing(Kind.MODEL, name), str(info.get("source_run_id") or ""), str(info.get("artifact_uri") or "")
        if name.startswith("tr-"):
            trace = await self._trace(name) or {}
            address = (trace.get("tags") or {}).get(PLACE) if await self._is_own_trace(grant, trace) else ""
            return Thing(Kind.TRACE, name), "", str(address or "")
        run, address = Thing(Kind.RUN, name), ""
        if await self.owns(grant, run):
            said = ((await self._get(f"{API}/runs/get", {"run_id": name})) or {}).get("run") or {}
            address = str((said.get("info") or {}).get("artifact_uri") or "")
        return run, name, address

    async def _get(self, path: str, query: Mapping[str, str] | None = None) -> Found | None:
        answer = await self._mlflow.ask("GET", path, query=query)
        return answer.said if answer.status == HTTPStatus.OK and isinstance(answer.said, dict) else None


def path_of(address: str) -> str:
    """Return the path in the server's storage; for an address elsewhere, the address without what is no path."""
    parts = urlsplit(address)
    path = unquote(parts.path).strip("/")
    return path if parts.scheme == "mlflow-artifacts" else f"{parts.scheme}://{parts.netloc}/{path}"


def is_model(name: str) -> bool:
    """Return whether this is the id of a logged model, and not that of a run."""
    return name.startswith("m-")


def _pairs(tags: Any) -> dict[str, Any]:
    return {each["key"]: each.get("value") for each in tags or () if isinstance(each, dict) and "key" in each}


def _job(tags: Mapping[str, Any]) -> str:
    return str(tags.get(JOB_TAG) or "")
