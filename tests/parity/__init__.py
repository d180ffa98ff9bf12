"""Projects through `mlflow run` and through us, side by side: `make parity` prints the table that CI makes, too."""
