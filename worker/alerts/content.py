"""Composes the parts of an alert, which each channel arranges in its own way; secrets are masked in all of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from shared.alerts.model import AlertEvent
from shared.jobs.model import Job
from shared.links import Links
from shared.requests.retrain_request import with_defaults
from shared.secrets.redactor import Redactor
from worker.alerts.advice import ADVICE
from worker.alerts.models import ModelTexts
from worker.alerts.seam import News
from worker.alerts.text import last_lines, printable

NAME_CHARACTERS, TEXT_CHARACTERS, CAUSE_CHARACTERS = 200, 250, 1000
METRICS_SHOWN = 6
SHA_CHARACTERS = 12
TITLES = {
    AlertEvent.STARTED: "training started",
    AlertEvent.RETRYING: "failed, and is tried again",
    AlertEvent.SUCCEEDED: "succeeded",
    AlertEvent.FAILED: "failed",
    AlertEvent.CANCELLED: "cancelled",
    AlertEvent.ADOPTED: "goes on under another worker",
    AlertEvent.TRIGGER_PAUSED: "failed once too often; its trigger is paused",
}


@dataclass(frozen=True)
class Content:
    """The parts of one alert. ``shown`` makes users' text harmless for the channel, on one line of that size."""

    news: News
    links: Links
    redactor: Redactor
    shown: Callable[[str, int], str]

    @property
    def title(self) -> str:
        """What happened to which model."""
        if texts := self._of_model:
            return texts.title
        job = self._job
        return f"{self._text(job.model_name or job.experiment_name, NAME_CHARACTERS)}: {TITLES[self.news.alert.event]}"

    @property
    def origin(self) -> str:
        """The job and its attempt, or the promotion."""
        texts = self._of_model
        return texts.origin if texts else f"job {self._job.id}, attempt {self.news.alert.attempt}"

    def told(self) -> Iterator[tuple[str, str]]:
        """Yield the texts, each with a label or an empty one."""
        if texts := self._of_model:
            yield from texts.told()
        match self.news.alert.event:
            case AlertEvent.RETRYING:
                yield from self._cause()
                yield "", f"The next attempt follows in {_duration(self.news.alert.retry_in_seconds or 0)}."
            case AlertEvent.FAILED:
                yield from self._cause()
                if self.news.reason and (advice := ADVICE.get(self.news.reason.code)):
                    yield "What to do:", advice
            case AlertEvent.SUCCEEDED:
                reason = self._mapping("decision").get("reason") or "No decision about a champion was made."
                yield "", self._text(reason, CAUSE_CHARACTERS)
                yield from self._cause()  # a step that failed all the same
            case AlertEvent.CANCELLED if self.news.reason:
                yield "", self._text(self.news.reason.message, CAUSE_CHARACTERS)
            case AlertEvent.TRIGGER_PAUSED:
                name = self._text(self._job.trigger_name or "")
                yield "", f"Trigger {name} fires no more. Mend what fails, then: retrain triggers resume {name}"
                yield from self._cause()
            case AlertEvent.ADOPTED:
                yield "", "Its worker died; the training went on, and another worker supervises it now."

    def fields(self) -> Iterator[tuple[str, str]]:
        """Yield names and values; a value may be empty, or have several lines."""
        if texts := self._of_model:
            yield from texts.fields()
            return
        attempt = self.news.attempt
        yield "Experiment", self._text(self._job.experiment_name)
        yield "Model", self._model()
        yield "Commit", self._commit()
        yield "Host", self._text(attempt.host) if attempt else ""
        yield "Triggered by", self._text(self._job.trigger_name or "")
        if attempt and attempt.ended_at:
            yield "Duration", _duration((attempt.ended_at - attempt.started_at).total_seconds())
        if self.news.alert.event is AlertEvent.SUCCEEDED:
            yield "Metrics", self._metrics()

    def pages(self) -> dict[str, str]:
        """Return the links by name; their addresses contain nothing that ends a link."""
        job, run_id = self.news.job, self.news.attempt.run_id if self.news.attempt else None
        if job is None:
            return {}
        page = self.links.job_page(job)
        pages = {"job": page, "log": f"{page}/log" if page else None}
        pages["MLflow run"] = self.links.run(replace(job, run_id=run_id))
        pages["card"] = self.links.card(job) if self.news.is_decided else None
        return {name: quote(url, safe=":/?#&=%@,~") for name, url in pages.items() if url}

    def log_lines(self, count: int) -> list[str]:
        """Return the last lines of a failed attempt's log, not yet made harmless."""
        if self.news.alert.event is not AlertEvent.FAILED:
            return []
        return [self.redactor.text(line) for line in last_lines(self.news.output, count)]

    @property
    def _of_model(self) -> ModelTexts | None:
        return ModelTexts(self.news.model, self.news.alert.event, self._text) if self.news.model else None

    @property
    def _job(self) -> Job:
        assert self.news.job is not None  # noqa: S101 - only what is about a model may have none
        return self.news.job

    def _text(self, value: object, limit: int = TEXT_CHARACTERS) -> str:
        return self.shown(self.redactor.text(printable(str(value))), limit)

    def _cause(self) -> Iterator[tuple[str, str]]:
        if self.news.reason:
            yield self._text(self.news.reason.code), self._text(self.news.reason.message, CAUSE_CHARACTERS)

    def _model(self) -> str:
        versions = (self._job.result or {}).get("model_versions") or []
        if self.news.alert.event is AlertEvent.SUCCEEDED and versions:
            return f"{self._text(versions[-1]['name'])}, version {self._text(versions[-1]['version'], 20)}"
        return self._text(self._job.model_name or "")

    def _commit(self) -> str:
        ref, sha = self._text(with_defaults(self._job.request)["commit_hash"]), self._job.commit_sha
        if sha is None or ref == sha:
            return ref
        return f"{sha[:SHA_CHARACTERS]} ({ref})" if ref else sha[:SHA_CHARACTERS]

    def _metrics(self) -> str:
        """Return the deciding metric with the champion's value; else the run's first few metrics."""
        decision = self._mapping("decision")
        if decision.get("metric"):
            values = (("", decision.get("challenger")), ("champion ", decision.get("champion")))
            shown = [f"{of}{self._number(value)}" for of, value in values if value is not None]
            return f"{self._text(decision['metric'], NAME_CHARACTERS)} {', '.join(shown)}".strip()
        first = sorted(self._mapping("metrics").items())[:METRICS_SHOWN]
        return "\n".join(f"{self._text(name, 100)} {self._number(value)}" for name, value in first)

    def _number(self, value: object) -> str:
        return f"{value:.6g}" if isinstance(value, int | float) else self._text(value, 50)

    def _mapping(self, name: str) -> Mapping[str, Any]:
        value = (self._job.result or {}).get(name)
        return value if isinstance(value, Mapping) else {}


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"
