"""What a person should do about a failure, by its code; what caused it, the failure itself tells."""

from collections.abc import Mapping

from shared.errors import Code

SERVER = "Nothing is wrong with the project; repeat the job once that is mended"
ADVICE: Mapping[Code, str] = {
    Code.INVALID_PROJECT: "Correct the MLproject file, push it, and send the request again.",
    Code.INVALID_PARAMETER: "Correct the request's parameters and send it again.",
    Code.GIT_AUTH_FAILED: "Send the request with a token that may read the repository.",
    Code.GIT_UNREACHABLE: f"See whether the worker can reach the git host. {SERVER}.",
    Code.REF_NOT_FOUND: "Send the request with a branch, tag or commit that is in the repository.",
    Code.SOURCE_TOO_LARGE: "Train from a smaller repository, or have the operator raise SOURCE_MAX_BYTES and "
    "SOURCE_MAX_FILES.",
    Code.IMAGE_PULL_FAILED: "See whether the image exists and the worker's host may pull it, then repeat the job.",
    Code.NONZERO_EXIT: "Read the log, mend the training code, push it, and send the request again.",
    Code.LOG_FLOOD: "Let the training print less, push it, and send the request again.",
    Code.OOM_KILLED: "Send the request with more resources.memory, or let the training use less.",
    Code.RUN_TIMEOUT: "Send the request with a larger timeouts.run_seconds, or see in the log where it stands still.",
    Code.GIT_TIMEOUT: "See whether the git host answers, or send a larger timeouts.git_seconds.",
    Code.PULL_TIMEOUT: "Pull the image on the worker's host once, or send a larger timeouts.pull_seconds.",
    Code.QUEUE_TIMEOUT: "See whether workers serve the job's queue (GET /readyz), then repeat the job.",
    Code.CONTAINER_LOST: "See whether somebody removed the container, then repeat the job.",
    Code.CONTAINER_FAILED: "Mend the image as it says, or see on its host why it does not start; then repeat the job.",
    Code.DOCKER_UNAVAILABLE: f"Start Docker on the worker's host. {SERVER}.",
    Code.HOST_LOST: f"See what became of the host. {SERVER}, or at once for another host.",
    Code.DISK_FULL: f"Make room on the worker's host. {SERVER}.",
    Code.TRACKING_UNAVAILABLE: f"See whether the MLflow server answers. {SERVER}.",
    Code.USER_CANCELLED: "Nothing, unless it should run after all: then repeat the job.",
    Code.INTERNAL: "Look into the worker's log for this job, and report what it says.",
}
