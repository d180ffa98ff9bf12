"""The body of POST /retrain: the predecessor's fields and ours, validated; credentials are split off at once."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from shared.addresses.dataset_address import parse_dataset_address
from shared.addresses.git_uri import parse_git_uri
from shared.addresses.public_text import require_no_credentials
from shared.alerts.model import AlertEvent
from shared.errors import FailureType
from shared.secrets.vault import JobSecrets

NOT_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
REF = re.compile(r"^(?!-)(?!.*(\.\.|@\{|//))[A-Za-z0-9._/@+#=-]{1,250}\Z")
MEMORY = re.compile(r"^([0-9]{1,16}(?:\.[0-9]{1,9})?)\s*([kmgt]?)(i?b)?$", re.IGNORECASE)
MEMORY_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
MOST_BYTES = 2**50
LONGEST_TEXT = 6000  # of a parameter, as in MLflow
FIELDS_AS_PARAMETERS = ("experiment_name", "base_model", "dataset_repo", "model_name")

Model = TypeVar("Model", bound=BaseModel)


def _no_control_characters(value: str) -> str:
    if NOT_TEXT.search(value):
        raise ValueError("holds a control character, or half of a character")
    return value


def _no_longer_than_any_text(value: str) -> str:
    """Refuse at once what its own limit would refuse only after all of it was read for credentials."""
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"must have at most {LONGEST_TEXT} characters")
    return value


Text = Annotated[
    StrictStr,
    AfterValidator(_no_longer_than_any_text),
    AfterValidator(_no_control_characters),
    AfterValidator(require_no_credentials),
]
Name = Annotated[Text, Field(min_length=1, max_length=250)]
Word = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
HOST_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$"
ParameterName = Annotated[StrictStr, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$")]
Metric = Annotated[Text, Field(min_length=1, max_length=250)]
Direction = Literal["higher_is_better", "lower_is_better"]
ParameterValue = StrictBool | StrictInt | StrictFloat | Annotated[Text, Field(max_length=LONGEST_TEXT)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class Resources(_Body):
    """What one attempt may use."""

    gpus: StrictInt = Field(0, ge=0, le=64, description="GPUs for the container.")
    cpus: StrictFloat | None = Field(
        None, ge=0.01, le=1024, description="CPU cores at most; null for the host's default."
    )
    memory: StrictStr | None = Field(
        None, description="Memory at most, such as '512m' or '8g'; null for the host's default.", examples=["8g"]
    )

    host: Annotated[StrictStr, Field(pattern=HOST_NAME)] | None = Field(
        None, description="The one host that may run it, by its name in GET /workers; null for any.", examples=["gpu-1"]
    )
    host_labels: Annotated[frozenset[Word], Field(max_length=20)] = Field(
        frozenset(),
        description="Only hosts with all these labels may run it. What a worker finds out itself is a label, too: gpu "
        "where there are GPUs, else cpu.",
        examples=[["a100"]],
    )

    @field_serializer("host_labels")
    def _in_one_order(self, value: frozenset[str]) -> list[str]:
        return sorted(value)

    @field_validator("memory")
    @classmethod
    def _memory_is_a_size(cls, value: str | None) -> str | None:
        if value is not None and memory_bytes(value) < 6 * 2**20:
            raise ValueError("is less than 6m, the least that a container can have")
        return value


class Timeouts(_Body):
    """How long each step may take, in seconds; null for the service's default."""

    queue_seconds: StrictFloat | None = Field(None, gt=0, le=10**8, description="Each wait for a free slot.")
    run_seconds: StrictFloat | None = Field(None, gt=0, le=10**8, description="The training itself.")
    git_seconds: StrictFloat | None = Field(None, gt=0, le=86400, description="Fetching the source.")
    pull_seconds: StrictFloat | None = Field(None, gt=0, le=86400, description="Pulling the image.")


class Retry(_Body):
    """When another attempt follows a failed one; null for the service's default."""

    max_attempts: StrictInt | None = Field(None, ge=1, le=20, description="Attempts in all.")
    on: frozenset[FailureType] | None = Field(None, description="The types of failure that are tried again.")
    initial_delay_seconds: StrictFloat | None = Field(None, ge=0, le=86400, description="Backoff's first bound.")
    max_delay_seconds: StrictFloat | None = Field(None, ge=0, le=86400, description="Backoff's last bound.")

    @field_serializer("on")
    def _in_one_order(self, value: frozenset[FailureType] | None) -> list[FailureType] | None:
        """A set's order differs between processes; the same request must stay the same text."""
        return None if value is None else sorted(value)


class Alerts(_Body):
    """Where alerts of this job go, and which; null for the service's default."""

    to: Annotated[frozenset[Word], Field(max_length=20)] | None = Field(
        None,
        description="Names that the operator gave to webhooks, instead of the default ones (discord, webhook); empty "
        "for none. Never an address.",
        examples=[["team-a"]],
    )
    events: frozenset[AlertEvent] | None = Field(None, description="What is told of it.", examples=[["failed"]])

    @field_serializer("to", "events")
    def _in_one_order(self, value: frozenset[str] | None) -> list[str] | None:
        return None if value is None else sorted(value)


class Promotion(_Body):
    """By which rules the new model may become champion; null for what train.py says. Goes before train.py."""

    metric: Metric | None = Field(None, description="The logged metric that decides.")
    direction: Direction | None = Field(None, description="Which values of it are better.")
    min_delta: StrictFloat | None = Field(
        None, ge=0, description="Promoted only if better than the champion by more than this."
    )
    min_value: StrictFloat | None = Field(
        None, description="The worst value that is promoted: a least or, where lower is better, a most."
    )
    guardrails: dict[Metric, Annotated[StrictFloat, Field(ge=0)]] = Field(
        default_factory=dict, max_length=10, description="Other logged metrics, and by how much each may become worse."
    )
    guardrail_directions: dict[Metric, Direction] = Field(
        default_factory=dict,
        max_length=10,
        description="Which values of a guarded metric are better, where not as for the metric that decides.",
    )

    @model_validator(mode="after")
    def _directions_are_of_guardrails(self) -> "Promotion":
        if strangers := sorted(set(self.guardrail_directions) - set(self.guardrails)):
            raise ValueError(f"has a direction for {', '.join(strangers)}, but no guardrail")
        return self

    @property
    def as_variable(self) -> str:
        """What the training gets: only what was asked for, as JSON; empty for nothing."""
        return self.model_dump_json(exclude_defaults=True) if self != Promotion() else ""


def _document_dataset_uri(schema: dict[str, Any]) -> None:
    """Let the schema say that the other name of dataset_repo is taken, too."""
    schema["properties"]["dataset_uri"] = {
        "type": "string",
        "maxLength": 2048,
        "deprecated": True,
        "description": "The same as dataset_repo, under the name that older instructions gave.",
    }


class RetrainRequest(_Body):
    """A retraining: which commit of which MLflow Project, with which data, base model and parameters."""

    # A field's first example stands in the OpenAPI document's example of a request.
    model_config = ConfigDict(json_schema_extra=_document_dataset_uri)

    experiment_name: Name = Field(description="MLflow experiment; made when it does not exist.", examples=["iris"])
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
        max_length=200,
        description="Values for the entry point's parameters.",
        examples=[{"alpha": 0.5, "epochs": 10}],
    )
    model_name: Name | None = Field(
        None,
        description="Registered model; reaches the project as its parameter model_name.",
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
        """Take the name that the predecessor's README documented for the field."""
        if not isinstance(body, dict) or "dataset_uri" not in body:
            return body
        body = dict(body)
        alias = body.pop("dataset_uri")
        if (body.get("dataset_repo") or alias) != alias:
            raise ValueError("dataset_uri and dataset_repo are the same field: give one of them")
        return {**body, "dataset_repo": alias}

    @field_validator("git_uri")
    @classmethod
    def _git_uri_is_an_address(cls, value: str) -> str:
        parse_git_uri(_no_control_characters(value))
        return value

    @field_validator("dataset_repo")
    @classmethod
    def _dataset_repo_is_an_address(cls, value: str | None) -> str | None:
        if value:
            parse_dataset_address(_no_control_characters(value))
        return value

    @field_validator("dataset_repo", "base_model")
    @classmethod
    def _empty_is_not_sent(cls, value: str | None) -> str | None:
        """The predecessor's README has its users send "" for what they do not use."""
        return value or None

    @field_validator("commit_hash")
    @classmethod
    def _commit_hash_is_a_ref(cls, value: str) -> str:
        if not REF.match(value):
            raise ValueError("is no branch, tag or commit SHA")
        return value

    @field_validator("MLproject_location")
    @classmethod
    def _location_stays_inside(cls, value: str) -> str:
        if value.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", value):
            raise ValueError("leaves the repository; give a folder inside it, such as examples/sklearn-dummy")
        return value

    @field_validator("parameters")
    @classmethod
    def _fields_are_not_parameters(cls, value: dict[str, ParameterValue]) -> dict[str, ParameterValue]:
        if twice := sorted(set(value) & set(FIELDS_AS_PARAMETERS)):
            raise ValueError(f"holds {', '.join(twice)}: give it as a field of the request, beside parameters")
        return value

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "RetrainRequest":
        """The request of a recorded job. It was checked at the door, and is not again: that costs, and rules change.

        What is not in the record has its default. What a later version added is left out: a worker that does not know
        all of it begins no attempt (shared.request_fields).
        """
        return _as_recorded(cls, record)

    @property
    def effective_concurrency_key(self) -> str:
        """The key that limits how many run at once: jobs that write one model run one after the other."""
        if self.concurrency_key:
            return self.concurrency_key
        return f"model:{self.model_name}" if self.model_name else f"experiment:{self.experiment_name}"

    def as_record(self) -> dict[str, Any]:
        """What is kept of it: only what differs from the defaults, so that older versions meet no field in vain."""
        return _without_defaults(self.model_dump(mode="json"), DEFAULTS)

    def without_credentials(self) -> tuple["RetrainRequest", "JobSecrets"]:
        """Split the request into what may be stored and shown, and the credentials that were in it."""
        source = parse_git_uri(self.git_uri)
        dataset = parse_dataset_address(self.dataset_repo) if self.dataset_repo else None
        changes = {"git_uri": source.uri, "dataset_repo": dataset.uri if dataset else None}
        return self.model_copy(update=changes), JobSecrets(source.credentials, dataset.credentials if dataset else None)


def _fields_of_model(model: type[BaseModel], before: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{before}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields_of_model(field.annotation, f"{before}{name}.")


DEFAULTS: Mapping[str, Any] = RetrainRequest(experiment_name="any", git_uri="https://any.example/any.git").model_dump(
    mode="json", exclude={"experiment_name", "git_uri"}
)
KNOWN_FIELDS = frozenset(_fields_of_model(RetrainRequest))  # by shared.request_fields' names


def with_defaults(record: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded request as it is shown: defaults filled in, and what this version does not know as it is."""
    return {**DEFAULTS} | {name: _filled(DEFAULTS.get(name), value) for name, value in record.items()}


def _without_defaults(sent: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """As pydantic's exclude_defaults, which keeps the defaults of fields that have a serializer of their own."""
    return {
        name: _without_defaults(value, defaults[name]) if isinstance(defaults.get(name), dict) else value
        for name, value in sent.items()
        if name not in defaults or value != defaults[name]
    }


def _filled(default: Any, value: Any) -> Any:
    return {**default, **value} if isinstance(default, dict) and isinstance(value, Mapping) else value


def _as_recorded(model: type[Model], record: Mapping[str, Any]) -> Model:
    known = {
        name: _value(model.model_fields[name], value) for name, value in record.items() if name in model.model_fields
    }
    return model.model_construct(**known)


def _value(field: FieldInfo, value: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
        return _as_recorded(field.annotation, value)
    return frozenset(value) if isinstance(value, list) else value  # of a set JSON makes a list; there are no others


def memory_bytes(value: str) -> int:
    """Bytes of a size such as '512m' or '8g' (powers of 1024)."""
    match = MEMORY.match(value.strip())
    if match is None:
        raise ValueError("is no size; use a number and a unit, such as 512m or 8g")
    count = int(float(match[1]) * MEMORY_UNITS[match[2].lower()])
    if count > MOST_BYTES:
        raise ValueError("is more than 1024t")
    return count
