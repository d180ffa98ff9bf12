"""The codes and types of failures: words that stay, with their meaning and what to do."""

from enum import StrEnum


class FailureType(StrEnum):
    """Who must act on a failure, and hence whether another attempt is worthwhile."""

    USER_ERROR = "user_error"
    INFRASTRUCTURE = "infrastructure"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


OPERATORS = "Nothing is wrong with the project; repeat the job once that is fixed"


class Code(StrEnum):
    """What exactly failed, for programs; with its meaning, and what a person should do about it."""

    meaning: str
    advice: str

    def __new__(cls, value: str, meaning: str = "", advice: str = "") -> "Code":
        """Make the word, with the other two; Code("HOST_LOST") finds it by the word alone."""
        code = str.__new__(cls, value)
        code._value_, code.meaning, code.advice = value, meaning, advice
        return code

    INVALID_PROJECT = (
        "INVALID_PROJECT",
        "the MLproject file, a submodule or an LFS file of the repository",
        "Correct the MLproject file, push it, and send the request again.",
    )
    INVALID_PARAMETER = (
        "INVALID_PARAMETER",
        "a parameter, `base_model` or resource of the request",
        "Correct the request's parameters and send it again.",
    )
    NOT_PERMITTED = (
        "NOT_PERMITTED",
        "the image, a variable or a volume of the project, or what the request asks for, is not for its sender",
        "Ask for what the message says is allowed, or have the operator change IMAGE_ALLOWLIST or POLICY_FILE.",
    )
    GIT_AUTH_FAILED = (
        "GIT_AUTH_FAILED",
        "the git host asks for a login, or refused the one that came",
        "Send the request with a token that may read the repository.",
    )
    GIT_UNREACHABLE = (
        "GIT_UNREACHABLE",
        "the git host did not answer",
        f"See whether the worker can reach the git host. {OPERATORS}.",
    )
    REF_NOT_FOUND = (
        "REF_NOT_FOUND",
        "the repository has no such branch, tag or commit",
        "Send the request with a branch, tag or commit that is in the repository.",
    )
    SOURCE_TOO_LARGE = (
        "SOURCE_TOO_LARGE",
        "the repository is larger than `SOURCE_MAX_FILES` or `SOURCE_MAX_BYTES`",
        "Train from a smaller repository, or have the operator raise SOURCE_MAX_BYTES and SOURCE_MAX_FILES.",
    )
    IMAGE_PULL_FAILED = (
        "IMAGE_PULL_FAILED",
        "the image could not be pulled",
        "See whether the image exists and the worker's host may pull it, then repeat the job.",
    )
    NONZERO_EXIT = (
        "NONZERO_EXIT",
        "the training ended with an exit code other than 0",
        "Read the log, mend the training code, push it, and send the request again.",
    )
    STEP_FAILED = (
        "STEP_FAILED",
        "the training succeeded, but a step of its command failed before a pipe or another step",
        'Begin the command with "set -euo pipefail" and a new line, if the job is to fail for that.',
    )
    OOM_KILLED = (
        "OOM_KILLED",
        "the training used more memory than its limit, which the message names",
        "Send the request with more resources.memory, or let the training use less.",
    )
    LOG_FLOOD = (
        "LOG_FLOOD",
        "the training printed far more than is kept",
        "Let the training print less, push it, and send the request again.",
    )
    RUN_TIMEOUT = (
        "RUN_TIMEOUT",
        "the training took too long",
        "Send the request with a larger timeouts.run_seconds, or see in the log where it stands still.",
    )
    GIT_TIMEOUT = (
        "GIT_TIMEOUT",
        "fetching the source took too long",
        "See whether the git host answers, or send a larger timeouts.git_seconds.",
    )
    PULL_TIMEOUT = (
        "PULL_TIMEOUT",
        "pulling the image took too long",
        "Pull the image on the worker's host once, or send a larger timeouts.pull_seconds.",
    )
    QUEUE_TIMEOUT = (
        "QUEUE_TIMEOUT",
        "no worker took the job in time",
        "See whether workers serve the job's queue (GET /readyz), then repeat the job.",
    )
    CONTAINER_LOST = (
        "CONTAINER_LOST",
        "the container disappeared",
        "See whether somebody removed the container, then repeat the job.",
    )
    CONTAINER_FAILED = (
        "CONTAINER_FAILED",
        "the container could not start, or its command never began",
        "Mend the image as it says, or see on its host why it does not start; then repeat the job.",
    )
    DOCKER_UNAVAILABLE = (
        "DOCKER_UNAVAILABLE",
        "the Docker engine did not answer",
        f"Start Docker on the worker's host. {OPERATORS}.",
    )
    HOST_LOST = (
        "HOST_LOST",
        "the host was silent for `HOST_LOST_AFTER_SECONDS`",
        f"See what became of the host. {OPERATORS}, or at once for another host.",
    )
    DISK_FULL = (
        "DISK_FULL",
        "a disk was full, or the training wrote too much; the message says which",
        f"Make room on the worker's host. {OPERATORS}.",
    )
    TRACKING_UNAVAILABLE = (
        "TRACKING_UNAVAILABLE",
        "MLflow did not answer",
        f"See whether the MLflow server answers. {OPERATORS}.",
    )
    USER_CANCELLED = (
        "USER_CANCELLED",
        "somebody cancelled the job",
        "Nothing, unless it should run after all: then repeat the job.",
    )
    INTERNAL = (
        "INTERNAL",
        "a fault of the service",
        "Look into the worker's log for this job, and report what it says.",
    )
