"""Talks to MLflow: its tracking server, and its loader of projects. Nothing else in the worker imports mlflow."""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # telemetry starts on import, and calls home
