"""Reads the end of a training's output: why it failed, what its user can change, which step failed unseen. Pure."""

import re

from worker.runners.launch import STEP_FAILED

EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit)\b")
SHOWN_CHARACTERS = 300
FAILED_STEP = re.compile(rf"^{re.escape(STEP_FAILED)} (\d{{1,3}})", re.MULTILINE)
SETS_EXPERIMENT = (
    "Take mlflow.set_experiment(...) out of the training: its run is made already, in the experiment that the request "
    "names. Or send that name as experiment_name."
)
SETS_SERVER = (
    "If the training calls mlflow.set_tracking_uri(...), take that out: MLFLOW_TRACKING_URI has the address of the "
    "service's MLflow already."
)
LACKS_MODULE = (
    "Nothing is installed before a training: a package must be in the image (with RUNNER=process, with the worker's "
    "Python), a module of the repository in the project's folder."
)
HINTS = {  # with bounds, or 64 KiB of output that repeats their beginnings hold up the worker for ten seconds
    re.compile(r"does not match environment run ID"): SETS_EXPERIMENT,
    re.compile(r"/(api|ajax-api)/2\.0/mlflow\S{0,300} .{0,500}(Max retries exceeded|Connection refused)"): SETS_SERVER,
    re.compile(r"\bRun ('\w+'|with id=\w+) not found"): SETS_SERVER,
    re.compile(r"^(ModuleNotFoundError|ImportError): No module named", re.MULTILINE): LACKS_MODULE,
}


def telling_line(output: bytes) -> str:
    """Return the last line that names an exception, else the last one that is not empty; "" if there is none."""
    lines = [line.strip() for line in output.decode(errors="replace").split("\n")]
    # Output and errors are two pipes, so what was printed before a traceback may come after it.
    telling = [line for line in lines if EXCEPTION.match(line)] or [line for line in lines if line]
    return telling[-1][:SHOWN_CHARACTERS] if telling else ""


def hint(output: bytes) -> str:
    """Return what to change in the project, where MLflow's or Python's own words do not say it; empty otherwise."""
    text = output.decode(errors="replace")
    return next((advice for pattern, advice in HINTS.items() if pattern.search(text)), "")


def failed_step(output: bytes) -> str:
    """Return what the log of a success says of a step that failed; empty if all went well."""
    if (found := FAILED_STEP.search(output.decode(errors="replace"))) is None:
        return ""
    return (
        f"The command succeeded, but one of its steps ended with exit code {found[1]} before a pipe or another step. "
        'To fail for that, begin the command with "set -euo pipefail" and a new line.'
    )
