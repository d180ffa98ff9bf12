"""Validates the body of POST /retrain, the predecessor's fields and ours, and splits credentials off at once."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StrictInt, StrictStr, field_validator, model_validator

from shared.addresses.dataset_address import parse_dataset_address
from shared.addresses.git_ref import problem_with_ref
from shared.addresses.git_uri import parse_git_uri
from shared.addresses.lookalikes import require_no_data_lookalike, require_no_lookalike
from shared.requests.parts import Alerts, Promotion, Resources, Retry, Strict, Timeouts
from shared.requests.records import as_recorded, field_names, filled, without_defaults
from shared.requests.texts import ModelName, Name, ParameterName, ParameterValue, Text, Word, no_control_characters
from shared.secrets.vault import JobSecrets

EARLIER_NAMES = {"dataset_repo": "dataset_uri"}  # of fields, as the predecessor's README documented them
FIELDS_AS_PARAMETERS = ("experiment_name", "base_model", "dataset_repo", "model_name")


def _document_dataset_uri(schema: dict[str, Any]) -> None:
    """Document in the schema that dataset_repo's other name is accepted, too."""
    schema["properties"]["dataset_uri"] = {
        "anyOf": [{"type": "string", "maxLength": 2048}, {"type": "null"}],
        "deprecated": True,
        "description": "The same as dataset_repo, under the name that older instructions gave.",
    }


class RetrainRequest(Strict):
    """A retraining: which commit of which MLflow Project, with which data, base model and parameters."""

    # A field's first example is used in the OpenAPI document's example of a request.
    model_config = ConfigDict(json_schema_extra=_document_dataset_uri)

    experiment_name: Name = Field(description="MLflow experiment; made when it does not exist.", examples=["iris"])
    run_name: Name | None = Field(
        None,
        description="Name of the MLflow run; null for one of the model's name (else the experiment's) and the commit.",
        examples=["iris, more trees"],
    )
    git_uri: StrictStr = Field(
        max_length=2048,
        description="The repository. For a private one a token may stand in it, as in https://TOKEN@host/path.git: "
        "it is taken out, kept encrypted while the job may need it, and never shown.",
        examples=["https://github.com/user/iris.git"],
    )
    MLproject_location: Text = Field(
        "", max_length=1024, description="Folder of the MLproject file in the repository; empty for its root."
    )
    commit_hash: StrictStr = Field(
        "main", max_length=250, description="Branch, tag, or full or short commit SHA.", examples=["1f0c7a3"]
    )
    dataset_repo: Annotated[StrictStr, Field(max_length=2048)] | None = Field(
        None,
        description="The data, as URL, URL@rev or URL@rev:path; reaches the project as its parameter dataset_repo. "
        "A token in it is treated as the one in git_uri. Left out, null or empty: the project's own default, else "
        "'not_used'.",
        examples=["https://github.com/user/iris-data.git@v2:iris"],
    )
    base_model: Annotated[Text, Field(max_length=500)] | None = Field(
        None,
        description="The model to start from: an MLflow run id, models:/name/version or models:/name@alias; 'None' for "
        "none. Left out, null or empty: the project's own default, else 'None'. Reaches the project as its parameter "
        "base_model, an alias as the version that it was at the first attempt; mypackage.prep_utils.base_model_path "
        "fetches it. Anything else is the project's own: not looked up.",
        examples=["models:/iris-classifier@champion"],
    )
    entry_point: Name = Field("main", description="Entry point of the MLproject file.")
    parameters: dict[ParameterName, ParameterValue] = Field(
        default_factory=dict,
        max_length=1000,
        description="Values for the entry point's parameters: texts (line breaks and tabs may be in them), numbers, "
        "true and false. Anything else is sent as a text.",
        examples=[{"alpha": 0.5, "epochs": 10}],
    )
    model_name: ModelName | None = Field(
        None,
        description="Registered model; reaches the project as its parameter model_name. MLflow takes no '/' or ':' in "
        "it.",
        examples=["iris-classifier"],
    )
    queue: Word = Field("default", description="Queue of the workers that may take it.")
    priority: StrictInt = Field(4, ge=0, le=9, description="0 to 9; higher goes first.")
    concurrency_key: Name | None = Field(
        None,
        description="Jobs that share it do not run at the same time; by default the model's, else the "
        "experiment's name.",
    )
    resources: Resources = Field(default_factory=Resources, examples=[{"gpus": 1, "memory": "8g"}])
    timeouts: Timeouts = Field(default_factory=Timeouts)
    retry: Retry = Field(default_factory=Retry)
    alerts: Alerts = Field(default_factory=Alerts)
    promotion: Promotion = Field(default_factory=Promotion)
    labels: dict[Word, Annotated[Text, Field(max_length=250)]] = Field(
        default_factory=dict,
        max_length=50,
        description="Your own words about the job; GET /jobs filters by them.",
        examples=[{"team": "vision"}],
    )

    @model_validator(mode="before")
    @classmethod
    def _dataset_uri_is_dataset_repo(cls, body: Any) -> Any:
        """Accept the name that the predecessor's README documented for the field."""
        if not isinstance(body, dict) or "dataset_uri" not in body:
            return body
        body = dict(body)
        alias = body.pop("dataset_uri")
        if body.get("dataset_repo") not in (None, "", alias):
            raise ValueError("dataset_uri and dataset_repo are the same field: give one of them")
        return {**body, "dataset_repo": alias}

    @field_validator("git_uri")
    @classmethod
    def _git_uri_is_an_address(cls, value: str) -> str:
        parse_git_uri(require_no_lookalike(no_control_characters(value)))
        return value

    @field_validator("dataset_repo")
    @classmethod
    def _dataset_repo_is_an_address(cls, value: str | None) -> str | None:
        if value:
            parse_dataset_address(require_no_data_lookalike(no_control_characters(value)))
        return value

    @field_validator("dataset_repo", "base_model")
    @classmethod
    def _empty_is_not_sent(cls, value: str | None) -> str | None:
        """Treat "" as not sent: the predecessor's README has its users send it for unused fields."""
        return value or None

    @field_validator("commit_hash")
    @classmethod
    def _commit_hash_is_a_ref(cls, value: str) -> str:
        if problem := problem_with_ref(value):
            raise ValueError(problem)
        return value

    @field_validator("MLproject_location")
    @classmethod
    def _location_stays_inside(cls, value: str) -> str:
        if value.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", value):
            raise ValueError("leaves the repository; give a folder inside it, such as examples/sklearn-dummy")
        if "\\" in value or re.match(r"[A-Za-z]:", value):
            raise ValueError("is written as on Windows; separate the folders of the repository with '/', as in a/b")
        return value

    @field_validator("parameters")
    @classmethod
    def _fields_are_not_parameters(cls, value: dict[str, ParameterValue]) -> dict[str, ParameterValue]:
        if twice := sorted(set(value) & set(FIELDS_AS_PARAMETERS)):
            raise ValueError(f"contains {', '.join(twice)}: send it as a field of the request, next to parameters")
        return value

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "RetrainRequest":
        """Return the request of a recorded job, without validating it again: that takes time, and rules change.

        Fields that are not in the record have their defaults. Fields that a later version added are left out: a worker
        that does not know all of them begins no attempt (shared.requests.fields).
        """
        return as_recorded(cls, record)

    @property
    def effective_concurrency_key(self) -> str:
        """Return the key that limits how many run at once: jobs that write the same model run one after the other."""
        if self.concurrency_key:
            return self.concurrency_key
        return f"model:{self.model_name}" if self.model_name else f"experiment:{self.experiment_name}"

    def as_record(self) -> dict[str, Any]:
        """Return what is recorded: only what differs from the defaults, so that older versions see few new fields."""
        return without_defaults(self.model_dump(mode="json"), DEFAULTS)

    def without_credentials(self) -> tuple["RetrainRequest", "JobSecrets"]:
        """Split the request into what may be stored and shown, and the credentials that were in it."""
        source = parse_git_uri(self.git_uri)
        dataset = parse_dataset_address(self.dataset_repo) if self.dataset_repo else None
        changes = {"git_uri": source.uri, "dataset_repo": dataset.uri if dataset else None}
        return self.model_copy(update=changes), JobSecrets(source.credentials, dataset.credentials if dataset else None)


DEFAULTS: Mapping[str, Any] = RetrainRequest(experiment_name="any", git_uri="https://any.example/any.git").model_dump(
    mode="json", exclude={"experiment_name", "git_uri"}
)
KNOWN_FIELDS = frozenset(field_names(RetrainRequest))


def with_defaults(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recorded request as it is shown: with defaults filled in, and unknown fields unchanged."""
    return {**DEFAULTS} | {name: filled(DEFAULTS.get(name), value) for name, value in record.items()}
