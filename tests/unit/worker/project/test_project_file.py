"""An MLproject file before MLflow reads it: which one it is, what it names, and how large it may become."""

import json
import time
from pathlib import Path

import pytest
import yaml

from shared.errors import Code, UserError
from worker.project.mlproject_file import read_document


@pytest.mark.parametrize("key", ["python_env", "conda_env"])
def test_an_environment_file_that_cannot_be_one_is_the_projects_fault(tmp_path: Path, key: str) -> None:
    (tmp_path / "MLproject").write_text(f"name: a\n{key}: {'x' * 5000}\n")
    with pytest.raises(UserError, match=key) as caught:
        read_document(tmp_path)
    assert caught.value.code is Code.INVALID_PROJECT


@pytest.mark.parametrize("where", ["name: V", "conda_env: V", "docker_env: {image: a, environment: [[A, V]]}", "V: a"])
@pytest.mark.parametrize(
    ("value", "what"),
    [
        (r'"a\0b"', "contains a NUL character"),
        (r'"\ud800"', r"half of a character \(U\+D800\)"),
        (f"0x{'f' * 6000}", "cannot read"),
    ],
    ids=["NUL", "half a character", "a number without end"],
)
def test_what_no_program_can_be_given_is_the_projects_fault(tmp_path: Path, where: str, value: str, what: str) -> None:
    if where == "V: a":
        where, value = "V", f"? {value}\n: a"
    (tmp_path / "MLproject").write_text(f"{where.replace('V', value)}\n")
    with pytest.raises(UserError, match=what) as caught:
        read_document(tmp_path)
    assert caught.value.code is Code.INVALID_PROJECT


@pytest.mark.parametrize("entry", ['["A=B", v]', '["", v]', '""'])
def test_a_variable_that_no_process_can_have_is_refused(tmp_path: Path, entry: str) -> None:
    (tmp_path / "MLproject").write_text(f"docker_env: {{image: a, environment: [{entry}]}}\n")
    with pytest.raises(UserError, match="not a list of names"):
        read_document(tmp_path)


@pytest.mark.parametrize("value", ["b", 'say "b"', "C:\\b", "ü", ""])
def test_how_mlflow_has_a_variable_of_compose_is_said_so_that_yaml_reads_it(tmp_path: Path, value: str) -> None:
    file, document = tmp_path / "MLproject", {"docker_env": {"image": "a", "environment": [f"A={value}"]}}
    file.write_text(json.dumps(document))
    with pytest.raises(UserError, match="write it as") as caught:
        read_document(tmp_path)
    advised = yaml.safe_load(caught.value.message.partition("write it as ")[2].removesuffix("."))
    assert advised == ["A", value]


def project_with_aliases(value: str) -> str:
    defaults = "".join(f"      p{number}: {{type: string, default: *v}}\n" for number in range(60))
    return (
        f"name: iris\nv: &v {value}\nentry_points:\n  main:\n    command: python train.py\n    parameters:\n{defaults}"
    )


@pytest.mark.parametrize("value", ["0.1", "!!str 1", "[1, 2]", "{a: 1}", "x" * 1000])
def test_any_number_of_aliases_is_read(tmp_path: Path, value: str) -> None:
    (tmp_path / "MLproject").write_text(project_with_aliases(value))
    read_document(tmp_path)


DOUBLED = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
MERGED = "a0: &a0 {k: x}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 20))
LONG = f"a: &a {'x' * 30_000}\nb: [{'*a, ' * 40}]\n"


@pytest.mark.parametrize("text", [DOUBLED, MERGED, LONG], ids=["doubled", "merged", "long"])
def test_aliases_that_multiply_are_refused_before_anything_is_built(tmp_path: Path, text: str) -> None:
    (tmp_path / "MLproject").write_text(f"name: a\n{text}")
    started = time.monotonic()
    with pytest.raises(UserError, match="YAML aliases that stand for more than 1000000 characters"):
        read_document(tmp_path)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: [1, *a]}", "&a name: {x: &b [*b]}"])
def test_an_alias_of_what_it_is_in_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "MLproject").write_text(text)
    with pytest.raises(UserError, match="stand for what they are in"):
        read_document(tmp_path)


def test_what_is_large_without_any_alias_is_read_up_to_the_files_limit(tmp_path: Path) -> None:
    (tmp_path / "MLproject").write_text(f"name: a\nnotes: {'x' * 60_000}\n")
    assert read_document(tmp_path)["name"] == "a"


def test_only_a_file_counts_as_the_project_file(tmp_path: Path) -> None:
    (tmp_path / "MLProject").mkdir()
    (tmp_path / "MLproject").write_text("name: a\n")
    (tmp_path / "train.py").touch()
    assert read_document(tmp_path) == {"name": "a"}
    (tmp_path / "MLproject").unlink()
    with pytest.raises(UserError, match="has no MLproject file"):
        read_document(tmp_path)


def test_what_a_file_names_may_be_anywhere_in_its_repository_and_nowhere_else(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    (repository / "flow").mkdir(parents=True)
    (tmp_path / "environment.yml").touch()
    (repository / "flow/MLproject").write_text("name: a\nconda_env: ../environment.yml\n")
    (repository / "environment.yml").touch()
    read_document(repository / "flow", repository)
    (repository / "environment.yml").unlink()
    with pytest.raises(UserError, match=r"does not have: '../environment.yml'"):
        read_document(repository / "flow", repository)
    (repository / "flow/MLproject").write_text("name: a\nconda_env: ../../environment.yml\n")
    with pytest.raises(UserError, match="conda_env"):
        read_document(repository / "flow", repository)


def test_the_file_may_be_a_link_inside_the_repository_but_not_out_of_it(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    (repository / "flow").mkdir(parents=True)
    for place in (repository, tmp_path):
        (place / "shared").write_text("name: a\n")
    (repository / "flow/MLproject").symlink_to("../shared")
    read_document(repository / "flow", repository)
    (repository / "flow/MLproject").unlink()
    (repository / "flow/MLproject").symlink_to("../../shared")
    with pytest.raises(UserError, match="leads out of the repository"):
        read_document(repository / "flow", repository)
