"""Runs all cases both ways on both runners, and tells where we differ from MLflow and why."""

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import docker

from tests.parity.case import DOCKER, LOCAL, Case, Outcome
from tests.parity.images import PROJECT, built
from tests.parity.ours import HOST, open_docker_runner, open_process_runner, run_by_us
from tests.parity.theirs import run_by_mlflow

RUNNERS = {LOCAL: "process", DOCKER: "docker"}
CELL_CHARACTERS = 160
TABLE = Path("build/parity.md")


@dataclass(frozen=True)
class Row:
    """One case on one runner. MLflow is `--env-manager local` for the process runner, its Docker backend for ours."""

    case: Case
    way: str
    theirs: Outcome
    ours: Outcome

    @property
    def is_same(self) -> bool:
        """Same exit code, same arguments, folder and variables; where both refuse, each by its own words."""
        both_refuse = bool(self.theirs.refused and self.ours.refused)
        return both_refuse or self.theirs == self.ours

    @property
    def why(self) -> str:
        """The reason that is known for a difference."""
        return self.case.differs.get(self.way, "")

    @property
    def is_as_told(self) -> bool:
        """Whether they differ only and exactly where a reason is told."""
        return self.is_same is not bool(self.why)


def compare(cases: Sequence[Case], folder: Path, engine: docker.DockerClient) -> list[Row]:
    """Run all cases; a row for each on each runner."""
    entrypoints = {case.entrypoint for case in cases if DOCKER in case.ways}
    with built(engine, entrypoints) as images, ThreadPoolExecutor() as threads:
        places = {
            (case, way): _place(case, folder / f"{number}-{way}", images[case.entrypoint] if way == DOCKER else None)
            for number, case in enumerate(cases)
            for way in case.ways
        }
        ours = [threads.submit(_run_by_us, way, places, folder) for way in RUNNERS]
        theirs = run_by_mlflow([_job(case, way, place) for (case, way), place in places.items()])
        by_us = {way: found.result() for way, found in zip(RUNNERS, ours, strict=True)}
    return [Row(case, way, found, by_us[way][case.name]) for (case, way), found in zip(places, theirs, strict=True)]


def _place(case: Case, folder: Path, image: str | None) -> Path:
    project = folder / "project"
    shutil.copytree(PROJECT, project)
    (project / "MLproject").write_text(case.mlproject(image))
    return project


def _job(case: Case, way: str, place: Path) -> dict[str, object]:
    asked = {"entry_point": case.entry_point, "parameters": dict(case.parameters)}
    return {**asked, "folder": str(place), "host": HOST if way == DOCKER else {}}  # so it shows what ran there


def _run_by_us(way: str, places: Mapping[tuple[Case, str], Path], folder: Path) -> dict[str, Outcome]:
    asked = {}
    for (case, its_way), place in places.items():
        if its_way == way:
            own = place.with_name("ours")  # MLflow runs in the folder itself, and leaves files there
            shutil.copytree(place, own)
            asked[case.name] = (case, own)
    if way == LOCAL:
        return run_by_us(open_process_runner(folder / "state"), asked, at_once=2)
    with closing(open_docker_runner()) as runner:
        return run_by_us(runner, asked, at_once=3)


def as_markdown(rows: Sequence[Row]) -> str:
    """The table."""
    same = sum(row.is_same for row in rows)
    lines = [
        f"{len({row.case.name for row in rows})} projects, {len(rows)} comparisons: {same} the same.",
        "",
        "| project | runner | | MLflow | ours | why |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        sign = "same" if row.is_same else "differs" if row.is_as_told else "NOT TOLD"
        cells = (row.case.name, RUNNERS[row.way], sign, row.theirs, "" if row.is_same else row.ours, row.why)
        lines.append("| " + " | ".join(_cell(str(each)) for each in cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    text = text.replace("\n", "⏎").replace("|", "\\|")
    return text if len(text) <= CELL_CHARACTERS else f"{text[:CELL_CHARACTERS]}…"
