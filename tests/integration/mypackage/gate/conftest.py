"""The fixtures that the gate's tests share."""

from tests.support.projects.gate import client, empty_database, model, retrain

__all__ = ["client", "empty_database", "model", "retrain"]
