"""Train a classifier of handwritten digits on a revision of a DVC dataset, then let the gate decide."""

import argparse
import os
from hashlib import sha256
from pathlib import Path

import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score, log_loss

from mypackage import utility
from mypackage.prep_utils import data_and_model_prep

SEED = 7
METRICS = ("accuracy", "log_loss")
DATASET = Path("new_dataset")


def parse_arguments() -> argparse.Namespace:
    """Read what the MLproject passes on."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model_name", default="digits-dvc")
    parser.add_argument("--experiment_name", default="dvc-retrain")
    parser.add_argument("--lower", default="False")
    parser.add_argument("--p_metric", default="accuracy", choices=METRICS)
    parser.add_argument("--dataset_repo", required=True)
    parser.add_argument("--epochs", type=int, default=10)
    args, _ = parser.parse_known_args()
    if args.dataset_repo == "not_used":
        parser.error("this example trains on a DVC dataset: say with dataset_repo where it is, as URL or URL@rev")
    return args


def load_images(name: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the images and digits of one of the dataset's files."""
    table = pd.read_csv(DATASET / name)
    return table.drop(columns="target").to_numpy() / 16, table["target"].to_numpy()


def main() -> None:
    """Fetch the data, train, log, and pass the gate."""
    args = parse_arguments()
    if "MLFLOW_RUN_ID" not in os.environ:  # by hand: the service has made the run in its experiment already
        mlflow.set_experiment(args.experiment_name)
        mlflow.start_run()  # before the data, so that what it was is recorded there
    data_and_model_prep(str(DATASET), repo_url=args.dataset_repo, ds_origin="dvc_repo")
    train_images, train_digits = load_images("train.csv")
    test_images, test_digits = load_images("test.csv")
    print(f"training on {len(train_images)} images, testing on {len(test_images)}", flush=True)

    model = SGDClassifier(loss="log_loss", alpha=0.001, random_state=SEED)
    mlflow.log_params({"images": len(train_images), "epochs": args.epochs})
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
        # Not the dataset's own digest, which changes with every image to train on: the models are compared by these.
        eval_dataset=("digits-test", sha256((DATASET / "test.csv").read_bytes()).hexdigest()[:8]),
    )


if __name__ == "__main__":
    main()
