"""How a model is logged: by the flavor of its library, so that it can be loaded again."""

from types import ModuleType
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient
from sklearn.ensemble import RandomForestClassifier  # type: ignore[import-untyped]
from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]

from mypackage import flavors
from tests.support.projects.gate import MLFLOWS_OWN_WARNINGS, MODEL

pytestmark = MLFLOWS_OWN_WARNINGS


@pytest.mark.parametrize("mlflow_model", [mlflow.models, mlflow.sklearn, None])
def test_the_flavor_is_found_by_the_models_class(retrain: Any, mlflow_model: ModuleType | None) -> None:
    record = retrain(0.95, mlflow_model=mlflow_model)
    loaded = mlflow.sklearn.load_model(f"models:/{MODEL}/{record.model_version}")
    assert loaded.predict([[2.0]]) == pytest.approx([2.0])


def test_a_python_model_is_logged_as_pyfunc(retrain: Any) -> None:
    class Doubler(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined, unused-ignore]
        def predict(self, context: Any, model_input: list[float], params: Any = None) -> list[float]:
            return [2 * value for value in model_input]

    record = retrain(0.95, model=Doubler(), mlflow_model=mlflow.models)
    assert mlflow.pyfunc.load_model(f"models:/{MODEL}/{record.model_version}").predict([2.0]) == [4.0]


def test_a_model_whose_types_mlflow_does_not_trust_by_itself_can_be_loaded_again(retrain: Any) -> None:
    forest = RandomForestClassifier(n_estimators=2).fit(np.array([[0.0], [1.0]]), np.array([0, 1]))
    record = retrain(0.95, model=forest)
    assert list(mlflow.sklearn.load_model(f"models:/{MODEL}/{record.model_version}").predict([[1.0]])) in ([0], [1])


def test_without_skops_the_model_is_still_logged(retrain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flavors, "_skops_types", lambda model: None)
    assert retrain(0.95).promoted


def test_a_model_of_an_unknown_library_names_its_class_and_what_to_pass(retrain: Any) -> None:
    with pytest.raises(ValueError, match=r"builtins\.dict.*Pass the flavor itself"):
        retrain(0.95, model={}, mlflow_model=mlflow.models)


def test_an_mlflow_2_flavor_is_called_by_its_old_parameter(model: LinearRegression) -> None:
    calls: list[tuple[object, str]] = []

    class OldFlavor:
        @staticmethod
        def log_model(sk_model: object, artifact_path: str) -> Any:
            calls.append((sk_model, artifact_path))
            return type("ModelInfo", (), {"model_uri": "runs:/1/model"})

    assert flavors.log_model(model, OldFlavor) == "runs:/1/model"
    assert calls == [(model, "model")]


def test_what_train_py_says_of_the_model_is_passed_on(client: MlflowClient, retrain: Any) -> None:
    example = np.array([[0.5]])
    retrain(0.95, tags={"team": "vision"}, input_example=example, pip_requirements=["scikit-learn"])
    assert client.get_model_version(MODEL, "1").tags["team"] == "vision"
    info = mlflow.models.get_model_info(f"models:/{MODEL}/1")
    assert info.signature is not None
    assert info.saved_input_example_info is not None
