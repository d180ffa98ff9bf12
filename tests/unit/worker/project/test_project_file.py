"""Names in an MLproject file that no file system takes."""

import json
from pathlib import Path

import pytest

from shared.errors import Code, UserError
from worker.project.mlproject_file import check_project_file


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 5000], ids=["NUL", "half a character", "too long"])
@pytest.mark.parametrize("key", ["python_env", "conda_env"])
def test_an_environment_file_that_cannot_be_one_is_the_projects_fault(tmp_path: Path, key: str, name: str) -> None:
    (tmp_path / "MLproject").write_text(f"name: a\n{key}: {json.dumps(name)}\n")
    with pytest.raises(UserError, match=key) as caught:
        check_project_file(tmp_path)
    assert caught.value.code is Code.INVALID_PROJECT


def project_with_aliases(value: str) -> str:
    defaults = "".join(f"      p{number}: {{type: string, default: *v}}\n" for number in range(60))
    return (
        f"name: iris\nv: &v {value}\nentry_points:\n  main:\n    command: python train.py\n    parameters:\n{defaults}"
    )


def test_any_number_of_aliases_of_short_values_is_read_and_only_few_of_what_grows(tmp_path: Path) -> None:
    file = tmp_path / "MLproject"
    for value in ("0.1", "!!str 1"):
        file.write_text(project_with_aliases(value))
        check_project_file(tmp_path)
    for value in ("[1, 2]", "{a: 1}", "x" * 1000):
        file.write_text(project_with_aliases(value))
        with pytest.raises(UserError, match="YAML aliases"):
            check_project_file(tmp_path)
