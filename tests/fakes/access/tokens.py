"""The in-memory record of tokens, and of whose a model is."""

import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from shared.access.roles import Role
from shared.access.tokens import NewToken, TokenRecord
from shared.errors import TokenEnded, TokenExists, TokenNotFound
from shared.jobs.model import Job, JobState, NewJob
from shared.jobs.model_teams import require_model_of
from shared.jobs.waiting_limits import KnownQueues, is_counted, too_many
from shared.scheduling.limits import Limits
from tests.fakes.access.audit import MemoryAudit
from tests.fakes.records import Beat, Record


@dataclass
class KeptToken:
    """A token with what is not shown of it."""

    token: TokenRecord
    hash: str
    previous_hash: str | None = None
    previous_until: datetime | None = None

    def opens(self, hashed: str, now: datetime) -> bool:
        if self.token.revoked_at is not None or (self.token.expires_at is not None and self.token.expires_at <= now):
            return False
        is_previous = hashed == self.previous_hash and self.previous_until is not None and self.previous_until > now
        return hashed == self.hash or is_previous


class MemoryTokens(MemoryAudit):
    """The part of the MemoryStore about tokens."""

    _tokens: dict[str, KeptToken]

    def _transaction(self) -> AbstractContextManager[datetime]:
        raise NotImplementedError

    def create_token(self, new: NewToken) -> TokenRecord:
        with self._transaction() as now:
            if new.name in self._tokens:
                raise TokenExists(f"There was a token {new.name!r} already.", token=new.name)
            seconds = new.expires_in_seconds
            expires = now + timedelta(seconds=seconds) if seconds is not None else None
            facts: dict[str, Any] = {"name": new.name, "hint": new.hint, "roles": new.roles, "team": new.team}
            times: dict[str, Any] = {"created_at": now, "expires_at": expires}
            times |= {"rotated_at": None, "revoked_at": None, "used_at": None}
            token = TokenRecord(id=str(uuid.uuid4()), created_by=new.created_by, **facts, **times)
            self._tokens[new.name] = KeptToken(token, new.hash)
            self._record_act(f"token:{new.name}", now)
            return token

    def find_token(self, hashed: str) -> TokenRecord | None:
        with self._transaction() as now:
            for kept in self._tokens.values():
                if kept.opens(hashed, now):
                    if kept.token.used_at is None or now - kept.token.used_at > timedelta(minutes=1):
                        kept.token = replace(kept.token, used_at=now)
                    return kept.token
            return None

    def get_token(self, name: str) -> TokenRecord:
        with self._transaction():
            return self._kept_token(name).token

    def rotate_token(self, name: str, *, hashed: str, hint: str, overlap_seconds: float) -> TokenRecord:
        with self._transaction() as now:
            kept = self._kept_token(name)
            if not kept.opens(kept.hash, now):
                raise TokenEnded.of(name)
            kept.previous_hash, kept.previous_until = kept.hash, now + timedelta(seconds=overlap_seconds)
            kept.hash, kept.token = hashed, replace(kept.token, hint=hint, rotated_at=now)
            self._record_act(f"token:{name}", now)
            return kept.token

    def revoke_token(self, name: str) -> TokenRecord:
        with self._transaction() as now:
            kept = self._kept_token(name)
            if kept.token.revoked_at is None:
                kept.token = replace(kept.token, revoked_at=now)
                self._record_act(f"token:{name}", now)
            return kept.token

    def _kept_token(self, name: str) -> KeptToken:
        if name not in self._tokens:
            raise TokenNotFound(f"There is no token {name!r}.", token=name)
        return self._tokens[name]

    def list_tokens(self) -> Sequence[TokenRecord]:
        with self._transaction():
            return [self._tokens[name].token for name in sorted(self._tokens)]

    def has_admin_token(self) -> bool:
        with self._transaction() as now:
            kept = self._tokens.values()
            return any(Role.ADMIN in each.token.roles and each.opens(each.hash, now) for each in kept)


class MemoryModelTeams(MemoryAudit):
    """The part of the MemoryStore about whose models are."""

    _model_teams: dict[str, str | None]
    teams_isolated: bool

    def _transaction(self) -> AbstractContextManager[datetime]:
        raise NotImplementedError

    def team_of_model(self, model: str) -> str | None:
        with self._transaction():
            return self._model_teams.get(model)

    def models_of(self, team: str) -> frozenset[str]:
        with self._transaction():
            return frozenset(model for model, owner in self._model_teams.items() if owner == team)

    def assign_model(self, model: str, team: str | None) -> None:
        with self._transaction() as now:
            if model not in self._model_teams or self._model_teams[model] != team:
                self._model_teams[model] = team
                self._record_act(f"model:{model}", now, f"of team {team}" if team else "of no team")

    def _take_model(self, new: NewJob) -> None:
        if new.model_name is None:
            return
        owner = self._model_teams.setdefault(new.model_name, new.team)
        if self.teams_isolated:
            require_model_of(new, owner)


class MemoryQueues:
    """The part of the MemoryStore about what waits."""

    limits: Limits
    _records: dict[str, Record]
    _beats: dict[str, Beat]

    def _transaction(self) -> AbstractContextManager[datetime]:
        raise NotImplementedError

    def known_queues(self) -> KnownQueues:
        with self._transaction():
            served = {name for beat in self._beats.values() for name in beat.said.queues}
            return KnownQueues(frozenset(served), frozenset(job.queue for job in self._queued()))

    def _require_room(self, new: NewJob) -> None:
        most, mine = (
            self.limits.waiting_per_caller,
            [job for job in self._queued() if job.submitted_by == new.submitted_by],
        )
        if most is not None and is_counted(new) and len(mine) >= most:
            raise too_many(new, most)

    def _queued(self) -> list[Job]:
        return [record.job for record in self._records.values() if record.job.state is JobState.QUEUED]
