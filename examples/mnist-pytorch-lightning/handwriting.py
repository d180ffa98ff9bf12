"""The handwritten digits to train on: MNIST where it can be downloaded, those that come with scikit-learn elsewhere."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 7
DOWNLOAD_TIMEOUT_SECONDS = 20
CHOICES = ("auto", "mnist", "digits")


@dataclass(frozen=True)
class Handwriting:
    """Square images, of values from 0 to 1 and shape (number, 1, side, side), and which digit each one shows."""

    name: str
    train_images: NDArray[np.float32]
    train_digits: NDArray[np.int64]
    test_images: NDArray[np.float32]
    test_digits: NDArray[np.int64]

    @property
    def test_digest(self) -> str:
        """What tells whether two models were evaluated on the same images: MLflow's own looks at the first few."""
        return sha256(self.test_images.tobytes() + self.test_digits.tobytes()).hexdigest()[:8]


def bundled_digits() -> Handwriting:
    """Return scikit-learn's 1,797 images of 8 x 8, with the same quarter of them to test with every time."""
    images, digits = load_digits(return_X_y=True)
    train, test, train_digits, test_digits = train_test_split(
        images / 16, digits, test_size=0.25, random_state=SEED, stratify=digits
    )
    return Handwriting("digits", as_images(train, 8), train_digits, as_images(test, 8), test_digits)


def downloaded_mnist() -> Handwriting:
    """Return MNIST's 70,000 images of 28 x 28, 10,000 of them to test with, as their authors split them."""
    from torchvision.datasets import MNIST  # noqa: PLC0415 - who trains on the others needs none of it

    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_SECONDS)  # torchvision sets none
    train, test = (MNIST("mnist", train=is_train, download=True) for is_train in (True, False))
    return Handwriting(
        "mnist",
        as_images(train.data.numpy() / 255, 28),
        train.targets.numpy(),
        as_images(test.data.numpy() / 255, 28),
        test.targets.numpy(),
    )


def as_images(values: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    """Return rows of values as images with one channel."""
    return values.astype(np.float32).reshape(-1, 1, side, side)


def load(wanted: str, fetch_mnist: Callable[[], Handwriting] = downloaded_mnist) -> Handwriting:
    """Return the data that is wanted, and say which it is; "auto" takes scikit-learn's where MNIST cannot be had."""
    if wanted == "digits":
        data, reason = bundled_digits(), "as asked"
    else:
        try:
            data, reason = fetch_mnist(), "downloaded"
        except (OSError, RuntimeError) as error:  # torchvision says RuntimeError when no mirror answers
            if wanted == "mnist":
                raise
            data, reason = bundled_digits(), f"MNIST cannot be downloaded here: {' '.join(str(error).split())}"
    print(f"data: {data.name} ({reason})", flush=True)
    print(f"training on {len(data.train_images)} images, testing on {len(data.test_images)}", flush=True)
    return data
