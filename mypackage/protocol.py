"""What the service and a training must agree on: the names of variables and tags, and their values.

The worker and the API import only this module of mypackage; it needs only the standard library. Copies of mypackage
are part of images that may never be rebuilt, so a name may be added here, but never changed.
"""

import re
from typing import Final

# Variables that the worker sets for a training. A process without them was not started by the service.
JOB_VARIABLE: Final = "RETRAIN_JOB_ID"
ATTEMPT_VARIABLE: Final = "RETRAIN_ATTEMPT"
REQUEST_VARIABLE: Final = "RETRAIN_REQUEST_ID"  # the id of the HTTP request that created the job
RUN_VARIABLE: Final = "RETRAIN_RUN_ID"  # the attempt's MLflow run
MLFLOW_RUN_VARIABLE: Final = "MLFLOW_RUN_ID"  # the same; MLflow removes it on first use
PROMOTION_VARIABLE: Final = "RETRAIN_PROMOTION"  # the request's rules for the gate, as JSON
GATE_VARIABLE: Final = "RETRAIN_GATE"  # GATE_OF_SERVICE: trainings propose models, and the service decides afterwards
GATE_OF_SERVICE: Final = "service"
PINNED_DATASET_VARIABLE: Final = "RETRAIN_DATASET_REPO"  # dataset_repo, with the revision that the service found
CACHE_VARIABLE: Final = "RETRAIN_CACHE"  # a folder that all jobs of the host share
CACHE_BYTES_VARIABLE: Final = "RETRAIN_CACHE_MAX_BYTES"

# Tags of the attempt's MLflow run that the worker sets.
JOB_TAG: Final = "retrain.job_id"  # of a model version, too
ATTEMPT_TAG: Final = "retrain.attempt"
REQUEST_TAG: Final = "retrain.request_id"
TRIGGER_TAG: Final = "retrain.trigger"  # the trigger that fired the job; absent for a person's request
TRIGGERED_BY_TAG: Final = "retrain.triggered_by"  # the occurrence, as JSON: its kind, key and time, and its facts
FENCED_TAG: Final = "retrain.fenced"  # FENCED if the attempt was given up: then the gate promotes nothing
FENCED: Final = "true"
REFUSED_TAG: Final = "retrain.refused"  # what the guard before MLflow refused to the attempt, as JSON
EVALUATE_TAG: Final = "retrain.evaluate"  # there if the project has an entry point that evaluates a model
EVALUATED_TAG: Final = "retrain.evaluated"  # of a run nested under the attempt's: which model was evaluated in it
ENDED_TAG: Final = "retrain.evaluation_ended"  # of the same
SCORES_FILE: Final = "scores.csv"  # an artifact of that run: id, score and other columns of each example

# Tags of the run that the training sets.
DECISION_TAG: Final = "retrain.decision"  # the gate's decision, as JSON; the service replaces what was expected
PROPOSAL_TAGS: Final = "retrain.proposal."  # of the job's own run: one for each model that it proposes, as JSON
PROMOTED_TAG: Final = "retrain.promoted"
EVALUATION_TAG: Final = "retrain.eval_dataset"
DATASET_TAGS: Final = "dataset."  # the dataset that was fetched: one tag for each of its fields
BASE_MODEL_TAGS: Final = "base_model."  # likewise

# Tags of a registered model and its versions that the training sets, and the API with a rollback.
RUN_TAG: Final = "retrain.run_id"
JOB_RUN_TAG: Final = "retrain.job_run_id"  # the job's own run, if the model is of another one
METRIC_TAG: Final = "retrain.metric"
METRIC_VALUE_TAG: Final = "retrain.metric_value"
GATE_TAGS: Final = "retrain.gate."  # of the model: a mark for each gate that is deciding now
ROLLBACK_TAGS: Final = "retrain.rollback_"

CHAMPION: Final = "champion"  # the alias of the version in use
PREVIOUS: Final = "previous"  # the alias of the one before it

# What a project gets for a required parameter that the request does not set: the predecessor's words.
NO_BASE_MODEL: Final = "None"
NO_DATASET: Final = "not_used"

# What base_model may name in the registry: models:/name/version or models:/name@alias.
REGISTERED_MODEL: Final = re.compile(r"^models:/(?P<name>[^/]+?)(?:/(?P<version>[0-9]+)|@(?P<alias>[^/@]+))$")
