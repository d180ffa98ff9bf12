"""Checks whether containers get the GPUs that this host has, or that RETRAIN_GPUS says it has."""

from collections.abc import Mapping
from typing import Any

from shared.errors import ConfigurationError, InfrastructureError
from worker.findings.finding import Finding, failure, ok, skipped
from worker.runners.docker.checks.trial_containers import Trial
from worker.runners.docker.engine import engine_said
from worker.runners.docker.options import device_request
from worker.runners.gpus import NONE, cdi_gpus, find_gpus, named_gpus

SUBJECT = "GPUs"
TRUE = ["/bin/sh", "-c", "echo started"]
ADVICE = (
    "Install NVIDIA's driver and Container Toolkit, run `sudo nvidia-ctk runtime configure --runtime=docker`, restart "
    "Docker; or set RETRAIN_GPUS=none."
)


def check_gpus(trial: Trial, info: Mapping[str, Any], setting: str) -> Finding:
    """Give all GPUs to a short-lived container; without an image, check whether the engine has a runtime for them."""
    try:
        gpus = named_gpus(setting)
    except ConfigurationError as error:
        return failure(SUBJECT, error.message, "Correct RETRAIN_GPUS.")
    if gpus is None:
        found = find_gpus()
        gpus = cdi_gpus(_discovered(info)) if found is None else found
    if not gpus:
        return ok(SUBJECT, "none asked for" if setting == NONE else "none found, and none asked for")
    try:
        printed = trial(TRUE, device_requests=[device_request(list(gpus))])
    except InfrastructureError as error:
        return failure(SUBJECT, f"Docker gives no container {', '.join(gpus)}: {engine_said(error)}", ADVICE)
    if printed or "nvidia" in (info.get("Runtimes") or {}):
        return ok(SUBJECT, ", ".join(gpus))
    return skipped(SUBJECT, "there is no image to try them in; pull one that you train with, and run this again")


def _discovered(info: Mapping[str, Any]) -> list[str]:
    return [str(each.get("ID")) for each in info.get("DiscoveredDevices") or []]
