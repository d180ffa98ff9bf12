"""Talks to MLflow: its tracking server, and its loader of projects. Nothing else in the worker imports mlflow."""
