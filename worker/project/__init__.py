"""Turns an MLflow Project into a command and an environment: its file, its entry points, its parameters. Pure."""
