"""What an MLproject means here: entry points and their commands."""

import shlex
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Code, UserError
from tests.unit.worker.project.rendering import entry_point
from worker.project.entry_points import COMMAND_BYTES, DOWNLOAD, EntryPoint, Parameter, Project, assemble, render

IRIS = Project("iris", entry_points={"main": EntryPoint("main", "python train.py")})


def test_a_missing_entry_point_names_those_that_exist() -> None:
    with pytest.raises(UserError) as caught:
        IRIS.entry_point("train")
    assert caught.value.message == (
        "Project 'iris' has no entry point 'train' (it has: main). Check its MLproject file."
    )
    assert caught.value.code is Code.INVALID_PROJECT
    assert caught.value.facts["entry_points"] == ("main",)


def test_a_missing_entry_point_of_a_project_with_several_or_none_says_so() -> None:
    two = Project("iris", entry_points={**IRIS.entry_points, "test": EntryPoint("test", "pytest")})
    for project, known in ((two, "main, test"), (Project("iris"), "none")):
        with pytest.raises(UserError, match=rf"\(it has: {known}\)"):
            project.entry_point("train")


def test_a_script_is_an_entry_point_of_its_own_name() -> None:
    assert IRIS.entry_point("train.v2.py") == EntryPoint("train.v2.py", "python train.v2.py")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("train.py", "python train.py"),
        ("jobs/train all.py", "python 'jobs/train all.py'"),
        ("train.sh", "bash train.sh"),
        ("train.R", "Rscript -e \"mlflow::mlflow_source('train.R')\" --args"),
    ],
)
def test_a_script_is_an_entry_point_without_being_declared(name: str, command: str) -> None:
    assert render(IRIS.entry_point(name), {}).command == command


@pytest.mark.parametrize("name", ["../train.py", "-c.py", "$(touch pwned).R", "'x'.R", "train.exe", "/etc/rc.sh"])
def test_a_script_outside_the_project_is_no_entry_point(name: str) -> None:
    with pytest.raises(UserError):
        IRIS.entry_point(name)


def test_values_come_in_declared_order_and_undeclared_ones_after_them() -> None:
    result = render(
        entry_point("python train.py {alpha} {name}", alpha="float", name="string"),
        {"extra": "two words", "name": "x", "alpha": 0.5},
    )
    assert result.command == "python train.py 0.5 x --extra 'two words'"
    assert list(result.parameters.items()) == [("alpha", "0.5"), ("name", "x"), ("extra", "two words")]


def test_all_missing_parameters_are_named_at_once() -> None:
    with pytest.raises(UserError) as caught:
        render(entry_point("run {a} {b} {c}", a="string", b="int", c="string"), {"b": 1})
    assert caught.value.facts["missing"] == ("a", "c")
    assert "a, c" in caught.value.message


def test_a_default_is_used_as_it_stands_whatever_the_type() -> None:
    point = EntryPoint(
        "main", "run {rate} {flag}", (Parameter("rate", "float", "None"), Parameter("flag", "bool", "False"))
    )
    assert render(point, {}).command == "run None False"


@given(st.text(), st.text(max_size=5))
def test_any_template_is_filled_or_refused(command: str, value: str) -> None:
    with suppress(UserError):
        render(entry_point(command, value="string"), {"value": value, "other": value})


@pytest.mark.parametrize("command", ["run\n", "run  \n\n", "run \\\n", "run \\\n  \\\n"])
def test_extra_parameters_stay_on_the_line_of_the_command(command: str) -> None:
    assert render(entry_point(command), {"k": "v"}).command == "run --k v"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python train.py | --name {name}", "python train.py  --name x"),
        ("python train.py |\n  --name {name}", "python train.py  --name x"),
        ("python train.py | tee log", "python train.py | tee log"),
        ("python train.py || --name", "python train.py || --name"),
        ("echo 'a | --b' \"c | --d\" {name}", "echo 'a | --b' \"c | --d\" x"),
    ],
)
def test_only_a_pipe_into_an_option_is_read_as_one_command(command: str, expected: str) -> None:
    assert render(entry_point(command, name="string"), {"name": "x"}).command == expected


def test_a_pipe_in_a_value_stays_in_the_value() -> None:
    assert render(entry_point("run {name}", name="string"), {"name": "a | --b"}).command == "run 'a | --b'"


@pytest.mark.parametrize(
    "command", ["run {missing}", "run {", "run }", "run {}", "run {0}", "run {x.y}", "run {x!r}", "run {x:>999999999}"]
)
def test_a_command_that_cannot_be_filled_in_is_the_projects_fault(command: str) -> None:
    with pytest.raises(UserError) as caught:
        render(entry_point(command, x="string"), {"x": "1"})
    assert caught.value.code is Code.INVALID_PROJECT


def test_a_doubled_brace_is_a_brace() -> None:
    assert render(entry_point("echo ${{HOME}} {x}", x="string"), {"x": "1"}).command == "echo ${HOME} 1"


def test_a_command_longer_than_linux_takes_is_refused() -> None:
    with pytest.raises(UserError, match="longer than"):
        render(entry_point("run " + "{x} " * 20_000, x="string"), {"x": "y" * 6000})
    with pytest.raises(UserError, match="longer than"):
        render(entry_point("run"), {"x": "y" * 200_000})


def test_a_command_may_be_as_long_as_linux_takes_and_no_longer() -> None:
    longest = "x" * COMMAND_BYTES
    assert render(entry_point(longest), {}).command == longest
    with pytest.raises(UserError, match="longer than"):
        render(entry_point(longest + "x"), {})


def test_a_line_end_with_its_backslash_is_cut_and_nothing_more() -> None:
    assert render(entry_point("run ab\\\n"), {}).command == "run ab"


def test_an_empty_default_is_an_empty_word() -> None:
    assert render(EntryPoint("main", "run {x}", (Parameter("x", "string", ""),)), {}).command == "run ''"


@pytest.mark.parametrize(("types", "known"), [({}, "it has none"), ({"a": "int", "b": "int"}, "a, b")])
def test_a_field_that_is_no_parameter_is_refused_with_those_that_are(types: dict[str, str], known: str) -> None:
    with pytest.raises(UserError, match=rf"just one of its parameters \({known}\)"):
        render(entry_point("run {x}", **types), dict.fromkeys(types, 1))


def test_a_value_that_no_parameter_declares_is_refused_under_its_name() -> None:
    with pytest.raises(UserError, match="colour"):
        render(IRIS.entry_points["main"], {"colour": "\x07"})


def test_a_uri_for_a_path_is_downloaded_where_the_command_runs() -> None:
    result = render(
        entry_point("run {data} {where}", data="path", where="uri"), {"data": "runs:/a b/c", "where": "s3://x"}
    )
    download, command = result.command.split("\n")
    assert download.startswith(f'RETRAIN_PATH_0="$(python -c {shlex.quote(DOWNLOAD)} ')
    assert download.endswith(" 'runs:/a b/c')\" || exit 1")
    assert command == 'run "$RETRAIN_PATH_0" s3://x'
    assert result.parameters["data"] == "runs:/a b/c"


def test_fields_reach_a_project_only_where_it_declares_them_and_parameters_always() -> None:
    values = assemble(
        entry_point("run", experiment_name="string", model_name="string"),
        fields={"experiment_name": "e", "base_model": "None", "dataset_repo": "not_used", "model_name": None},
        parameters={"epochs": 3},
    )
    assert values == {"experiment_name": "e", "epochs": 3}


def test_a_field_that_was_not_sent_leaves_a_projects_default_and_else_is_the_predecessors_word() -> None:
    defaults = (Parameter("base_model", default="mobile_v2"), Parameter("dataset_repo", default="/opt/data"))
    own = EntryPoint("main", "run {base_model} {dataset_repo}", defaults)
    needed = EntryPoint("main", own.command, (Parameter("base_model"), Parameter("dataset_repo")))

    def command(point: EntryPoint, base_model: str | None, dataset_repo: str | None) -> str:
        fields = {"base_model": base_model, "dataset_repo": dataset_repo}
        return render(point, assemble(point, fields=fields, parameters={})).command

    assert command(own, None, None) == "run mobile_v2 /opt/data"
    assert command(own, "None", None) == "run None /opt/data"
    assert command(own, None, "not_used") == "run mobile_v2 not_used"
    assert command(needed, None, None) == "run None not_used"
    assert command(needed, "models:/iris/3", "s3://b") == "run models:/iris/3 s3://b"
