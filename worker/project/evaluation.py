"""The command that evaluates models one after the other, by the project's entry point ``evaluate``. Pure."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mypackage.protocol import MLFLOW_RUN_VARIABLE, RUN_VARIABLE
from worker.project.entry_points import EntryPoint, Project, render, require_length
from worker.project.parameter_values import ParameterValue

ENTRY_POINT = "evaluate"
MODEL_URI = "model_uri"


@dataclass(frozen=True)
class Evaluand:
    """A model to evaluate, and the MLflow run in which its values are logged."""

    name: str  # for people
    uri: str
    run_id: str


LONGEST = Evaluand("the new model", f"models:/{'x' * 250}/1000000", "x" * 32)  # as MLflow bounds names


def find_evaluate(project: Project) -> EntryPoint | None:
    """Return the entry point that evaluates a model; None if the project has none that takes one."""
    found = project.entry_points.get(ENTRY_POINT)
    return found if found is not None and MODEL_URI in found.declared else None


def evaluation_command(evaluate: EntryPoint, given: Mapping[str, ParameterValue], models: Sequence[Evaluand]) -> str:
    """Return the command; its exit code has a bit for each model whose evaluation failed, the first one's lowest.

    ``given`` are the values of the training's own entry point, of which those that this one declares are used.
    """
    shared = {name: value for name, value in given.items() if name in evaluate.declared}
    lines = ["failed=0"]
    for number, model in enumerate(models):
        command = render(evaluate, {**shared, MODEL_URI: model.uri}).command
        run = " ".join(f"{name}={shlex.quote(model.run_id)}" for name in (MLFLOW_RUN_VARIABLE, RUN_VARIABLE))
        lines.append(f"echo {shlex.quote(heading(model))}")
        # In a shell of its own, so that an `exit` in it ends only this evaluation.
        lines.append(f'{run} "${{BASH:-sh}}" -c {shlex.quote(command)} || failed=$((failed + {1 << number}))')
    return require_length("\n".join([*lines, "exit $failed"]), evaluate)


def check_evaluation(evaluate: EntryPoint, given: Mapping[str, ParameterValue]) -> None:
    """Raise what would go wrong hours later, when the training has ended and its model and the champion are known."""
    evaluation_command(evaluate, given, [LONGEST, LONGEST])


def heading(model: Evaluand) -> str:
    """Return the line of output before a model's own."""
    return f"[evaluate] {model.name} ({model.uri})"
