"""A proposal of a model, as trainings of these tests leave it."""

from dataclasses import replace
from typing import Any

from mypackage.gate.proposal import Proposal

RUN = "run"
CHAMPION = ("iris", "champion")


def proposal(run_id: str = RUN, **values: Any) -> Proposal:
    """Return one of the version that is named like its run."""
    made = Proposal("iris", f"runs:/{run_id}/model", run_id, "accuracy", False, "champion", 1, True, version=run_id)
    return replace(made, **values)
