"""What a card tells of a job: texts without secrets, and numbers, no more of both than fits. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.addresses.git_uri import parse_git_uri
from shared.jobs.model import Job
from shared.jobs.promotions import Promotion
from shared.links import Links
from shared.secrets.redactor import Redactor

MOST_METRICS, MOST_PARAMETERS, MOST_SLICES = 40, 100, 10
NAME_CHARACTERS, VALUE_CHARACTERS, REASON_CHARACTERS = 100, 300, 1000


@dataclass(frozen=True)
class Metric:
    """One metric of both models; None for what is not known, or not finite."""

    name: str
    ours: float | None
    theirs: float | None


@dataclass(frozen=True)
class Card:
    """A card. ``interval`` is by how much the model is better, with the bounds of that."""

    title: str
    verdict: str
    compared_with: str
    interval: tuple[float, float, float] | None
    evidence: str
    metrics: Sequence[Metric]
    facts: Sequence[tuple[str, str]]
    parameters: Sequence[tuple[str, str]]
    page: str | None


def card_of(job: Job, decided: Sequence[Promotion], redactor: Redactor, links: Links) -> Card:
    """Return the card of a job that has ended with this decision about its model, the first of ``decided``."""
    shown = _Shown(redactor)
    decision = _mapping((job.result or {}).get("decision"))
    facts = next((each.facts for each in decided if each.id == decision.get("id")), {})
    metric, champion = str(decision.get("metric") or ""), decision.get("champion_version")
    evidence = _mapping(decision.get("evidence"))
    return Card(
        title=shown(_title(job, decision), NAME_CHARACTERS),
        verdict=shown(decision.get("reason"), REASON_CHARACTERS),
        compared_with=shown(f"champion, version {champion}" if champion else "no champion before", NAME_CHARACTERS),
        interval=_interval(evidence),
        evidence=shown(_in_words(evidence), REASON_CHARACTERS),
        metrics=[
            Metric(shown(name, NAME_CHARACTERS), ours, theirs)
            for name, ours, theirs in _metrics(decision, facts, metric)
        ],
        facts=[(name, shown(value, VALUE_CHARACTERS)) for name, value in _facts(job) if value],
        parameters=[
            (shown(name, NAME_CHARACTERS), shown(value, VALUE_CHARACTERS))
            for name, value in list(_mapping(job.request.get("parameters")).items())[:MOST_PARAMETERS]
        ],
        page=links.job_page(job),
    )


@dataclass(frozen=True)
class _Shown:
    redactor: Redactor

    def __call__(self, value: object, limit: int) -> str:
        """Return the text as it may be shown: without what is invisible or changes its direction, and cut."""
        text = "".join(each if each.isprintable() else " " for each in str(value if value is not None else ""))
        text = self.redactor.text(" ".join(text.split()))
        return text if len(text) <= limit else f"{text[:limit]}…"


def _title(job: Job, decision: Mapping[str, Any]) -> str:
    model, version = decision.get("model_name") or job.model_name or job.experiment_name, decision.get("model_version")
    return f"{model}, version {version}" if version else str(model)


def _metrics(
    decision: Mapping[str, Any], facts: Mapping[str, Any], deciding: str
) -> Iterator[tuple[str, float | None, float | None]]:
    """Yield the deciding metric, and then what else both models have."""
    ours, theirs = (_mapping(_mapping(facts.get(which)).get("metrics")) for which in ("challenger", "champion"))
    if deciding:
        yield deciding, _number(decision.get("challenger")), _number(decision.get("champion"))
    others = sorted(ours, key=lambda name: (name not in theirs, name))
    for name in [each for each in others if each != deciding][: MOST_METRICS - 1]:
        yield name, _number(ours[name]), _number(theirs.get(name))


def _facts(job: Job) -> Iterator[tuple[str, object]]:
    used = _mapping((job.result or {}).get("dataset"))
    base = _mapping((job.result or {}).get("base_model"))
    yield "Job", job.id
    yield "Submitted by", job.submitted_by
    yield "Trigger", job.trigger_name
    yield "Experiment", job.experiment_name
    yield "Commit", job.commit_sha
    yield "Repository", parse_git_uri(str(job.request.get("git_uri") or "")).uri
    yield "Data", " ".join(str(used[name]) for name in ("repo", "path", "rev", "digest") if used.get(name))
    yield "Base model", " ".join(str(base[name]) for name in ("name", "version") if base.get(name))
    yield "Host", job.attempt.host
    if job.started_at and job.ended_at:
        yield "Took", f"{(job.ended_at - job.started_at).total_seconds():.0f} s"
    yield "Ended", f"{job.ended_at:%Y-%m-%d %H:%M:%S} UTC" if job.ended_at else ""


def _interval(evidence: Mapping[str, Any]) -> tuple[float, float, float] | None:
    low, middle, high = (_number(evidence.get(name)) for name in ("low", "difference", "high"))
    return (low, middle, high) if low is not None and middle is not None and high is not None else None


def _in_words(evidence: Mapping[str, Any]) -> str:
    difference, bounds = _number(evidence.get("difference")), _interval(evidence)
    if difference is None:
        return ""
    said = f"Better by {difference:+.4g}"
    if bounds:
        said += f" ({evidence.get('confidence', 0) * 100:g} % interval {bounds[0]:+.4g} to {bounds[2]:+.4g})"
    said += f", on {evidence['n']} examples" if evidence.get("n") else ""
    slices = [each for each in evidence.get("slices") or () if isinstance(each, Mapping)][:MOST_SLICES]
    worst = ", ".join(f"{each.get('column')} {each.get('value')}: {each.get('difference', 0):+.4g}" for each in slices)
    return f"{said}. Worst slices: {worst}" if worst else said


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
