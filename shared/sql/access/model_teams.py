"""Keeps whose a model is, in SQL."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as insert_in_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_in_sqlite

from shared.jobs.model import NewJob
from shared.jobs.model_teams import require_model_of
from shared.sql.access.tables import model_teams
from shared.sql.engine import Database, Transaction

OWNER = sa.select(model_teams.c.team).where(model_teams.c.model == sa.bindparam("name"))


class ModelTeams(Database):
    """The part of the JobStore about whose models are."""

    def team_of_model(self, model: str) -> str | None:
        """Return the team that the model belongs to."""
        with self.reading() as transaction:
            return _owner(transaction, model)

    def models_of(self, team: str) -> frozenset[str]:
        """Return the models that belong to the team."""
        with self.reading() as transaction:
            return frozenset(
                row.model for row in transaction.all(sa.select(model_teams.c.model).where(model_teams.c.team == team))
            )


def take_model(transaction: Transaction, new: NewJob, *, isolated: bool) -> None:
    """Record that the new job's model is its team's, unless it is a team's already.

    Raise ModelOfAnotherTeam if it is another's, and teams are isolated.
    """
    if new.model_name is None or new.team is None:
        return
    owner = _owner(transaction, new.model_name)
    if owner is None:
        insert = insert_in_postgresql if transaction.connection.dialect.name == "postgresql" else insert_in_sqlite
        mine = {"model": new.model_name, "team": new.team, "since": transaction.now}
        transaction.execute(insert(model_teams).values(**mine).on_conflict_do_nothing())
        owner = _owner(transaction, new.model_name)  # another's, if its job was first by a moment
    if isolated:
        require_model_of(new, owner)


def _owner(transaction: Transaction, model: str) -> str | None:
    row = transaction.one(OWNER, name=model)
    return str(row.team) if row is not None else None
