"""The OpenAPI document, made from the views and their models. `python -m api.openapi [FILE]` prints or writes it."""

import json
import sys
from pathlib import Path
from typing import Any

from flask_openapi3.models.info import Info
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from api.openapi import examples
from api.openapi.answers import SCHEMAS
from api.queries import AlertTestRequest, CancelRequest, ChampionRequest, DrainRequest, RetryRequest
from api.schemas import AlertTestResults, Champion, Health, Job, JobPage, Problem, Ready, Worker, WorkerList
from api.views import alerts, health, jobs, logs, models, retrain, workers
from shared.requests.retrain_request import RetrainRequest

BLUEPRINTS = (
    retrain.blueprint,
    jobs.blueprint,
    logs.blueprint,
    models.blueprint,
    workers.blueprint,
    alerts.blueprint,
    health.blueprint,
)
INFO = Info(
    title="Automated Training",
    version="1.0.0",
    description="Retrains models: send it a git repository with an MLflow Project, and follow the job.",
)
MODELS: list[tuple[type[BaseModel], JsonSchemaMode]] = [
    (RetrainRequest, "validation"),
    (CancelRequest, "validation"),
    (RetryRequest, "validation"),
    (AlertTestRequest, "validation"),
    (ChampionRequest, "validation"),
    (DrainRequest, "validation"),
    *(
        (model, "serialization")
        for model in (Job, JobPage, Champion, Worker, WorkerList, AlertTestResults, Problem, Health, Ready)
    ),
]
BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "One of API_TOKENS. Where none are set, the API serves its own machine only, without a token.",
}


def document() -> dict[str, Any]:
    """The whole document."""
    tags = {tag.name: tag.model_dump(exclude_none=True) for blueprint in BLUEPRINTS for tag in blueprint.tags}
    return {
        "openapi": "3.1.0",
        "info": INFO.model_dump(exclude_none=True),
        "tags": list(tags.values()),
        "paths": _paths(),
        "components": {"schemas": _schemas(), "securitySchemes": {"bearer": BEARER}},
    }


def _paths() -> dict[str, Any]:
    """The operations as flask-openapi3 collected them from the views."""
    found = {
        path: item.model_dump(mode="json", by_alias=True, exclude_unset=True)
        for blueprint in BLUEPRINTS
        for path, item in blueprint.paths.items()
    }
    for path in ("/jobs/{job_id}/cancel", "/jobs/{job_id}/retry", "/alerts/test", "/workers/{host}/drain"):
        found[path]["post"]["requestBody"]["required"] = False
    for item in found.values():
        for operation in item.values():  # flask-openapi3 makes HTML of a docstring, where Markdown is meant
            operation["description"] = operation.get("description", "").replace("<br/>", "\n").strip()
    found["/retrain"]["post"]["requestBody"]["content"]["application/json"]["examples"] = examples.REQUESTS
    found["/retrain"]["post"]["responses"]["202"]["content"]["application/json"]["example"] = examples.NEW_JOB
    found["/jobs/{job_id}"]["get"]["responses"]["200"]["content"]["application/json"]["example"] = examples.JOB
    return found


def _schemas() -> dict[str, Any]:
    """The models' schemas, whole: flask-openapi3 knows only some of JSON Schema's words and drops the others."""
    _, schema = models_json_schema(MODELS, ref_template=f"{SCHEMAS}{{model}}")
    schemas: dict[str, Any] = schema["$defs"]
    properties = schemas["RetrainRequest"]["properties"]
    properties["dataset_uri"] = {
        "type": "string",
        "maxLength": 2048,
        "deprecated": True,
        "description": "The same as dataset_repo, under the name that older instructions gave.",
    }
    return schemas


def as_text() -> str:
    """The document as the file docs/openapi.json holds it."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Print the document, or write it to a file."""
    if arguments:
        Path(arguments[0]).write_text(as_text(), encoding="utf-8")
    else:
        sys.stdout.write(as_text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
