"""The Python client: submit a retraining, wait for it, read its log. Needs only requests, not MLflow.

from mypackage.client import Client

job = Client().retrain(experiment_name="iris", git_uri="https://github.com/user/iris.git")
print(job.wait())
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from json import dumps
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from .audit import list_audit
from .hosts import await_drained, drain, list_workers, undrain
from .http import Call, Http, past_proxies
from .job import JobHandle, job_path, submit
from .times import as_time
from .tokens import Tokens
from .triggers import Triggers

DEFAULT_URL = "http://127.0.0.1:5005"
LARGEST_PAGE = 200


class Client:
    """The service at one address. ``url`` and ``token`` default to RETRAIN_URL and RETRAIN_TOKEN."""

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        url = url or os.environ.get("RETRAIN_URL") or DEFAULT_URL
        self._http = Http(url, token or os.environ.get("RETRAIN_TOKEN"))

    def __repr__(self) -> str:
        return f"Client({self._http.url!r})"

    @property
    def triggers(self) -> Triggers:
        """The triggers, which let retrainings start by themselves."""
        return Triggers(self._http)

    @property
    def tokens(self) -> Tokens:
        """The tokens by which callers are known, for administrators."""
        return Tokens(self._http)

    def whoami(self) -> dict[str, Any]:
        """Return who you are to the service: ``name``, ``kind``, ``roles`` and ``team``."""
        answer, _ = self._http.read_object(Call("GET", "/whoami"))
        return answer

    @property
    def is_here(self) -> bool:
        """Whether the address is this machine's own, so that the service may see the same folders."""
        return bool(past_proxies(self._http.url))

    def retrain(self, /, **request: Any) -> "JobHandle":
        """Submit a retraining, with the fields of POST /retrain; return as soon as the job is recorded.

        The request carries an Idempotency-Key: it is repeated while the service does not answer, yet creates one job.
        """
        return submit(self._http, "/retrain", request)

    def job(self, job_id: str) -> "JobHandle":
        """Return the job, also by the first characters of its id; raise Refused (JOB_NOT_FOUND) if there is none."""
        record, response = self._http.read_object(Call("GET", job_path(job_id.rstrip("…"))))
        return JobHandle(self._http, record, etag=response.headers.get("ETag"))

    def jobs(  # noqa: PLR0913 - a filter each, by name
        self,
        *,
        state: str | Iterable[str] = (),
        experiment: str | None = None,
        model: str | None = None,
        trigger: str | None = None,
        submitted_by: str | None = None,
        team: str | None = None,
        label: str | None = None,
        host: str | None = None,
        commit: str | None = None,
        search: str | None = None,
        created_after: datetime | str | None = None,
        limit: int | None = None,
    ) -> Iterator["JobHandle"]:
        """Yield the jobs that match all filters, newest first, at most ``limit``; pages are read as needed.

        ``submitted_by`` is a caller's name, or me; ``label`` is a label's name, or name=value; ``commit`` the first
        characters of a SHA. ``search`` finds by any of these (``q`` of GET /jobs). These records have no transitions.
        """
        query = {
            "state": state if isinstance(state, str) else ",".join(state),
            "experiment": experiment,
            "model": model,
            "trigger": trigger,
            "submitted_by": submitted_by,
            "team": team,
            "label": label,
            "host": host,
            "commit": commit,
            "q": search,
            "created_after": as_time(created_after),
        }
        return self._pages({name: value for name, value in query.items() if value}, limit)

    def workers(self) -> list[dict[str, Any]]:
        """Return what the API says about each host's worker (GET /workers), sorted by the host's name."""
        return list_workers(self._http)

    def usage(
        self,
        *,
        by: str = "model",
        since: str | None = None,
        until: str | None = None,
        team: str | None = None,
        model: str | None = None,
        experiment: str | None = None,
        limit: int = 100,
    ) -> dict[str, Any]:
        """Return what trainings used (GET /usage): ``rows`` by model, team, experiment or month, and the ``total``."""
        query = {"by": by, "since": since, "until": until, "team": team, "model": model, "experiment": experiment}
        asked = {name: value for name, value in query.items() if value}
        report, _ = self._http.read_object(Call("GET", "/usage", {**asked, "limit": limit}))
        return report

    def drain(self, host: str, reason: str = "") -> dict[str, Any]:
        """Let a host take nothing new, such as before its maintenance; what runs there goes on.

        Returns what the API says about its worker. Raises Refused with the code HOST_NOT_FOUND if there is none.
        """
        return drain(self._http, host, reason)

    def undrain(self, host: str) -> dict[str, Any]:
        """Let a host take new attempts again."""
        return undrain(self._http, host)

    def await_drained(self, host: str, timeout: float | None = None) -> dict[str, Any]:
        """Return, as drain does, once nothing runs on a drained host; raise WaitTimeout after ``timeout`` seconds."""
        return await_drained(self._http, host, timeout)

    def test_alerts(self, to: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """Send a test message to these alert channels; by default, to those of a job that names none.

        Returns for each its ``channel``, the ``outcome`` (sent, refused, not_now, no_worker, no_answer), and the
        ``cause``.
        """
        body = {} if to is None else {"to": list(to)}
        answer, _ = self._http.read_object(Call("POST", "/alerts/test", body=dumps(body)))
        return list(answer["results"])

    def models(self) -> list[dict[str, Any]]:
        """Return each registered model with its champion and aliases, by name (GET /models)."""
        answer, _ = self._http.read_object(Call("GET", "/models"))
        return list(answer["models"])

    def model(self, model_name: str) -> dict[str, Any]:
        """Return a model with its newest versions; raise Refused with the code MODEL_VERSION_NOT_FOUND."""
        answer, _ = self._http.read_object(Call("GET", _model_path(model_name)))
        return answer

    def model_version(self, model_name: str, version: int | str) -> dict[str, Any]:
        """Return a version with what its run has logged, and the job that made it."""
        answer, _ = self._http.read_object(Call("GET", f"{_model_path(model_name)}/versions/{version}"))
        return answer

    def history(self, model_name: str, *, alias: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
        """Return what happened to a model's versions and aliases, the newest first, at most ``limit`` events."""
        events: list[dict[str, Any]] = []
        query: dict[str, Any] = {"alias": alias} if alias else {}
        while limit is None or len(events) < limit:
            size = LARGEST_PAGE if limit is None else min(limit - len(events), LARGEST_PAGE)
            page, _ = self._http.read_object(
                Call("GET", f"{_model_path(model_name)}/history", {**query, "limit": size})
            )
            events += page["events"]
            if not page["next"]:
                break
            query["before"] = events[-1]["number"]
        return events

    def champion(
        self, model_name: str, *, at: datetime | str | None = None, alias: str | None = None
    ) -> dict[str, Any]:
        """Return who had the alias at a time, and since when; raise Refused with the code CHAMPION_UNKNOWN."""
        query = {name: value for name, value in (("at", as_time(at)), ("alias", alias)) if value}
        answer, _ = self._http.read_object(Call("GET", f"{_model_path(model_name)}/champion", query))
        return answer

    def observe(
        self,
        model_name: str,
        metric: str,
        value: float,
        *,
        version: int | str | None = None,
        at: datetime | str | None = None,
        n: int = 1,
    ) -> dict[str, Any]:
        """Report what monitoring measured of the champion; return the observation, and who is champion after it.

        ``version`` is the one that was measured, by default the champion; raises Refused with the code NOT_CHAMPION
        for any other. Repeated with the same version, metric and time ``at``, it is one observation.
        """
        said = {"metric": metric, "value": value, "version": version, "at": as_time(at), "n": n}
        body = dumps({name: each for name, each in said.items() if each is not None})
        answer, _ = self._http.read_object(Call("POST", f"{_model_path(model_name)}/observations", body=body))
        return answer

    def replay(
        self, model_name: str, rules: Mapping[str, Any], *, since: datetime | str | None = None
    ) -> dict[str, Any]:
        """Return what other rules, as in ``promotion`` of a request, would have made of the recorded decisions."""
        body = {"rules": dict(rules), **({"since": as_time(since)} if since else {})}
        answer, _ = self._http.read_object(Call("POST", f"{_model_path(model_name)}/replay", body=dumps(body)))
        return answer

    def promotion(self, promotion_id: str) -> dict[str, Any]:
        """Return one promotion; raise Refused with the code PROMOTION_NOT_FOUND."""
        answer, _ = self._http.read_object(Call("GET", f"/promotions/{quote(promotion_id, safe='')}"))
        return answer

    def approve(self, promotion_id: str, reason: str = "") -> dict[str, Any]:
        """Let a model that waits for approval become champion; return the promotion as it is then.

        If another version became champion meanwhile, it is compared with that one, and may be refused. Raises
        Refused with the code PROMOTION_SETTLED if it is over already.
        """
        return self._answer_promotion(promotion_id, "approve", reason)

    def reject(self, promotion_id: str, reason: str) -> dict[str, Any]:
        """Refuse a model that waits for approval, as `approve` grants it."""
        return self._answer_promotion(promotion_id, "reject", reason)

    def _answer_promotion(self, promotion_id: str, word: str, reason: str) -> dict[str, Any]:
        body = dumps({"reason": reason} if reason else {})
        answer, _ = self._http.read_object(
            Call("POST", f"/promotions/{quote(promotion_id, safe='')}/{word}", body=body)
        )
        return answer

    def roll_back(self, model_name: str, version: int | str, reason: str) -> dict[str, Any]:
        """Make this version of a model the champion, and record why; the old champion gets the alias previous."""
        body = dumps({"version": version, "reason": reason})
        answer, _ = self._http.read_object(Call("POST", f"{_model_path(model_name)}/champion", body=body))
        return answer

    def assign_model(self, model_name: str, team: str | None) -> dict[str, Any]:
        """Say which team the model belongs to from now on; None for none."""
        call = Call("PUT", f"{_model_path(model_name)}/team", body=dumps({"team": team}))
        answer, _ = self._http.read_object(call)
        return answer

    def audit(
        self,
        *,
        caller: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        outcome: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield who did what (GET /audit), the newest first; each entry must match all filters."""
        query = {"caller": caller, "action": action, "subject": subject, "outcome": outcome}
        query |= {"since": as_time(since), "until": as_time(until)}
        return list_audit(self._http, {name: value for name, value in query.items() if value}, limit)

    def _pages(self, query: Mapping[str, Any], limit: int | None) -> Iterator["JobHandle"]:
        cursor: dict[str, str] = {}
        while limit is None or limit > 0:
            size = LARGEST_PAGE if limit is None else min(limit, LARGEST_PAGE)
            page, _ = self._http.read_object(Call("GET", "/jobs", {**query, "limit": size, **cursor}))
            for record in page["jobs"]:
                yield JobHandle(self._http, record)
            if not page["next"]:
                return
            limit = None if limit is None else limit - size
            # Only the cursor is taken from the link: the address stays ours, even behind a proxy with another one.
            cursor = {"cursor": parse_qs(urlsplit(page["next"]).query)["cursor"][0]}


def _model_path(model_name: str) -> str:
    return f"/models/{quote(model_name, safe='')}"
