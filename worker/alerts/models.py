"""Composes what an alert says about a model: a champion that changed, or one that waits for a person's approval."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from shared.alerts.model import AlertEvent
from shared.jobs.promotions import CHAMPION, Kind, PromotionState
from worker.alerts.seam import ModelNews

NAME_CHARACTERS, TEXT_CHARACTERS, REASON_CHARACTERS, COMMAND_CHARACTERS = 150, 250, 700, 500
VERSION_CHARACTERS = 20
BY_HAND = "somebody, in MLflow itself"


class Shown(Protocol):
    """Makes a text harmless for the channel, without secrets, on one line of that size."""

    def __call__(self, value: object, limit: int = ..., /) -> str: ...


@dataclass(frozen=True)
class ModelTexts:
    """The texts about one line of a model's history."""

    news: ModelNews
    event: AlertEvent
    shown: Shown

    @property
    def title(self) -> str:
        """What happened to which model."""
        line = self.news.line
        model, alias = self.shown(line.model, NAME_CHARACTERS), self.shown(line.alias, NAME_CHARACTERS)
        version = f"version {self.shown(line.version, VERSION_CHARACTERS)}" if line.version else "no version"
        if self.event is AlertEvent.APPROVAL_WANTED:
            return f"{model}: {version} waits for approval"
        return f"{model}: {version} {'is champion now' if line.alias == CHAMPION else f'has the alias {alias} now'}"

    @property
    def origin(self) -> str:
        """The promotion, and its job if there is one."""
        job_id = self.news.line.job_id
        return f"promotion {self.news.promotion.id}{f', job {job_id}' if job_id else ''}"

    def told(self) -> Iterator[tuple[str, str]]:
        """Yield the texts, each with a label or an empty one: the reason, and what a person can do."""
        yield "", self.shown(self.news.line.reason, REASON_CHARACTERS)
        if self.event is AlertEvent.APPROVAL_WANTED:
            yield from self._answers()
        else:
            yield from self._changed()

    def fields(self) -> Iterator[tuple[str, str]]:
        """Yield names and values; a value may be empty."""
        line, promotion = self.news.line, self.news.promotion
        is_changed = self.event is AlertEvent.CHAMPION_CHANGED
        yield "Model", self.shown(line.model, TEXT_CHARACTERS)
        yield "Alias", "" if line.alias == CHAMPION else self.shown(line.alias, TEXT_CHARACTERS)
        yield "Version", self.shown(line.version or "none", VERSION_CHARACTERS)
        yield "Before" if is_changed else "Now", self.shown(line.before or "none", VERSION_CHARACTERS)
        yield "By", self._actor()
        yield from _numbers(promotion.decision, self.shown)
        if not is_changed and promotion.expires_at is not None:
            yield "Expires", f"{promotion.expires_at:%Y-%m-%d %H:%M} UTC"

    def _answers(self) -> Iterator[tuple[str, str]]:
        promotion = self.news.promotion
        if promotion.state is PromotionState.AWAITING_APPROVAL:
            yield "Approve:", self._command("approve", promotion.id)
            yield "Reject:", self._command("reject", promotion.id, "--reason", "…")
        else:  # told late
            state = self.shown(promotion.state.replace("_", " "), TEXT_CHARACTERS)
            yield "", f"It does not wait any more: it is {state}."

    def _changed(self) -> Iterator[tuple[str, str]]:
        line, approval = self.news.line, self.news.approval
        if approval is not None:
            by = self.shown(approval.actor, TEXT_CHARACTERS)
            yield "Approved:", f"{self.shown(approval.reason, REASON_CHARACTERS)} (by {by})"
        if line.alias == CHAMPION and line.before is not None:
            place, why = (line.model, line.before), ("--reason", "…")
            words = (*why, "--", *place) if line.model.startswith("-") else (*place, *why)  # a name is no option
            yield "Roll back:", self._command("rollback", *words)

    def _command(self, *words: str) -> str:
        """Return the command with every word quoted: a model may be named as a command for the shell."""
        return self.shown(shlex.join(("retrain", *words)), COMMAND_CHARACTERS)

    def _actor(self) -> str:
        line = self.news.line
        if line.kind is Kind.FOREIGN:
            return BY_HAND
        kind = "" if line.actor.startswith(line.kind) else f" ({line.kind})"  # a probation says it itself
        return self.shown(f"{line.actor}{kind}", TEXT_CHARACTERS)


def _numbers(decision: Mapping[str, Any], shown: Shown) -> Iterator[tuple[str, str]]:
    """Yield the metric with both values, and the gain; those measured on the same data, where there are any."""
    evidence = decision.get("evidence")
    source = evidence if isinstance(evidence, Mapping) else decision
    ours, theirs, metric = source.get("challenger"), source.get("champion"), source.get("metric")
    if metric is None:  # a rollback, or a move by hand
        return
    values = (f"{of}{_number(value, shown)}" for of, value in (("", ours), ("champion ", theirs)) if value is not None)
    yield "Metrics", f"{shown(metric, NAME_CHARACTERS)} {', '.join(values)}".strip()
    if isinstance(ours, int | float) and isinstance(theirs, int | float):
        difference = theirs - ours if decision.get("direction") == "lower_is_better" else ours - theirs
        bounds = [source.get(name) for name in ("low", "high")]
        interval = f" [{', '.join(_number(each, shown) for each in bounds)}]" if None not in bounds else ""
        yield "Gain", f"{_number(difference, shown)}{interval}"


def _number(value: object, shown: Shown) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else shown(value, 50)
