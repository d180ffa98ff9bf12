"""MLflow's command line, except that the server runs in the process that prepares its start.

MLflow's own starts another one, which loads all again: two seconds, and 200 MB that stay behind with nothing to do.
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import NoReturn

# Before mlflow.server: that sets up which hosts and origins it answers as it is loaded, and only where this is.
import uvicorn

import mlflow.server  # isort: skip
from mlflow.cli import cli


def serve(command: Sequence[str], *, extra_env: Mapping[str, str], **_options: object) -> NoReturn:
    """Run here the command `python -m uvicorn ...` that MLflow has put together."""
    program = list(command[1:3])
    if program != ["-m", "uvicorn"]:
        raise RuntimeError(f"MLflow does not start uvicorn any more: {shlex.join(command)}")
    os.environ.update(extra_env)
    uvicorn.main.main(args=list(command[3:]), prog_name="uvicorn")
    raise SystemExit  # for the types: the line above has ended the process


if __name__ == "__main__":
    # There is no public way.
    mlflow.server._exec_cmd = serve  # type: ignore[assignment, attr-defined]
    cli()
