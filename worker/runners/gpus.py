"""Finds the GPUs of a host: by the operator's setting, else by NVIDIA's own tool. The store decides who gets which."""

import logging
import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from shared.errors import ConfigurationError
from worker.runners.seam import Runner

COMMAND = ("nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader")
TIMEOUT_SECONDS = 10
KILL_SECONDS = 1
NONE = "none"
SHOWN_CHARACTERS = 300
# A toolkit lists each GPU by its number, its UUID, or both, and also all of them as one device.
CDI_BY_NUMBER = re.compile(r"nvidia\.com/gpu=\d+(:\d+)?")
CDI_BY_UUID = re.compile(r"nvidia\.com/gpu=(GPU|MIG)-.+")

logger = logging.getLogger(__name__)


def gpus_of(setting: str, runner: Runner) -> tuple[str, ...]:
    """Return the host's GPUs as RETRAIN_GPUS names them; if it is empty, those that are found."""
    named = named_gpus(setting)
    return runner.find_gpus() if named is None else named


def named_gpus(setting: str) -> tuple[str, ...] | None:
    """Return the GPUs that the setting names; None if they are to be discovered."""
    gpus = tuple(word.strip() for word in setting.split(",") if word.strip())
    if not gpus:
        return None
    if gpus == (NONE,):
        return ()
    if NONE in gpus or len(set(gpus)) < len(gpus):
        raise ConfigurationError(
            f"RETRAIN_GPUS is {setting!r}. Name each GPU once, or set it to none.",
            setting="RETRAIN_GPUS",
            value=setting,
        )
    return gpus


def ask_nvidia_smi(command: Sequence[str]) -> str:
    """Return what the tool prints; raise OSError if it is missing or fails, TimeoutExpired if it hangs."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # if it hangs in its driver, not even that ends it
            process.communicate(timeout=KILL_SECONDS)
        raise
    if process.returncode:
        raise OSError(f"exit code {process.returncode}: {output[:SHOWN_CHARACTERS].strip()}")
    return output


def find_gpus(run: Callable[[Sequence[str]], str] = ask_nvidia_smi) -> tuple[str, ...] | None:
    """Return the UUIDs of this machine's NVIDIA GPUs, none after a failure; None if there is no nvidia-smi."""
    try:
        output = run(COMMAND)
    except FileNotFoundError:
        return None
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as error:
        logger.warning("nvidia-smi failed: taken for no GPUs", extra={"cause": str(error)})
        return ()
    return tuple(line.strip() for line in output.splitlines() if line.strip())


def cdi_gpus(devices: Iterable[str]) -> tuple[str, ...]:
    """Return the CDI names of NVIDIA GPUs among an engine's devices, each GPU once."""
    names = list(devices)
    by_number = [each for each in names if CDI_BY_NUMBER.fullmatch(each)]
    return tuple(by_number or [each for each in names if CDI_BY_UUID.fullmatch(each)])
