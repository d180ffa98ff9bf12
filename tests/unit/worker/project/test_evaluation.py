"""The command that evaluates models: run by a real shell."""

import subprocess

import pytest

from shared.errors import UserError
from worker.project.entry_points import EntryPoint, Parameter, Project
from worker.project.evaluation import Evaluand, check_evaluation, evaluation_command, find_evaluate

MODELS = [Evaluand("the new model", "models:/m-1", "run1"), Evaluand("the champion", "models:/iris/3", "run2")]
URI = Parameter("model_uri")


def evaluate(command: str, *parameters: Parameter) -> EntryPoint:
    return EntryPoint("evaluate", command, (URI, *parameters))


def run(command: str) -> tuple[int, str]:
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stdout


def test_each_model_is_evaluated_in_its_own_run() -> None:
    command = evaluation_command(evaluate("echo $MLFLOW_RUN_ID $RETRAIN_RUN_ID {model_uri}"), {}, MODELS)
    assert run(command) == (
        0,
        "[evaluate] the new model (models:/m-1)\nrun1 run1 models:/m-1\n"
        "[evaluate] the champion (models:/iris/3)\nrun2 run2 models:/iris/3\n",
    )


@pytest.mark.parametrize(("failing", "code"), [("models:/m-1", 1), ("models:/iris/3", 2), ("*", 3), ("none", 0)])
def test_the_exit_code_says_which_evaluation_failed(failing: str, code: int) -> None:
    command = evaluation_command(evaluate(f"case {{model_uri}} in {failing}) exit 7;; esac"), {}, MODELS)
    assert run(command)[0] == code


def test_it_gets_those_values_of_the_training_that_it_declares() -> None:
    declared = evaluate("echo {model_uri} {data}", Parameter("data"), Parameter("seed", "int", "3"))
    assert (
        "\nmodels:/m-1 'a b'\n".replace("'", "")
        in run(evaluation_command(declared, {"data": "a b", "epochs": "3"}, MODELS))[1]
    )
    with pytest.raises(UserError, match="'evaluate' needs a value for data"):
        evaluation_command(declared, {"epochs": "3"}, MODELS)


def test_values_that_are_too_long_for_both_models_are_refused_before_the_training() -> None:
    declared = evaluate("echo {model_uri} {data}", Parameter("data"))
    check_evaluation(declared, {"data": "x" * 60_000})
    with pytest.raises(UserError, match="'evaluate' is longer than"):
        check_evaluation(declared, {"data": "x" * 65_000})
    evaluation_command(declared, {"data": "x" * 65_000}, MODELS[:1])


def test_hostile_values_are_never_run() -> None:
    hostile = "'; touch /tmp/never; echo '$(touch /tmp/never)\"`touch /tmp/never`"
    models = [Evaluand(hostile, hostile, "run1")]
    code, output = run(evaluation_command(evaluate("printf %s {model_uri}"), {}, models))
    assert (code, output) == (0, f"[evaluate] {hostile} ({hostile})\n{hostile}")


def test_an_entry_point_of_that_name_for_something_else_is_left_alone() -> None:
    other = EntryPoint("evaluate", "python evaluate.py")
    assert find_evaluate(Project("iris", entry_points={"evaluate": other})) is None
    ours = evaluate("true")
    assert find_evaluate(Project("iris", entry_points={"evaluate": ours})) == ours
