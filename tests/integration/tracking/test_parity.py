"""Project files through `mlflow run` and through us, on both runners: the same, or different for a reason that is told.

`make parity` runs all cases both ways; here those whose values alone are odd go without containers.
"""

import shutil
from dataclasses import replace

import pytest

from tests.parity.case import LOCAL, Case, load_cases
from tests.parity.table import TABLE, Row, as_markdown, compare
from tests.support.engines import docker_or_skip, require

pytestmark = pytest.mark.timeout(900)  # for the first of them, which runs all cases
WITHOUT_CONTAINERS = ("values:",)


def short(case: Case) -> Case:
    return replace(case, ways=(LOCAL,)) if case.name.startswith(WITHOUT_CONTAINERS) else case


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    require(shutil.which("docker") is not None, "the command docker, by which MLflow starts containers")
    engine = docker_or_skip()
    try:
        rows = compare([short(case) for case in load_cases()], tmp_path_factory.mktemp("parity"), engine)
    finally:
        engine.close()
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(as_markdown(rows))
    return rows


def test_each_project_does_what_it_does_with_mlflow_or_differs_for_a_reason_that_is_told(rows: list[Row]) -> None:
    assert [f"{row.case.name} ({row.way}): {row.theirs} / {row.ours}" for row in rows if not row.is_as_told] == []


def test_what_differs_on_mlflows_host_does_in_the_image_what_it_does_without_one(rows: list[Row]) -> None:
    """MLflow's own result where no container is in its way is what the project's author saw."""
    local = {row.case.name: row.theirs for row in rows if row.way == LOCAL}
    in_the_image = [row for row in rows if row.why.startswith("in the image") and row.case.name in local]
    assert len(in_the_image) > 20
    assert [f"{row.case.name}: {row.ours}" for row in in_the_image if row.ours != local[row.case.name]] == []


def test_a_refusal_says_why(rows: list[Row]) -> None:
    refused = [row for row in rows if row.why.startswith("refused: ")]
    assert refused
    assert [row.case.name for row in refused if not row.ours.refused] == []


def test_a_refusal_that_is_followed_leads_to_a_project_that_runs(rows: list[Row]) -> None:
    refused = [row for row in rows if row.ours.refused]
    assert len(refused) > 20
    assert [f"{row.case.name} ({row.way}): {row.ours} / {row.followed}" for row in refused if not _runs(row)] == []


def _runs(row: Row) -> bool:
    return row.followed is not None and row.followed.exit_code is not None


def test_at_least_sixty_projects_go_both_ways_on_both_runners(rows: list[Row]) -> None:
    ways = [row.case.name for row in rows]
    assert len({name for name in ways if ways.count(name) == 2}) >= 60


def test_cases_have_names_of_their_own() -> None:
    names = [case.name for case in load_cases()]
    assert len(names) == len(set(names))
