"""MLproject files as MLflow reads them."""

from pathlib import Path

import pytest

from shared.errors import Code, UserError
from worker.project.entry_points import EntryPoint, EnvironmentVariable, Parameter
from worker.project.loading import load_project

FULL = """\
name: iris
docker_env:
  image: python:3.11-slim
  volumes: ["/data:/data:ro"]
  environment: [["MODE", fast], ["SEED", 3], HTTP_PROXY]
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.5}
      lower: {type: bool, default: False}
      name: string
      note: {default: ""}
    command: "python train.py {alpha} {lower} {name} {note}"
  check:
    command: "python check.py"
"""


def write(folder: Path, text: str, name: str = "MLproject") -> Path:
    (folder / name).write_text(text)
    return folder


def refusal(folder: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        load_project(folder)
    assert caught.value.code is Code.INVALID_PROJECT
    return caught.value


def test_a_project_is_what_its_file_says(tmp_path: Path) -> None:
    project = load_project(write(tmp_path, FULL))
    assert (project.name, project.image, project.volumes) == ("iris", "python:3.11-slim", ("/data:/data:ro",))
    assert project.environment == (
        EnvironmentVariable("MODE", "fast"),
        EnvironmentVariable("SEED", "3"),
        EnvironmentVariable("HTTP_PROXY"),
    )
    parameters = (
        Parameter("alpha", "float", "0.5"),
        Parameter("lower", "bool", "False"),
        Parameter("name", "string", None),
        Parameter("note", "string", ""),
    )
    assert project.entry_point("main") == EntryPoint(
        "main", "python train.py {alpha} {lower} {name} {note}", parameters
    )
    assert project.entry_point("check").parameters == ()


def test_a_project_without_a_docker_env_has_no_image(tmp_path: Path) -> None:
    assert load_project(write(tmp_path, "name: iris", name="mlproject")).image is None


def test_a_missing_file_is_said_with_what_is_there(tmp_path: Path) -> None:
    write(tmp_path, "", name="train.py")
    error = refusal(tmp_path)
    assert error.message == "The folder has no MLproject file (it has: train.py). Check MLproject_location."
    assert error.facts["names"] == ("train.py",)


def test_two_files_are_not_chosen_from(tmp_path: Path) -> None:
    write(write(tmp_path, "name: a"), "name: b", name="mlproject")
    assert "MLproject, mlproject" in refusal(tmp_path).message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a mapping"),
        ("- a list", "not a mapping"),
        ("name: [", "line 1"),
        ("name: 'a\nentry_points: {}", "not YAML"),
        ("name: a\n\ttab: b", "line 2"),
        ("\u0000", "not YAML"),
        ("[" * 60_000, "nested deeper"),
        ("date: 2024-99-99", "cannot read"),
        ("x: " + "y" * 70_000, "larger than"),
        ("a: &a [b]\nc: &c [" + "*a, " * 3000 + "]\nd: [" + "*c, " * 3000 + "]", "aliases"),
        ("docker_env: {}", "docker_env.image"),
        ("docker_env: {image: }", "docker_env.image"),
        ("docker_env: {image: 3.11}", "docker_env.image"),
        ("docker_env: image", "docker_env"),
        ("docker_env:", "docker_env"),
        ("docker_env: {image: a, volumes: /data}", "docker_env.volumes"),
        ("docker_env: {image: a, environment: {A: b}}", "docker_env.environment"),
        ("docker_env: {image: a, environment: [[A]]}", "docker_env.environment"),
        ("docker_env: {image: a}\nconda_env: MLproject", "docker_env and conda_env, and MLflow takes only one"),
        ("conda_env: conda.yaml", "conda_env"),
        ("python_env: ../../etc/passwd", "python_env"),
        ("python_env: /etc/passwd", "python_env"),
        ("databricks_spark_job: {}", "databricks_spark_job"),
        ("entry_points:", "entry_points"),
        ("entry_points: [main]", "entry_points"),
        ("entry_points: {main: python train.py}", "entry point"),
        ("entry_points: {main: {}}", "no command for its entry point 'main'"),
        ("entry_points: {main: {command: [python, train.py]}}", "no command for its entry point 'main'"),
        ("entry_points: {main: {command: a, parameters: [alpha]}}", "parameters of its entry point 'main'"),
        ("entry_points: {main: {command: a, parameters: }}", "nothing under parameters of its entry point 'main'"),
        ("entry_points: {main: {command: a, parameters: {alpha: }}}", "'alpha'"),
        ("entry_points: {main: {command: a, parameters: {alpha: 0.5}}}", "'alpha'"),
        ("entry_points: {main: {command: a, parameters: {2024-01-31: int}}}", "cannot read"),
        ("entry_points: {main: {command: a, parameters: {alpha: {type: [int]}}}}", "'alpha'"),
    ],
)
def test_a_wrong_file_is_said_in_plain_words(tmp_path: Path, text: str, problem: str) -> None:
    error = refusal(write(tmp_path, text))
    assert problem in error.message
    assert str(tmp_path) not in error.message
    assert len(error.message) < 500


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in refusal(tmp_path).message


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret", "MLproject", "gone"])
def test_a_link_out_of_the_project_is_not_read(tmp_path: Path, target: str) -> None:
    write(tmp_path, "secret: [of the host", name="secret")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "MLproject").symlink_to(target)
    message = refusal(folder).message
    assert "of the host" not in message
    assert "root:" not in message


def test_a_link_inside_the_project_is_followed(tmp_path: Path) -> None:
    write(tmp_path, FULL, name="project.yaml")
    (tmp_path / "MLproject").symlink_to("project.yaml")
    assert load_project(tmp_path).name == "iris"
