"""Asks a process of its own to draw a card, so that the worker never loads matplotlib."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from worker.cards.card import Card

SECONDS = 120.0
MOST_BYTES = 5_000_000
ROOT = Path(__file__).resolve().parents[2]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class NotDrawn(Exception):
    """No picture; the text says why."""


def draw(card: Card, folder: Path) -> bytes:
    """Return the card as PNG; raise NotDrawn. ``folder`` is where matplotlib keeps what it knows of fonts."""
    # Not the worker's environment: that has secrets.
    environment = {"PATH": os.environ.get("PATH", ""), "MPLCONFIGDIR": str(folder), **ONE_THREAD}
    command = [sys.executable, "-m", "worker.cards.draw"]
    try:
        asked = json.dumps(asdict(card)).encode()
        done = subprocess.run(
            command, input=asked, capture_output=True, timeout=SECONDS, check=False, cwd=ROOT, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise NotDrawn(f"it took longer than {SECONDS:g} s") from error
    if done.returncode != 0 or len(done.stdout) > MOST_BYTES:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:200]
        raise NotDrawn(last or f"exit code {done.returncode}, {len(done.stdout)} bytes")
    return done.stdout
