"""MLflow's command line, except that its server takes the place of the process that starts it.

MLflow's own stays behind as a parent with everything loaded that it needed to start: 200 MB, and nothing to do.
"""

import os
from collections.abc import Mapping, Sequence
from typing import NoReturn

import mlflow.server
from mlflow.cli import cli


def become(command: Sequence[str], *, extra_env: Mapping[str, str], **_options: object) -> NoReturn:
    """Become the server, in the place of what MLflow starts it with."""
    os.execvpe(command[0], list(command), {**os.environ, **extra_env})  # noqa: S606 - no shell


if __name__ == "__main__":
    # There is no public way.
    mlflow.server._exec_cmd = become  # type: ignore[assignment, attr-defined]
    cli()
