"""What a store of triggers promises. Every method is one transaction; each may raise StoreUnavailable."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from shared.jobs.model import NewJob
from shared.jobs.triggers import (
    Due,
    Kind,
    NewTrigger,
    Occurrence,
    Pause,
    Settled,
    Settlement,
    Succeeded,
    Trigger,
    TriggerEvent,
    Verdict,
)


class Triggers(Protocol):
    """The record of triggers and of what happened to them."""

    def create_trigger(self, new: NewTrigger) -> Trigger:
        """Record it; raise TriggerExists if the name is taken."""

    def change_trigger(self, name: str, new: NewTrigger, *, version: int | None = None) -> Trigger:
        """Replace what its author wrote; what it has seen, and what waits, stays if ``when`` does.

        The credentials are replaced, with None too; a hook_secret that is None stays.

        Raises TriggerNotFound, or TriggerChanged if it has another version than that.
        """

    def delete_trigger(self, name: str) -> None:
        """Delete it with its events; its jobs stay. Raise TriggerNotFound."""

    def get_trigger(self, name: str) -> Trigger:
        """Return it, or raise TriggerNotFound."""

    def list_triggers(self, kind: Kind | None = None) -> Sequence[Trigger]:
        """Return all, by name."""

    def pause_trigger(self, name: str, *, reason: str) -> Trigger:
        """Let it fire nothing until it is resumed; again changes only the reason. Raise TriggerNotFound."""

    def resume_trigger(self, name: str) -> Trigger:
        """Let it fire again, for what happens from now on; what still waits is skipped. Raise TriggerNotFound."""

    def pause_triggers(self, *, reason: str) -> Pause:
        """Let no trigger fire; again changes only the reason."""

    def resume_triggers(self) -> None:
        """Let those fire that are not paused themselves, for what happens from now on."""

    def triggers_pause(self) -> Pause | None:
        """Return since when none fires."""

    def hook_secrets(self, kind: Kind) -> Sequence[tuple[Trigger, bytes]]:
        """Return the triggers of a kind whose senders sign, with the encrypted secrets; paused ones too."""

    def secret_of_trigger(self, name: str) -> bytes | None:
        """Return the template's encrypted credentials. Raise TriggerNotFound."""

    def report(
        self, name: str, occurrence: Occurrence, *, noted: Verdict | None = None, besides: Sequence[str] = ()
    ) -> TriggerEvent:
        """Record what was sent: for a worker, or as skipped while it is paused; with a verdict only note that.

        ``besides`` are keys of what was told in one message with it: of those that are new one fires, the others are
        skipped. If none is new, the first one's event is the answer. What is noted has no key, and the same again is
        counted up. Raise TriggerNotFound.
        """

    def fire_trigger(self, name: str, occurrence: Occurrence, new: NewJob) -> Settled:
        """Record the job and the firing, whatever the policy says. The same key again answers the first.

        Raise TriggerNotFound.
        """

    def trigger_events(
        self, name: str, *, limit: int, before_number: int | None = None, until: datetime | None = None
    ) -> Sequence[TriggerEvent]:
        """Return what happened, the newest first. Raise TriggerNotFound."""

    def newest_trigger_events(self) -> Mapping[str, TriggerEvent]:
        """Return the newest event of each trigger that has one, by the trigger's name."""

    def take_due_trigger(self, *, lease_seconds: float, kinds: Collection[Kind] = tuple(Kind)) -> Due | None:
        """Take the trigger of these kinds that has been due longest.

        Nobody else gets it before the lease ends or it is settled.
        """

    def settle_trigger(self, due: Due, found: Settlement) -> Sequence[Settled]:
        """Record what a look found, in its order: each entry is decided by the policy as things stand then.

        Raise LeaseLost if another worker has taken it, or it was changed, paused or deleted meanwhile.
        """

    def succeeded_since(
        self,
        since: datetime,
        *,
        trigger: str | None = None,
        model: str | None = None,
        team: str | None = None,
        limit: int,
    ) -> Sequence[Succeeded]:
        """Return the jobs that succeeded after that time, the earliest first: of a trigger, model_name or team."""

    def pause_failing_triggers(self) -> Sequence[Trigger]:
        """Pause those whose last ``disable_after`` jobs have all failed, and tell it; return them."""

    def forget_trigger_events(self, *, older_than_days: float, most: int) -> int:
        """Delete old events, and those beyond the newest ``most`` of each trigger.

        What waits stays, and so do firings of the last two days and what has a time that is yet to come.
        """
