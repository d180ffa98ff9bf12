"""What the preparation of an attempt works on: the assignment, the loaded project, and the pins. Pure."""

from dataclasses import dataclass

from shared.errors import Code, UserError
from shared.jobs.records import Claim
from shared.requests.retrain_request import RetrainRequest
from worker.attempt import dataset_pin
from worker.attempt_name import attempt_name
from worker.credentials.keys import Keys
from worker.interruption import Interruption
from worker.project.entry_points import EntryPoint, Project, Rendered, assemble, render
from worker.source.checkout import Checkout, SourceRequest

REGISTRY_VARIABLE = "MLFLOW_REGISTRY_URI"


@dataclass(frozen=True)
class Assignment:
    """One attempt to prepare: its request, its claim, and what may interrupt it."""

    claim: Claim
    secrets: Keys
    interruption: Interruption
    part: str = ""  # of the attempt, with a folder and a container of its own

    @property
    def request(self) -> RetrainRequest:
        """What the job asks for."""
        return self.claim.request

    @property
    def name(self) -> str:
        """The attempt's name on this host, or that of a part of it."""
        return f"{attempt_name(self.claim.job)}{self.part}"


@dataclass(frozen=True)
class Loaded:
    """The checked-out project, and the part of it that is to run."""

    checkout: Checkout
    project: Project
    entry_point: EntryPoint


@dataclass(frozen=True)
class Pins:
    """What the request's names mean in all attempts; None if it names nothing, or the project takes no such name."""

    base_model: str | None
    dataset: str | None


def source_of(assigned: Assignment) -> SourceRequest:
    """Return what to check out."""
    request = assigned.request
    return SourceRequest(
        uri=request.git_uri,
        ref=request.commit_hash,
        commit_sha=assigned.claim.job.commit_sha,
        subfolder=request.MLproject_location,
        credentials=assigned.secrets.source,
    )


def has_registry_of_its_own(project: Project) -> bool:
    """Return whether the project sets a registry of its own, which the worker cannot look into."""
    return any(variable.name == REGISTRY_VARIABLE for variable in project.environment)


def render_for(assigned: Assignment, loaded: Loaded, pins: Pins) -> Rendered:
    """Return the command of the entry point, with the request's values."""
    return render_request(assigned.request, loaded.entry_point, pins)


def render_request(request: RetrainRequest, entry_point: EntryPoint, pins: Pins) -> Rendered:
    """Return the command with what the request says."""
    fields = {
        "experiment_name": request.experiment_name,
        "model_name": request.model_name,
        "base_model": pins.base_model,
        "dataset_repo": dataset_pin.as_parameter(request.dataset_repo, pins.dataset) if request.dataset_repo else None,
    }
    values = assemble(entry_point, fields=fields, parameters=request.parameters)
    return render(entry_point, values)


def no_image(project: Project) -> UserError:
    """Return the refusal of a project without an image, where trainings run in one."""
    if project.packages:
        how = (
            "In its MLproject file, write docker_env with an image in the place of python_env or conda_env, if one of "
            f"them is there: MLflow takes only one. The image must have the packages of {project.packages}"
        )
    else:
        how = "Add docker_env with an image to its MLproject file"
    return UserError(
        Code.INVALID_PROJECT,
        f"Project '{project.name}' has no docker_env.image, and this service trains in containers. {how}.",
        project=project.name,
    )
