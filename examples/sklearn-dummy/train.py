"""Train a classifier of handwritten digits, then let the gate decide whether it becomes the champion."""

import argparse
import os
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
from mypackage.prep_utils import base_model_path

SEED = 7
METRICS = ("accuracy", "log_loss")


def parse_arguments() -> argparse.Namespace:
    """Read what the MLproject passes on; without arguments, what its defaults are."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model_name", default="digits")
    parser.add_argument("--experiment_name", default="sklearn-dummy")
    parser.add_argument("--lower", default="False")
    parser.add_argument("--p_metric", default="accuracy", choices=METRICS)
    parser.add_argument("--base_model", default="None")
    parser.add_argument("--dataset_repo", default="not_used")
    parser.add_argument("--alpha", type=float, default=0.001)
    parser.add_argument("--l1_ratio", type=float, default=0.15)
    parser.add_argument("--epochs", type=int, default=10)
    args, _ = parser.parse_known_args()
    if args.dataset_repo != "not_used":
        parser.error("this example trains on scikit-learn's own digits: leave dataset_repo at 'not_used'")
    return args


def load_data() -> list[NDArray[np.float64]]:
    """Return the same split every time, so that two models are compared on the same data."""
    images, digits = load_digits(return_X_y=True)
    split: list[NDArray[np.float64]] = train_test_split(
        images / 16, digits, test_size=0.25, random_state=SEED, stratify=digits
    )
    return split


def start_model(args: argparse.Namespace) -> SGDClassifier:
    """Return a new classifier, or the base model to train further."""
    path = base_model_path(args.base_model)
    if path is None:
        model = SGDClassifier(loss="log_loss", penalty="elasticnet", random_state=SEED)
    else:
        model = mlflow.sklearn.load_model(path)
    return model.set_params(alpha=args.alpha, l1_ratio=args.l1_ratio)


def main() -> None:
    """Train, log, and pass the gate."""
    args = parse_arguments()
    if "MLFLOW_RUN_ID" not in os.environ:  # by hand: the service has made the run in its experiment already
        mlflow.set_experiment(args.experiment_name)
    train_images, test_images, train_digits, test_digits = load_data()
    print(f"training on {len(train_images)} images, testing on {len(test_images)}", flush=True)

    model = start_model(args)
    mlflow.log_params({"alpha": args.alpha, "l1_ratio": args.l1_ratio, "epochs": args.epochs})
    metrics: dict[str, float] = {}
    for epoch in range(1, args.epochs + 1):
        model.partial_fit(train_images, train_digits, classes=np.arange(10))
        metrics = {
            "accuracy": accuracy_score(test_digits, model.predict(test_images)),
            "log_loss": log_loss(test_digits, model.predict_proba(test_images)),
        }
        mlflow.log_metrics(metrics, step=epoch)
        print(f"epoch {epoch}/{args.epochs}: accuracy {metrics['accuracy']:.4f}", flush=True)

    utility.auto_compare_and_register(
        model=model,
        eval_metric=metrics[args.p_metric],
        model_name=args.model_name,
        lower=args.lower,
        p_metric=args.p_metric,
        client=mlflow.tracking.MlflowClient(),
        mlflow_model=mlflow.sklearn,
        eval_dataset=("digits", sha256(test_images.tobytes() + test_digits.tobytes()).hexdigest()[:8]),
    )


if __name__ == "__main__":
    main()
