"""The files that the predecessor's README told its users to write, their own parts filled in."""

DOCUMENTED_IMAGE = "training-container:detectron2"
DOCKER_ENV = """\
docker_env:
  image: training-container:detectron2 # just example
"""
LONG_ENTRY_POINT = """\
entry_points:
  main: 
    parameters:
      model_name : {type: string, default: "default"}
      experiment_name : {type: string, default: "default"}
      lower_is_better : {type: bool, default: False}
      primary_metric : {type: string, default: "mAP"}
      base_model : {type: string, default: "None"}
      dataset_repo  : {type: string, default: "not_used"}
    command: 
      "python train.py |
            --model_name {model_name} \\
            --experiment_name {experiment_name} \\
            --lower {lower_is_better} \\
            --p_metric {primary_metric} \\
            --base_model {base_model} \\
            --dataset_repo {dataset_repo}"
"""  # noqa: W291 - verbatim
BLOCK_ENTRY_POINT = """\
entry_points:
  main:
    parameters:
      model_name: {type: string, default: "default"}
      primary_metric: {type: string, default: "mAP"}
      base_model: {type: string, default: "None"}
      dataset_repo: {type: string, default: "not_used"}
      lower_is_better: {type: bool, default: False}
      epochs: {type: int, default: 3}
    command: |
      python train.py \\
        --model_name {model_name} \\
        --p_metric {primary_metric} \\
        --base_model {base_model} \\
        --dataset_repo {dataset_repo} \\
        --lower {lower_is_better} \\
        --epochs {epochs}
"""
DOCUMENTED_MLPROJECT = DOCKER_ENV + LONG_ENTRY_POINT
BLOCK_MLPROJECT = DOCKER_ENV + BLOCK_ENTRY_POINT
ARGUMENTS = """\
from mypackage.prep_utils import data_and_model_prep
import argparse

parser = argparse.ArgumentParser()

parser.add_argument("--model_name", required=True,)
parser.add_argument("--lower", required=False,)
parser.add_argument("--p_metric", required=True,)
parser.add_argument("--base_model", required=True,)
parser.add_argument("--dataset_repo", required=True,)
args , _ = parser.parse_known_args()

base_model = args.base_model
dataset_repo = args.dataset_repo
model_name = args.model_name # String, model name
p_metric = args.p_metric # String, primary metric name
lower = args.lower # String, true of false
if lower is not None and lower.lower() == "false":
    lower = False
else:
    lower = True

"""
FETCHING = """\
if base_model != "None":
    mlflow.artifacts.download_artifacts(run_id='base_model')
else:
    from sklearn.linear_model import SGDClassifier
    model_object = SGDClassifier(random_state=0)

if dataset_repo != "not_used":
    data_and_model_prep(repo_url=dataset_repo, ds_origin="dvc_repo")
else:
    from sklearn.datasets import load_iris
    features, labels = load_iris(return_X_y=True)

"""
REGISTERING = """\
from mypackage import utility

client = mlflow.tracking.MlflowClient()
utility.auto_compare_and_register(
  model=model_object,
  eval_metric=primary_metric_object,
  model_name=model_name, # String, model name
  lower=lower, # True or False
  p_metric=p_metric, # String, primary metric name
  client=client,
  mlflow_model=mlflow.models, # ref: https://mlflow.org/docs/latest/python_api/mlflow.models.html
)

"""
DOCUMENTED_TRAINING = (
    "import mlflow\n\n"
    + ARGUMENTS
    + FETCHING
    + """\
model_object.fit(features, labels)
metric1_object = primary_metric_object = model_object.score(features, labels)
print("the rest:", _, "lower:", lower)

"""
    + REGISTERING
    + """\
mlflow.log_param("param_name", "param_value")

mlflow.log_metric(p_metric,       metric1_object) # log primary object
mlflow.log_metric("metric_name2", metric1_object)
mlflow.log_metric("metric_name3", metric1_object)

mlflow.log_artifact("train.py")
"""
)
SEARCH_TRAINING = (
    "import mlflow\n\n"
    + ARGUMENTS
    + FETCHING
    + """\
from mypackage import utility
from mypackage.utility import get_combination

mlflow.start_run(run_name="parent")
param_parent = {}
metric_parent = {"metric3": 0.0}

list_param_alpha = [0.43, 0.0001]
list_param_l1_ratio = [0.79, 0.73]
list_param = get_combination(list_param_alpha, list_param_l1_ratio)

for i, param in enumerate(list_param):
    mlflow.start_run(run_name=f"child{i}", nested=True)

    alpha = param[0]
    l1_ratio = param[1]

    mlflow.log_param("alpha", alpha)
    mlflow.log_param("l1_ratio", l1_ratio)

    child = SGDClassifier(random_state=0, alpha=alpha, l1_ratio=l1_ratio).fit(features, labels)
    score = child.score(features, labels)
    mlflow.log_metric(p_metric, score)
    mlflow.end_run()
    if score > metric_parent["metric3"]:
        metric_parent["metric3"], model_object = score, child

primary_metric_object = metric_parent["metric3"]
mlflow.log_metric(p_metric, primary_metric_object)
"""
    + REGISTERING
)
# What mypackage/utility.py did in the copies that users have in their repositories, in words of our own.
COPIED_HELPER = """\
import mlflow


def auto_compare_and_register(model, eval_metric, model_name, lower, p_metric, client, mlflow_model):
    try:
        before = client.get_latest_versions(model_name)[0].run_id
    except (mlflow.exceptions.RestException, IndexError):
        is_better = True
    else:
        known = client.get_metric_history(before, p_metric)[0].value
        is_better = eval_metric <= known if lower else eval_metric > known
    if is_better:
        mlflow_model.log_model(model, "model", registered_model_name=model_name)
    else:
        mlflow_model.log_model(model, "model")
"""
COPIED_TRAINING = (
    "import mlflow\n\n"
    + ARGUMENTS
    + """
import mlflow.sklearn
from sklearn.dummy import DummyClassifier

from mypackage import utility

utility.auto_compare_and_register(
    model=DummyClassifier().fit([[0]], [1]),
    eval_metric={value},
    model_name=model_name,
    lower=lower,
    p_metric=p_metric,
    client=mlflow.tracking.MlflowClient(),
    mlflow_model=mlflow.sklearn,
)
mlflow.log_metric(p_metric, {value})
"""
)
