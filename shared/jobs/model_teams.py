"""Says whose a model is: the team's whose job named it first, or nobody's if that job had none."""

from typing import Protocol

from shared.access.roles import Role
from shared.errors import ModelOfAnotherTeam
from shared.jobs.model import NewJob


class ModelTeams(Protocol):
    """The record of it; submitting and firing write it, in the transaction of the job."""

    def team_of_model(self, model: str) -> str | None:
        """Return the team that the model belongs to; None for none."""

    def models_of(self, team: str) -> frozenset[str]:
        """Return the models that belong to the team."""

    def assign_model(self, model: str, team: str | None) -> None:
        """Say whose the model is from now on; None for nobody's."""


def require_model_of(new: NewJob, owner: str | None) -> None:
    """Raise ModelOfAnotherTeam if the job's model is not that of its maker's team, who is bound by one."""
    is_bound = new.team is not None and Role.ADMIN not in new.roles
    if is_bound and owner != new.team:
        raise model_of_another_team(str(new.model_name))


def model_of_another_team(model: str) -> ModelOfAnotherTeam:
    """Return the error; whose the model is, it does not tell."""
    return ModelOfAnotherTeam(
        f"Model {model!r} belongs to another team, or to none (TEAMS_ISOLATED). Choose another name, or ask an admin "
        "to assign it.",
        model=model,
    )
