"""Runs a command that takes minutes, and says meanwhile that it still runs. Needs nothing but Python."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

EVERY_SECONDS = 10.0


def say_now(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


def run_telling(
    command: Sequence[str],
    what: str,
    *,
    environment: Mapping[str, str] | None = None,
    output: IO[bytes] | None = None,
    timeout_seconds: float | None = None,
    every_seconds: float = EVERY_SECONDS,
    say: Callable[[str], None] = say_now,
) -> int:
    """Run the command to its end and return its exit code; raise TimeoutExpired when its time is up."""
    began = time.monotonic()
    with subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        try:
            while (code := _wait(process, every_seconds)) is None:
                seconds = time.monotonic() - began
                if timeout_seconds is not None and seconds > timeout_seconds:
                    raise subprocess.TimeoutExpired(command, timeout_seconds)
                say(f"  {what}, for {seconds:.0f} s now ...")
        except BaseException:
            process.kill()
            raise
    return code


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
