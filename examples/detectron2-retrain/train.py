"""Train an object detector with detectron2 on a COCO dataset, then let the gate decide about its best checkpoint."""

import argparse
import json
import math
import os
from pathlib import Path
from typing import Any

import coco
import configuration
import mlflow
import saved_model
import trainer
from metrics import flatten, loggable, metric_names, source_of

from mypackage import utility
from mypackage.prep_utils import base_model_path, data_and_model_prep

DATASET, OUTPUT = Path("new_dataset"), Path("output")
ADDRESSES = Path("data_uri.json")
ORIGINS = ("dvc_repo", "http", "azure_blob", "local")
NOT_USED = "not_used"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read what the MLproject passes on."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model_name", default="detector")
    parser.add_argument("--experiment_name", default="detectron2-retrain")
    parser.add_argument("--lower", default="False")
    parser.add_argument("--p_metric", default="mAP")
    parser.add_argument("--base_model", default="None")
    parser.add_argument("--dataset_repo", default=NOT_USED)
    parser.add_argument("--dataset_origin", default="dvc_repo", choices=ORIGINS)
    parser.add_argument("--config", default="COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--images_per_batch", type=int, default=4)
    parser.add_argument("--learning_rate", type=float, default=0.001)
    parser.add_argument("--log_every", type=int, default=20)
    args, _ = parser.parse_known_args(arguments)
    if utility.is_lower_better(args.lower):
        parser.error("every metric of this example is an AP, which is better when it is higher: leave lower_is_better")
    if args.dataset_repo == NOT_USED and not (args.dataset_origin == "http" and ADDRESSES.exists()):
        parser.error("this example trains on a dataset in COCO's format: say with dataset_repo where it is")
    return args


def fetch_dataset(address: str, origin: str) -> coco.Dataset:
    """Bring the dataset that the request names, or the archive that the project's own data_uri.json does."""
    if origin == "http" and address != NOT_USED:
        ADDRESSES.write_text(json.dumps({"dataset": address}))
    data_and_model_prep(str(DATASET), repo_url=address, ds_origin=origin)
    return coco.open_dataset(DATASET)


def require_metric(metric: str, dataset: coco.Dataset) -> None:
    """End here rather than after the training."""
    known = metric_names(dataset.classes)
    if metric not in known:
        raise SystemExit(f"primary_metric is '{metric}'; on this dataset it must be one of: {', '.join(known)}.")


def configure(args: argparse.Namespace, dataset: coco.Dataset) -> Any:
    """Return detectron2's configuration, starting from the base model where there is one, and log it."""
    base = base_model_path(args.base_model)
    changes = configuration.overrides(args, dataset, OUTPUT)
    cfg = configuration.build(args.config, saved_model.find_weights(Path(base)) if base else None, changes)
    mlflow.log_params({"config": args.config, "WEIGHTS": cfg.MODEL.WEIGHTS, **changes})
    return cfg


def main() -> None:
    """Fetch the data, train, evaluate the best checkpoint on the test images, and pass the gate."""
    args = parse_arguments()
    if "MLFLOW_RUN_ID" not in os.environ:  # by hand: the service has made the run in its experiment already
        mlflow.set_experiment(args.experiment_name)
        mlflow.start_run()  # before the data, so that what it was is recorded there
    dataset = fetch_dataset(args.dataset_repo, args.dataset_origin)
    require_metric(args.p_metric, dataset)
    print(", ".join(f"{split.name}: {len(split.images)} images" for split in dataset.splits), flush=True)

    coco.register(dataset)
    cfg = configure(args, dataset)
    trained = trainer.train(cfg, metric=source_of(args.p_metric), log_every=args.log_every)
    weights = trainer.choose_checkpoint(OUTPUT)
    metrics = flatten(trainer.evaluate(trained, weights, dataset.test.registered_name))
    mlflow.log_metrics(loggable(metrics))
    value = metrics.get(args.p_metric, math.nan)  # without any box found, detectron2 names no classes
    print(f"{weights.name} on the test images: {args.p_metric} {value:.2f}", flush=True)

    utility.auto_compare_and_register(
        model=saved_model.write(OUTPUT, weights=weights, config=cfg.dump(), classes=dataset.classes),
        eval_metric=value,
        model_name=args.model_name,
        lower=args.lower,
        p_metric=args.p_metric,
        client=mlflow.tracking.MlflowClient(),
        mlflow_model=saved_model,
        # Of the test images only: those to train on are others with each retraining, and models are compared by these.
        eval_dataset=("coco-test", dataset.test.digest),
    )


if __name__ == "__main__":
    main()
