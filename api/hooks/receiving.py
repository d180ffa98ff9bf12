"""Finds the triggers that wait for what was sent and whose secret its sender knows, and reports it to them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from api.hooks import pushes, registry_changes
from api.hooks.proofs import Proof
from api.hooks.pushes import Delivery
from api.hooks.refusals import Refusals
from api.hooks.registry_changes import RegistryDelivery
from api.hooks.sent import Sent
from api.http.errors import NotSigned
from shared.access.acts import acting_as
from shared.access.callers import signer
from shared.errors import ConfigurationError, TriggerNotFound
from shared.jobs.store import JobStore
from shared.jobs.triggers import Kind, Occurrence, Outcome, Trigger, TriggerEvent
from shared.secrets.vault import Vault
from shared.triggers.fields import When
from shared.triggers.patterns import matches
from shared.triggers.records import when_of

WRONG, OLD, UNREADABLE = "signature wrong", "signature too old", "its secret was encrypted under another SECRET_KEY"
NOT_SIGNED = "It is not signed by the secret of any trigger that waits for it, or it was signed too long ago."
SMALL_BYTES = 64 * 1024  # of what is checked against all secrets: whoever knows one is told that nothing waits for it


@dataclass(frozen=True)
class Result:
    """What became of it at one trigger."""

    trigger: str
    outcome: Outcome
    reason: str
    event: int | None = None

    @classmethod
    def of(cls, event: TriggerEvent) -> "Result":
        """Return what the store says."""
        return cls(event.trigger, event.outcome, event.reason, event.number)


@dataclass(frozen=True)
class Receiver:
    """What is used to receive."""

    store: JobStore
    vault: Vault
    refusals: Refusals

    def proven(self, proofs: Sequence[Proof], sealed: bytes) -> str:
        """Return an empty text if one of the proofs is by this secret, or why none is."""
        try:
            secret = self.vault.open_text(sealed)
        except ConfigurationError:
            return UNREADABLE
        right = [each.is_old for each in proofs if each.is_by(secret)]
        return "" if False in right else OLD if right else WRONG

    def report(self, name: str, occurrence: Occurrence) -> Result | None:
        """Report it; None if the trigger was deleted meanwhile."""
        try:
            with acting_as(signer(name)):
                return Result.of(self.store.report(name, occurrence))
        except TriggerNotFound:
            return None


def receive_push(by: Receiver, sent: Sent, delivery: Delivery) -> tuple[Sequence[Result], str]:
    """Report a push to the triggers that wait for it; return what became of it, or why nothing did.

    Raises NotSigned, which tells nobody which triggers there are.
    """

    def waits(when: When) -> bool:
        pattern = pushes.as_name(when.git.repository) if when.git else ""
        return any(matches(pattern, name) for name in delivery.repositories)

    triggers = _signed_by_sender(by, sent, Kind.GIT, delivery.proofs, waits)
    push = delivery.push
    if push is None:
        return (), delivery.nothing
    facts = {"branch": push.branch, "commit": push.commit, "repository": min(delivery.repositories, default="")}
    facts |= {"by": push.by} if push.by else {}
    occurrence = Occurrence(delivery.key, sent.at, push.branch, facts, changes={"commit_hash": push.commit})
    return _reported(
        by, triggers, occurrence, lambda when: _other_branch(when, push.branch)
    ), "" if triggers else "no trigger waits for this repository"


def receive_change(by: Receiver, sent: Sent, delivery: RegistryDelivery) -> tuple[Sequence[Result], str]:
    """Report a change of the registry, as ``receive_push`` does."""
    change = delivery.change

    def waits(when: When) -> bool:
        return change is not None and when.registry is not None and matches(when.registry.model, change.model)

    triggers = _signed_by_sender(by, sent, Kind.REGISTRY, delivery.proofs, waits)
    if change is None:
        return (), delivery.nothing
    alias = {"alias": change.alias} if change.alias else {}
    facts = {"model": change.model, "version": change.version, **alias}
    occurrence = Occurrence(delivery.key, sent.at, f"{change.model}@{change.alias}"[:500], facts)
    reason = "" if triggers else "no trigger waits for this model"
    return _reported(by, triggers, occurrence, lambda when: _other_change(when, change)), reason


def _signed_by_sender(
    by: Receiver, sent: Sent, kind: Kind, proofs: Sequence[Proof], waits: Callable[[When], bool]
) -> Sequence[tuple[Trigger, When]]:
    """Return the triggers that wait for it and whose secret the sender knows; raise NotSigned if it knows none."""
    if not proofs:
        raise NotSigned(NOT_SIGNED)
    known = [(trigger, when_of(trigger.when), sealed) for trigger, sealed in by.store.hook_secrets(kind)]
    waiting = [each for each in known if waits(each[1])]
    found = [(trigger, when, by.proven(proofs, sealed)) for trigger, when, sealed in waiting]
    right = [(trigger, when) for trigger, when, problem in found if not problem]
    _note(by, sent, [each for each in found if each[2] == UNREADABLE])
    if right or (len(sent.body) <= SMALL_BYTES and any(not by.proven(proofs, sealed) for _, _, sealed in known)):
        return right
    _note(by, sent, found)
    raise NotSigned(NOT_SIGNED)


def _note(by: Receiver, sent: Sent, found: Sequence[tuple[Trigger, When, str]]) -> None:
    for trigger, _, problem in found:
        by.refusals.note(trigger.name, Occurrence("", sent.at), problem)


def _reported(
    by: Receiver,
    triggers: Sequence[tuple[Trigger, When]],
    occurrence: Occurrence,
    other: Callable[[When], str],
) -> Sequence[Result]:
    results = []
    for trigger, when in triggers:
        if reason := other(when):
            results.append(Result(trigger.name, Outcome.SKIPPED, reason))
        elif result := by.report(trigger.name, occurrence):
            results.append(result)
    return results


def _other_branch(when: When, branch: str) -> str:
    if when.git and any(matches(pattern, branch) for pattern in when.git.branches):
        return ""
    return "the branch is none of its branches"


def _other_change(when: When, change: registry_changes.RegistryChange) -> str:
    wish = when.registry
    if wish is None or wish.event != change.event:
        return "it waits for another event"
    if wish.event == "alias_moved" and wish.alias not in (None, change.alias):
        return "it waits for another alias"
    return ""
