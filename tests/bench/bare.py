"""What the HTTP rows are compared with: the least that takes work over HTTP, Flask and Celery's delay() on Redis."""

import os
import sys
from typing import Any

import waitress  # type: ignore[import-untyped]
from celery import Celery
from flask import Flask, request

REDIS_VARIABLE = "BARE_REDIS_URL"
THREADS = 32  # as many as the API has


def make_celery(redis_url: str) -> Celery:
    """Return an app with Celery's own defaults, which keeps results as ours does."""
    return Celery("bare", broker=redis_url, backend=redis_url)


celery = make_celery(os.environ.get(REDIS_VARIABLE, ""))


@celery.task(name="bare.run")
def run(body: dict[str, Any]) -> str:
    """Do nothing."""
    return str(body["experiment_name"])


def make_app() -> Flask:
    """Return an app with the two operations that are compared."""
    app = Flask("bare")

    @app.post("/retrain")
    def submit() -> tuple[dict[str, str], int]:
        return {"id": run.delay(request.get_json()).id}, 202

    @app.get("/jobs/<job_id>")
    def job(job_id: str) -> dict[str, Any]:
        result = celery.AsyncResult(job_id)
        return {"id": job_id, "state": result.state, "result": result.result}

    return app


if __name__ == "__main__":
    waitress.serve(make_app(), host="127.0.0.1", port=int(sys.argv[1]), threads=THREADS)
