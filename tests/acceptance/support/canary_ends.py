"""How each end of the canaries' jobs comes about: by what the request says, or by what the test does meanwhile."""

from collections.abc import Mapping
from typing import Any

Change = Mapping[str, Any]

# What ends a job in another way than its training's own; with LONG each way that a request alone can bring about.
FAILING: tuple[tuple[str, Change], ...] = (
    ("REF_NOT_FOUND", {"commit_hash": "no-such-branch"}),
    ("INVALID_PROJECT", {"MLproject_location": "no/such/folder"}),
)
LONG_FAILING: tuple[tuple[str, Change], ...] = (
    ("INVALID_PROJECT", {"entry_point": "nothing"}),
    ("INVALID_PARAMETER", {"parameters": {}}),
    ("IMAGE_PULL_FAILED", {"MLproject_location": "no-image"}),
    ("RUN_TIMEOUT", {"parameters": {"mode": "wait"}, "timeouts": {"run_seconds": 3}}),
    ("OOM_KILLED", {"parameters": {"mode": "greedy"}, "resources": {"memory": "128m"}}),
    ("QUEUE_TIMEOUT", {"resources": {"host_labels": ["nowhere"]}, "timeouts": {"queue_seconds": 2}}),
)
TWICE = {"max_attempts": 2, "on": ["user_error"], "initial_delay_seconds": 0}
ONCE = {"max_attempts": 1}
# What the tests bring about by more than a request, and look for by name.
BY_HAND = {
    "NONZERO_EXIT": "the training prints every canary and raises",
    "USER_CANCELLED": "the test cancels a training that a second worker has adopted",
    "GIT_AUTH_FAILED": "the request has the login of a stranger",
    "TRACKING_UNAVAILABLE": "MLflow's process stands still",
    "DOCKER_UNAVAILABLE": "the worker's way to its engine is cut",
    "HOST_LOST": "the worker is killed, and another host's is started",
    "INTERNAL": "the worker's folder of sources is a file; the key of the job's credentials is lost",
}


def brought_about(addresses: Mapping[str, str], host: str, *, nobody: int, silent: int) -> dict[str, Change]:
    """How each of these ends comes about; the last is killed by the test. Nobody listens at one port, one is silent."""

    def at(port: int) -> str:
        return addresses["git_uri"].replace(host, f"127.0.0.1:{port}")

    return {
        "NOT_PERMITTED": {"MLproject_location": "forbidden"},
        "GIT_UNREACHABLE": {"git_uri": at(nobody)},
        "GIT_TIMEOUT": {"git_uri": at(silent), "timeouts": {"git_seconds": 2}},
        "SOURCE_TOO_LARGE": {"git_uri": addresses["large"]},
        "PULL_TIMEOUT": {"MLproject_location": "silent", "timeouts": {"pull_seconds": 2}},
        "CONTAINER_FAILED": {"MLproject_location": "no-shell"},
        "LOG_FLOOD": {"parameters": {"mode": "flood"}},
        "DISK_FULL": {"parameters": {"mode": "fill"}},
        "STEP_FAILED": {"MLproject_location": "step"},
        "CONTAINER_LOST": {"parameters": {"mode": "wait"}},
    }


def all_ends() -> set[str]:
    """Every failure code that a job of the canaries ends with."""
    asked = (*FAILING, *LONG_FAILING, *brought_about({"git_uri": "", "large": ""}, "?", nobody=0, silent=0).items())
    return {code for code, _ in asked} | BY_HAND.keys()
