"""Uses MLflow's model registry by its REST API, because the API does not import mlflow. Nothing else calls MLflow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar

import requests

from api.http.errors import ModelVersionNotFound, RegistryUnavailable
from shared.promoting import CannotMove
from shared.settings import Settings

TIMEOUT_SECONDS = (5, 20)  # to connect, and for the answer
LOOK_SECONDS = (1, 1)
SHOWN = 5  # versions in an error
PAGE, MOST_MODELS = 200, 1000
NO_SUCH_THING = "RESOURCE_DOES_NOT_EXIST"
NO_ALIAS = "INVALID_PARAMETER_VALUE"
Told = TypeVar("Told")


@dataclass(frozen=True)
class RegisteredModel:
    """A model, and which version has which alias."""

    name: str
    aliases: Mapping[str, str]


@dataclass(frozen=True)
class ModelVersion:
    """One version of a model, with its tags."""

    version: str
    run_id: str | None
    created_at: datetime
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """What a run has logged: its parameters, and the last value of each metric; those may be NaN and infinite."""

    experiment_id: str | None
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    seconds: float | None  # None while it goes on


@dataclass(frozen=True)
class MetricPoint:
    """One value of a metric; at the same step there may be several. ``value`` may be NaN or infinite."""

    step: int
    value: float
    at: datetime


@dataclass(frozen=True)
class ModelRegistry:
    """The registry of the tracking server. Names are sent only as values, never as part of the address."""

    tracking_uri: str
    username: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, settings: Settings) -> "ModelRegistry":
        """Return the registry that the settings name."""
        password = settings.mlflow_tracking_password.get_secret_value()
        return cls(settings.mlflow_tracking_uri.rstrip("/"), settings.mlflow_tracking_username, password)

    def answers(self) -> bool:
        """Return whether the tracking server answers now, if it is a server. Takes two seconds at most."""
        if not self.tracking_uri.startswith(("http://", "https://")):
            return True
        try:
            address = f"{self.tracking_uri}/api/2.0/mlflow/registered-models/search"
            found = requests.get(
                address, {"max_results": "1"}, auth=self._login, timeout=LOOK_SECONDS, allow_redirects=False
            )
        except requests.RequestException:
            return False
        return found.status_code < HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def _login(self) -> tuple[str, str] | None:
        return (self.username, self.password) if self.username else None

    def require_version(self, model: str, version: str) -> None:
        """Raise ModelVersionNotFound unless the model has this version."""
        _version_in(self._known(model, version))

    def get_version(self, model: str, version: str) -> ModelVersion:
        """Return it; raise ModelVersionNotFound."""
        return _read(_version, _require_done(self._known(model, version)).get("model_version"))

    def find_run(self, run_id: str) -> Run | None:
        """Return what the run has logged; None if it is gone."""
        answer = self._call("GET", "runs/get", {"run_id": run_id})
        return None if answer.get("error_code") == NO_SUCH_THING else _read(_run, _require_done(answer).get("run"))

    def _known(self, model: str, version: str) -> Mapping[str, Any]:
        answer = self._call("GET", "model-versions/get", {"name": model, "version": version})
        if answer.get("error_code") in (NO_SUCH_THING, NO_ALIAS):
            raise ModelVersionNotFound(self._what_is_there(model, version), model=model, version=version)
        return answer

    def _what_is_there(self, model: str, version: str) -> str:
        found = self._call("GET", "model-versions/search", _newest_of(model, SHOWN + 1)).get("model_versions", [])
        if not found:
            return f"There is no version {version} of a model '{model}' in MLflow, nor any. GET /models lists all."
        there = [str(each["version"]) for each in found]
        more = ", …" if len(there) > SHOWN else ""
        return f"There is no version {version} of '{model}' in MLflow (it has: {', '.join(there[:SHOWN])}{more})."

    def find_version(self, model: str, alias: str) -> str | None:
        """Return the version that the alias points to."""
        answer = self._call("GET", "registered-models/alias", {"name": model, "alias": alias})
        if answer.get("error_code") in (NO_SUCH_THING, NO_ALIAS):
            return None
        return _version_in(answer)

    def list_models(self) -> Sequence[RegisteredModel]:
        """Return the models with their aliases, by name."""
        found, page = list[RegisteredModel](), ""
        while len(found) < MOST_MODELS:
            asked = {"max_results": str(PAGE), "order_by": "name ASC", **({"page_token": page} if page else {})}
            answer = _require_done(self._call("GET", "registered-models/search", asked))
            found += [_model(each) for each in answer.get("registered_models", [])]
            if not (page := str(answer.get("next_page_token") or "")):
                break
        return found

    def find_model(self, name: str) -> RegisteredModel | None:
        """Return the model with its aliases."""
        answer = self._call("GET", "registered-models/get", {"name": name})
        return None if answer.get("error_code") == NO_SUCH_THING else _model(_require_done(answer)["registered_model"])

    def list_versions(self, model: str, *, limit: int) -> Sequence[ModelVersion]:
        """Return the model's newest versions, the newest first."""
        answer = _require_done(self._call("GET", "model-versions/search", _newest_of(model, limit)))
        return [_version(each) for each in answer.get("model_versions", [])]

    def run_of(self, model: str, version: str) -> Mapping[str, Any]:
        """Return what the version's run has logged, in MLflow's form; nothing if there is no such run."""
        answer = self._call("GET", "model-versions/get", {"name": model, "version": version})
        run_id = answer.get("model_version", {}).get("run_id")
        found = self._call("GET", "runs/get", {"run_id": str(run_id)}) if run_id else {}
        data: Mapping[str, Any] = found.get("run", {}).get("data", {})
        return data

    def find_run_id(self, model: str, version: str) -> str | None:
        """Return the run that made the version; None if there is no such version, or it names none."""
        answer = self._call("GET", "model-versions/get", {"name": model, "version": version})
        return answer.get("model_version", {}).get("run_id") or None

    def last_metrics(self, run_id: str) -> Mapping[str, float]:
        """Return the last value of each of the run's metrics; none if there is no such run."""
        answer = self._call("GET", "runs/get", {"run_id": run_id})
        if answer.get("error_code") == NO_SUCH_THING:
            return {}
        found = _require_done(answer).get("run", {}).get("data", {}).get("metrics", [])
        return {str(each["key"]): float(each["value"]) for each in found if "value" in each}

    def metric_points(self, metric: str, run_ids: Sequence[str], *, limit: int) -> Mapping[str, Sequence[MetricPoint]]:
        """Return the metric's points in these runs by step; of more than ``limit``, about so many, spread evenly."""
        asked: dict[str, str | list[str]] = {"run_ids": list(run_ids), "metric_key": metric, "max_results": str(limit)}
        answer = _require_done(self._call("GET", "metrics/get-history-bulk-interval", asked))
        found = dict[str, list[MetricPoint]]()
        for each in answer.get("metrics", []):
            at = datetime.fromtimestamp(int(each.get("timestamp", 0)) / 1000, UTC)
            point = MetricPoint(int(each.get("step", 0)), float(each["value"]), at)
            found.setdefault(str(each.get("run_id", "")), []).append(point)
        return {run_id: sorted(points, key=lambda point: (point.step, point.at)) for run_id, points in found.items()}

    def move_alias(self, model: str, alias: str, version: str) -> None:
        """Point the alias to the version; raise CannotMove."""
        answer = self._call("POST", "registered-models/alias", {"name": model, "alias": alias, "version": version})
        if answer.get("error_code") in (NO_SUCH_THING, NO_ALIAS):
            raise CannotMove(f"MLflow refuses to give version {version} the alias '{alias}'")
        _require_done(answer)

    def tag_version(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of the version."""
        for key, value in tags.items():
            self._post("model-versions/set-tag", {"name": model, "version": version, "key": key, "value": value})

    def _post(self, path: str, body: Mapping[str, str]) -> None:
        _require_done(self._call("POST", path, body))

    def _call(self, method: str, path: str, values: Mapping[str, str | list[str]]) -> Mapping[str, Any]:
        """Return the answer's object, which has an error_code if refused; raise RegistryUnavailable without one."""
        sent: dict[str, Any] = {"params": values} if method == "GET" else {"json": values}
        try:
            response = requests.request(
                method,
                f"{self.tracking_uri}/api/2.0/mlflow/{path}",
                auth=self._login,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
                **sent,
            )
            answer = response.json()
        except (requests.RequestException, ValueError) as error:
            raise RegistryUnavailable(f"MLflow does not answer ({type(error).__name__}).") from error
        if not isinstance(answer, dict) or (response.status_code != HTTPStatus.OK and "error_code" not in answer):
            raise RegistryUnavailable(f"MLflow answers {response.status_code} in an unknown form.")
        return answer


def _newest_of(model: str, limit: int) -> dict[str, str]:
    quote = '"' if "'" in model else "'"
    return {"filter": f"name={quote}{model}{quote}", "max_results": str(limit), "order_by": "version_number DESC"}


def _version_in(answer: Mapping[str, Any]) -> str:
    try:
        return str(_require_done(answer)["model_version"]["version"])
    except (KeyError, TypeError) as error:
        raise RegistryUnavailable("MLflow answers, but names no version.") from error


def _model(answer: Mapping[str, Any]) -> RegisteredModel:
    aliases = {str(each["alias"]): str(each["version"]) for each in answer.get("aliases", [])}
    return RegisteredModel(str(answer["name"]), dict(sorted(aliases.items())))


def _version(answer: Mapping[str, Any]) -> ModelVersion:
    at = datetime.fromtimestamp(int(answer["creation_timestamp"]) / 1000, UTC)
    tags = {str(each["key"]): str(each.get("value", "")) for each in answer.get("tags", [])}
    return ModelVersion(str(answer["version"]), answer.get("run_id") or None, at, tags)


def _run(answer: Mapping[str, Any]) -> Run:
    about, data = answer.get("info", {}), answer.get("data", {})
    times = [int(about.get(name) or 0) for name in ("start_time", "end_time")]
    return Run(
        experiment_id=about.get("experiment_id"),
        params={str(each["key"]): str(each.get("value", "")) for each in data.get("params", [])},
        metrics={str(each["key"]): float(each["value"]) for each in data.get("metrics", [])},
        seconds=(times[1] - times[0]) / 1000 if all(times) else None,
    )


def _read(read: Callable[[Mapping[str, Any]], Told], answer: Any) -> Told:
    try:
        return read(answer)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise RegistryUnavailable("MLflow answers in an unknown form.") from error


def _require_done(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    if code := answer.get("error_code"):
        raise RegistryUnavailable(f"MLflow refuses with {code!s:.60}.")
    return answer
