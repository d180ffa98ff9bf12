"""Checks whether trainings reach MLflow, from a container with the same address and network."""

from shared.errors import InfrastructureError
from shared.proxies import prelude_of_training
from shared.settings import Settings
from worker.findings.finding import Finding, failure, ok, skipped
from worker.findings.mlflow_answers import ASKED, refused
from worker.findings.network import Reply
from worker.runners.docker.checks.trial_containers import Trial
from worker.runners.docker.engine import engine_said
from worker.runners.docker.inside import in_containers, tracking_uri_in_containers
from worker.runners.docker.options import network_options

SUBJECT = "MLflow from containers"
NO_STATUS = "-"
# Prints the answer's status and beginning, or why there is no answer.
QUESTION = f"""
import sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(sys.argv[1], timeout=5)
    print(answer.status, "")
except urllib.error.HTTPError as error:
    print(error.code, error.read(300).decode(errors="replace"))
except Exception as error:
    print("{NO_STATUS}", getattr(error, "reason", error))
"""
# An image without Python prints nothing, and the next one is tried.
SCRIPT = 'for python in python3 python; do command -v $python >/dev/null 2>&1 && exec $python -c "$0" "$1"; done'
NAMES = (
    "On one machine, let MLflow listen where containers reach it (make up does, by its guard), not only on loopback; "
    "in compose, set CONTAINER_NETWORK to MLflow's network; else set CONTAINER_TRACKING_URI to what containers call it."
)


def check_from_container(trial: Trial, settings: Settings) -> Finding:
    """Ask as a training does, but without a password: being refused for that shows that the address is reachable."""
    address = tracking_uri_in_containers(settings).rstrip("/")
    past_proxies = prelude_of_training(address, is_guarded=in_containers(settings).is_guarded)
    command = ["/bin/sh", "-c", past_proxies + SCRIPT, QUESTION, f"{address}{ASKED}"]
    try:
        printed = trial(command, **network_options(settings.container_network or None, settings.container_host_address))
    except InfrastructureError as error:
        return failure(SUBJECT, engine_said(error), "Correct the engine's set-up: a training would not start, either.")
    if printed is None:
        why = "no image here has Python; pull one that you train with, and run this again"
        return skipped(SUBJECT, why)
    return _judge(printed, address)


def _judge(printed: str, address: str) -> Finding:
    status, _, said = printed.partition(" ")
    reply = Reply(int(status) if status.isdecimal() else None, said)
    if reply.status is None:
        return failure(SUBJECT, f"{address} does not answer there: {said}", NAMES)
    if reply.status != 401 and (wrong := refused(reply, address)):
        return failure(SUBJECT, *wrong)
    return ok(SUBJECT, f"answers at {address}")
