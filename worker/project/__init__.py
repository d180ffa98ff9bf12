"""An MLflow Project: its file, its entry points, and the command and environment that they become. Pure."""
