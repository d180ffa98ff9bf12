"""Keeps whose a model is, in SQL."""

from typing import TYPE_CHECKING

import sqlalchemy as sa

from shared.jobs.model import NewJob
from shared.jobs.model_teams import require_model_of
from shared.sql.access.tables import model_teams
from shared.sql.engine import Database, Transaction

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql import Insert as InsertInPostgresql
    from sqlalchemy.dialects.sqlite import Insert as InsertInSqlite

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

    def assign_model(self, model: str, team: str | None) -> None:
        """Say whose the model is from now on."""
        with self.writing() as transaction:
            owned = transaction.one(OWNER, name=model)
            if owned is not None and owned.team == team:
                return
            said = {"team": team, "since": transaction.now}
            insert = _insert(transaction).values(model=model, **said)
            transaction.execute(insert.on_conflict_do_update(index_elements=["model"], set_=said))
            transaction.record_act(f"model:{model}", f"of team {team}" if team else "of no team")


def take_model(transaction: Transaction, new: NewJob, *, isolated: bool) -> None:
    """Record whose the new job's model is, unless that is known: its team's; nobody's if it has no team.

    Raise ModelOfAnotherTeam if it is not its team's, and teams are isolated.
    """
    if new.model_name is None:
        return
    owned = transaction.one(OWNER, name=new.model_name)
    if owned is None:
        insert = _insert(transaction).values(model=new.model_name, team=new.team, since=transaction.now)
        transaction.execute(insert.on_conflict_do_nothing())
        owned = transaction.one(OWNER, name=new.model_name)  # another's, if its job was first by a moment
    if isolated:
        require_model_of(new, owned.team if owned is not None else None)


def _insert(transaction: Transaction) -> "InsertInPostgresql | InsertInSqlite":
    """Return the insert of the database that is used: SQLAlchemy has loaded that one, and PostgreSQL's takes 3 MB."""
    if transaction.connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_in_postgresql  # noqa: PLC0415

        return insert_in_postgresql(model_teams)
    from sqlalchemy.dialects.sqlite import insert as insert_in_sqlite  # noqa: PLC0415

    return insert_in_sqlite(model_teams)


def _owner(transaction: Transaction, model: str) -> str | None:
    row = transaction.one(OWNER, name=model)
    return row.team if row is not None else None
