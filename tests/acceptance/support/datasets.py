"""The dataset of examples/dvc-retrain, as its author makes revisions of it."""

import subprocess
import sys
from pathlib import Path

from tests.acceptance.support.checkout import ROOT
from tests.support.projects.dvc_repository import DvcAuthor

EXAMPLE = ROOT / "examples" / "dvc-retrain"
MAKE_SECONDS = 60


def publish(author: DvcAuthor, folder: Path, images: int) -> str:
    """Make the dataset as the example's README says, and commit it."""
    command = [sys.executable, str(EXAMPLE / "make_dataset.py"), str(folder), "--images", str(images)]
    subprocess.run(command, check=True, capture_output=True, timeout=MAKE_SECONDS)
    return author.commit({"digits": {file.name: file.read_text() for file in folder.iterdir()}})
