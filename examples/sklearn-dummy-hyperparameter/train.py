"""Train a classifier of handwritten digits with every combination of two parameters; the gate judges the best."""

import argparse
import os
from dataclasses import dataclass
from hashlib import sha256

import mlflow
import mlflow.sklearn
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

from mypackage import utility

SEED = 7
METRICS = ("accuracy", "log_loss")


@dataclass(frozen=True)
class Part:
    """Some of the images, and what they show."""

    images: NDArray[np.float64]
    digits: NDArray[np.int64]


@dataclass(frozen=True)
class Trial:
    """One combination's run, and what came of it; ``metrics`` are those of the validation."""

    run_id: str
    model: SGDClassifier
    params: dict[str, float]
    metrics: dict[str, float]


def numbers(text: str) -> list[float]:
    """Read a list such as 0.1,0.2."""
    return [float(each) for each in text.split(",")]


def parse_arguments() -> argparse.Namespace:
    """Read what the MLproject passes on; without arguments, what its defaults are."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model_name", default="digits-searched")
    parser.add_argument("--experiment_name", default="sklearn-dummy-hyperparameter")
    parser.add_argument("--lower", default="False")
    parser.add_argument("--p_metric", default="accuracy", choices=METRICS)
    parser.add_argument("--alphas", type=numbers, default="0.001,0.1")
    parser.add_argument("--l1_ratios", type=numbers, default="0.15,0.9")
    args, _ = parser.parse_known_args()
    return args


def load_data() -> tuple[Part, Part, Part]:
    """Return what is for training, for choosing among the trials, and for the gate: the same every time."""
    images, digits = load_digits(return_X_y=True)
    rest, test, rest_digits, test_digits = train_test_split(
        images / 16, digits, test_size=0.25, random_state=SEED, stratify=digits
    )
    train, validation, train_digits, validation_digits = train_test_split(
        rest, rest_digits, test_size=0.25, random_state=SEED, stratify=rest_digits
    )
    return Part(train, train_digits), Part(validation, validation_digits), Part(test, test_digits)


def evaluate(model: SGDClassifier, part: Part) -> dict[str, float]:
    """Return the model's metrics on these images."""
    return {
        "accuracy": accuracy_score(part.digits, model.predict(part.images)),
        "log_loss": log_loss(part.digits, model.predict_proba(part.images)),
    }


def try_out(number: int, alpha: float, l1_ratio: float, train: Part, validation: Part) -> Trial:
    """Train with one combination, in a run nested in the active one."""
    params = {"alpha": alpha, "l1_ratio": l1_ratio}
    with mlflow.start_run(run_name=f"child{number}", nested=True) as run:
        mlflow.log_params(params)
        model = SGDClassifier(loss="log_loss", penalty="elasticnet", random_state=SEED, **params)
        model.fit(train.images, train.digits)
        metrics = {f"validation_{name}": value for name, value in evaluate(model, validation).items()}
        mlflow.log_metrics(metrics)
    print(f"child{number} {params}: validation_accuracy {metrics['validation_accuracy']:.4f}", flush=True)
    return Trial(run.info.run_id, model, params, metrics)


def main() -> None:
    """Search, log the best to the parent, and pass the gate with it."""
    args = parse_arguments()
    if "MLFLOW_RUN_ID" not in os.environ:  # by hand: the service has made the run in its experiment already
        mlflow.set_experiment(args.experiment_name)
    train, validation, test = load_data()

    with mlflow.start_run(run_name="parent"):  # in the service: the job's run
        combinations = utility.get_combination(args.alphas, args.l1_ratios)
        trials = [try_out(number, *each, train, validation) for number, each in enumerate(combinations)]
        choose = min if utility.is_lower_better(args.lower) else max
        best = choose(trials, key=lambda trial: trial.metrics[f"validation_{args.p_metric}"])
        print(f"the best of {len(trials)}: {best.params}", flush=True)

        metrics = evaluate(best.model, test)
        mlflow.log_params(best.params)
        mlflow.log_metrics(best.metrics | metrics)
        mlflow.set_tag("best_child", best.run_id)
        utility.auto_compare_and_register(
            model=best.model,
            eval_metric=metrics[args.p_metric],
            model_name=args.model_name,
            lower=args.lower,
            p_metric=args.p_metric,
            client=mlflow.tracking.MlflowClient(),
            mlflow_model=mlflow.sklearn,
            eval_dataset=("digits", sha256(test.images.tobytes() + test.digits.tobytes()).hexdigest()[:8]),
        )


if __name__ == "__main__":
    main()
