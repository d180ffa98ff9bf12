"""A registry on loopback that speaks MLflow's REST API as far as the API asks, and answers oddly as the test says."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, request

from tests.support.servers.served_app import ServedApp


class OddMlflow:
    """A model with version 2 as champion. ``odd`` are other answers, by path; ``stuck`` aliases do not move."""

    def __init__(self) -> None:
        self.aliases = {"champion": "2"}
        self.odd: dict[str, Any] = {}
        self.stuck: set[str] = set()
        self.authorization: str | None = None
        app = Flask("odd-mlflow")
        app.add_url_rule("/api/2.0/mlflow/<path:path>", view_func=self._answer, methods=["GET", "POST"])
        self.served = ServedApp(app)

    def _answer(self, path: str) -> Any:
        self.authorization = request.headers.get("Authorization")
        if path in self.odd:
            return self.odd[path]
        if path == "registered-models/alias" and request.method == "POST":
            body = request.get_json()
            if body["alias"] in self.stuck:
                return {"error_code": "INTERNAL_ERROR"}, 500
            self.aliases[body["alias"]] = body["version"]
            return {}
        if path == "registered-models/alias":
            return {"model_version": {"version": self.aliases[request.args["alias"]]}}
        return {"model_version": {"version": "1"}}


@contextmanager
def odd_mlflow() -> Iterator[OddMlflow]:
    """Serve one until the end."""
    mlflow = OddMlflow()
    mlflow.served.start()
    try:
        yield mlflow
    finally:
        mlflow.served.stop()
