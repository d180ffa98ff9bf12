"""What the service remembers of MLflow."""
