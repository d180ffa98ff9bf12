"""Train a network that reads handwritten digits, then let the gate decide whether it becomes the champion."""

import argparse
import os
from importlib.metadata import version

import handwriting
import mlflow
import mlflow.pytorch
import torch
from mlflow.models import infer_signature
from pytorch_lightning import LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import TQDMProgressBar
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from mypackage import utility

SEED = 7
METRICS = ("accuracy", "log_loss")
Batch = tuple[Tensor, Tensor]


class DigitReader(LightningModule):
    """A small convolutional network for square images of any size, and how it is trained and evaluated."""

    def __init__(self, side: int, learning_rate: float) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.network = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.25),
            nn.Linear(64 * ((side + 1) // 2) ** 2, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        )

    def training_step(self, batch: Batch, _: int) -> Tensor:
        images, digits = batch
        return cross_entropy(self.network(images), digits)

    def validation_step(self, batch: Batch, _: int) -> None:
        images, digits = batch
        scores = self.network(images)
        accuracy = (scores.argmax(dim=1) == digits).float().mean()
        metrics = {"accuracy": accuracy, "log_loss": cross_entropy(scores, digits)}
        self.log_dict(metrics, prog_bar=True, batch_size=len(images))  # the mean of all batches

    def on_validation_epoch_end(self) -> None:
        metrics = {name: float(self.trainer.callback_metrics[name]) for name in METRICS}
        epoch = self.current_epoch + 1
        mlflow.log_metrics(metrics, step=epoch)
        print(f"epoch {epoch}/{self.trainer.max_epochs}: accuracy {metrics['accuracy']:.4f}", flush=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)


def parse_arguments() -> argparse.Namespace:
    """Read what the MLproject passes on; without arguments, what its defaults are."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model_name", default="mnist")
    parser.add_argument("--experiment_name", default="mnist-pytorch-lightning")
    parser.add_argument("--lower", default="False")
    parser.add_argument("--p_metric", default="accuracy", choices=METRICS)
    parser.add_argument("--data", default="auto", choices=handwriting.CHOICES)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--learning_rate", type=float, default=0.001)
    parser.add_argument("--batch_size", type=int, default=32)
    args, _ = parser.parse_known_args()
    return args


def train(data: handwriting.Handwriting, args: argparse.Namespace) -> tuple[nn.Module, dict[str, float]]:
    """Return the trained network, on the CPU, and its metrics on the images that it was not trained on."""
    seed_everything(SEED)
    model = DigitReader(data.test_images.shape[-1], args.learning_rate)
    training = TensorDataset(torch.from_numpy(data.train_images), torch.from_numpy(data.train_digits))
    testing = TensorDataset(torch.from_numpy(data.test_images), torch.from_numpy(data.test_digits))
    trainer = Trainer(
        accelerator="auto",  # a GPU where the service has given this job one
        devices=1,  # several would each run this script, and come to the gate
        max_epochs=args.epochs,
        deterministic=True,
        num_sanity_val_steps=0,
        callbacks=[TQDMProgressBar(refresh_rate=10)],
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,  # MLflow is told by the model
    )
    trainer.fit(
        model,
        DataLoader(training, batch_size=args.batch_size, shuffle=True),
        DataLoader(testing, batch_size=1024),
    )
    return model.network.cpu().eval(), {name: float(trainer.callback_metrics[name]) for name in METRICS}


def main() -> None:
    """Train, log, and pass the gate."""
    args = parse_arguments()
    if "MLFLOW_RUN_ID" not in os.environ:  # by hand: the service has made the run in its experiment already
        mlflow.set_experiment(args.experiment_name)
    data = handwriting.load(args.data)
    evaluation = mlflow.data.from_numpy(data.test_images, name=data.name, digest=data.test_digest)
    mlflow.log_input(evaluation, context="evaluation")
    mlflow.log_params({name: getattr(args, name) for name in ("epochs", "learning_rate", "batch_size")})

    network, metrics = train(data, args)

    example = data.test_images[:1]
    with torch.no_grad():
        signature = infer_signature(example, network(torch.from_numpy(example)).numpy())
    utility.auto_compare_and_register(
        model=network,
        eval_metric=metrics[args.p_metric],
        model_name=args.model_name,
        lower=args.lower,
        p_metric=args.p_metric,
        client=mlflow.tracking.MlflowClient(),
        mlflow_model=mlflow.pytorch,
        eval_dataset=evaluation,
        signature=signature,
        # Of the network, which is made of PyTorch's own parts: who loads it needs no Lightning.
        pip_requirements=[f"{name}=={version(name)}" for name in ("torch", "cloudpickle", "numpy")],
    )


if __name__ == "__main__":
    main()
