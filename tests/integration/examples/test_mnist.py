"""The data of examples/mnist-pytorch-lightning, without PyTorch: MNIST where it can be had, others where not."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "mnist-pytorch-lightning"


@pytest.fixture
def handwriting(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example's module, which lies next to its train.py and in no package."""
    spec = importlib.util.spec_from_file_location("handwriting", EXAMPLE / "handwriting.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "handwriting", module)
    spec.loader.exec_module(module)
    return module


def unreachable() -> Any:
    """Fail as torchvision does when no mirror answers."""
    raise RuntimeError("Error downloading train-images:\n<urlopen error>\n")


def test_the_bundled_digits_are_the_same_images_every_time(handwriting: ModuleType) -> None:
    first, second = handwriting.bundled_digits(), handwriting.bundled_digits()

    assert (first.train_images.shape, first.test_images.shape) == ((1347, 1, 8, 8), (450, 1, 8, 8))
    assert (first.train_images.dtype, float(first.train_images.max())) == (np.float32, 1.0)
    assert first.test_digest == second.test_digest
    second.test_digits[-1] = (second.test_digits[-1] + 1) % 10
    assert first.test_digest != second.test_digest


def test_where_mnist_cannot_be_downloaded_the_bundled_digits_are_taken_and_the_log_says_why(
    handwriting: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert handwriting.load("auto", unreachable).name == "digits"
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "data: digits (MNIST cannot be downloaded here: Error downloading train-images: <urlopen error>)",
        "training on 1347 images, testing on 450",
    ]


def test_who_insists_on_mnist_gets_no_other_data(handwriting: ModuleType) -> None:
    with pytest.raises(RuntimeError, match="Error downloading"):
        handwriting.load("mnist", unreachable)


@pytest.mark.parametrize("wanted", ["auto", "mnist"])
def test_mnist_is_taken_where_it_can_be_had(
    handwriting: ModuleType, wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    images, digits = np.zeros((3, 1, 28, 28), np.float32), np.arange(3)
    mnist = handwriting.Handwriting("mnist", images, digits, images[:1], digits[:1])

    assert handwriting.load(wanted, lambda: mnist) is mnist
    assert "data: mnist (downloaded)" in capsys.readouterr().out
