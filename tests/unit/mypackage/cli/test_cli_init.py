"""`retrain init` turns a folder with a training script into a project, and changes nothing that is there."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from mypackage.cli.main import main
from mypackage.cli.project import faults
from mypackage.cli.script_options import read_script
from tests.support.retrain_command import git
from worker.project.entry_points import assemble, render
from worker.project.loading import load_project

SCRIPT = """\
import argparse
import sklearn.svm, helper, odd_one
from mypackage import utility
parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("-r", "--learning-rate", type=float, default=1e-5, help="how fast")
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--model_name")
parser.add_argument("--note", default='it\\'s "{so}"')
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--fast", action="store_true")
parser.add_argument("--layers", type=int, nargs="+", default=[1])
parser.add_argument("--flag", type=bool, default=False)
parser.add_argument("--steps", default=5)
parser.add_argument("--resume")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "My Iris"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text(SCRIPT)
    (folder / "helper.py").touch()
    monkeypatch.chdir(folder)
    return folder


def init(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["init", *arguments])
    assert result.exit_code == code, result.output
    return result


def test_options_of_one_value_become_parameters_with_the_same_defaults(folder: Path) -> None:
    init()
    main_ = load_project(folder).entry_point("main")
    assert {each.name: (each.type, each.default) for each in main_.parameters} == {
        "data": ("string", None),
        "learning_rate": ("float", "1e-05"),
        "epochs": ("int", "3"),
        "model_name": ("string", "My Iris"),
        "note": ("string", 'it\'s "{so}"'),
        "seed": ("int", None),
    }
    values = assemble(main_, fields={"model_name": "iris"}, parameters={"data": "d.csv", "seed": 1})
    command = render(main_, values).command
    assert command.startswith("python train.py d.csv --learning-rate 1e-05 --epochs 3 --model_name iris --note ")
    project = yaml.safe_load((folder / "MLproject").read_text())
    assert faults(project, {"parameters": {"data": "d", "seed": "1"}, "model_name": "m"}) == []


def test_the_image_gets_what_the_script_imports_and_the_next_commands_are_told(folder: Path) -> None:
    told = init().stdout
    assert 'pip install --no-cache-dir "mlflow-skinny>=3" scikit-learn skops\n' in (folder / "Dockerfile").read_text()
    assert load_project(folder).image == "my-iris:1"
    assert "nothing for: odd_one." in told
    assert "docker build -t my-iris:1 ." in told
    assert (folder / "mypackage/utility.py").is_file()
    assert not list(folder.rglob("__pycache__"))
    assert "git add MLproject Dockerfile mypackage train.py && git commit" in told
    assert "retrain submit --follow -P data=VALUE -P seed=VALUE" in told


def test_a_requirements_file_and_an_image_of_the_projects_own_are_used(folder: Path) -> None:
    (folder / "requirements.txt").write_text("scikit-learn\n")
    assert "nothing for" not in init().stdout
    assert "-r /tmp/requirements.txt" in (folder / "Dockerfile").read_text()
    (folder / "MLproject").unlink()
    (folder / "Dockerfile").write_text("FROM mine\n")
    init()
    assert (folder / "Dockerfile").read_text() == "FROM mine\n"


def test_nothing_is_overwritten(folder: Path) -> None:
    (folder / "mlproject").write_text("name: mine\n")
    assert "mlproject is there already" in init(code=2).stderr
    assert (folder / "mlproject").read_text() == "name: mine\n"
    assert sorted(each.name for each in folder.iterdir()) == [".git", "helper.py", "mlproject", "train.py"]


def test_what_init_needs_is_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    assert "git init" in init(str(tmp_path / "bare"), code=2).stderr
    (folder / "train.py").rename(folder / "fit.py")
    assert "it has fit.py, helper.py: name one with --script" in init(code=2).stderr
    (folder / "fit.py").write_text("print 'two'")
    assert "fit.py is not Python" in init("--script", "fit.py", code=2).stderr
    assert "is not a Python script" in init("--script", "none.py", code=2).stderr
    for each in ("fit.py", "helper.py"):
        (folder / each).unlink()
    assert "has no train.py; write one" in init(code=2).stderr


def test_a_script_whose_options_are_unclear_gets_no_parameters() -> None:
    option = 'p.add_argument("--a", type=int, default=1)\n'
    assert [each.name for each in read_script(f"p = argparse.ArgumentParser()\n{option}").options] == ["a"]
    for more in (
        "p.add_subparsers()\n",
        "p.add_mutually_exclusive_group()\n",
        "a.ArgumentParser()\na.ArgumentParser()\n",
    ):
        assert read_script(more + option).options == ()


def test_calls_that_a_job_must_not_make_are_told(folder: Path) -> None:
    (folder / "train.py").write_text("import mlflow\nmlflow.set_experiment('x')\n")
    told = init().stdout
    assert "calls mlflow.set_experiment()" in told
    assert "does not import mypackage" in told
