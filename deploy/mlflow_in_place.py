"""MLflow's command line, except that the server runs in the process that prepares its start, with what it needs alone.

MLflow's own starts another one, which loads all again: two seconds, and 200 MB that stay behind with nothing to do. Of
the 220 MB of the server 80 are pandas and the like. MLflow loads without them, as in an image that lacks them, and
what needs them later (a model's signature, for one) loads them then.
"""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import NoReturn

# Before mlflow.server: that sets up which hosts and origins it answers as it is loaded, and only where this is.
import uvicorn
from fastapi import APIRouter

NOT_YET = ("matplotlib", "pandas", "pyarrow", "scipy", "sklearn")
# The AI gateway insists on pandas. It is switched off, and the guard refuses it to everybody (mlflow_guard/routes.py).
GATEWAY = "mlflow.server.gateway_api"


@contextmanager
def loaded_later() -> Iterator[None]:
    """Let MLflow believe that these are not installed."""
    gateway = ModuleType(GATEWAY)
    gateway.gateway_router = APIRouter()  # type: ignore[attr-defined]
    sys.modules |= {GATEWAY: gateway} | dict.fromkeys(NOT_YET)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in NOT_YET:
            del sys.modules[name]


with loaded_later():
    import mlflow.server
    import mlflow.server.fastapi_app
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
