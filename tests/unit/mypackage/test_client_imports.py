"""What is loaded with the client, and what with a training."""

import subprocess
import sys


def loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_importing_the_client_loads_no_mlflow_and_no_command_line() -> None:
    assert not {"mlflow", "click", "rich", "mypackage.cli"} & loaded_by("mypackage.client")


def test_a_training_loads_no_client_and_no_command_line() -> None:
    loaded = loaded_by("mypackage.utility")
    assert not {"rich", "mypackage.cli", "mypackage.client"} & loaded
    assert "click" not in loaded - loaded_by("mlflow")
