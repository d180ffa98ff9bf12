"""Runs all cases both ways on both runners, and tells where we differ from MLflow and why."""

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import docker

from tests.parity.case import DOCKER, LOCAL, Case, Outcome
from tests.parity.images import PROJECT, built, remove_built
from tests.parity.ours import HOST, open_docker_runner, open_process_runner, run_by_us
from tests.parity.remedies import follow
from tests.parity.theirs import run_by_mlflow

RUNNERS = {LOCAL: "process", DOCKER: "docker"}
CELL_CHARACTERS = 160
TABLE = Path("build/parity.md")


@dataclass(frozen=True)
class Row:
    """One case on one runner. MLflow is `--env-manager local` for the process runner, its Docker backend for ours.

    ``followed`` is what became of it once somebody did what our refusal says.
    """

    case: Case
    way: str
    theirs: Outcome
    ours: Outcome
    followed: Outcome | None = None

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
    entrypoints = {"none", *(case.entrypoint for case in cases if DOCKER in case.ways)}
    with built(engine, entrypoints) as images, ThreadPoolExecutor() as threads:
        asked = [(case, way) for case in cases for way in case.ways]
        places = _places(asked, folder, images)
        ours = threads.submit(_run_both, places, folder)
        try:
            theirs = run_by_mlflow([_job(case, way, place) for (case, way), place in places.items()])
        finally:
            remove_built(engine, (case.built_image for case in cases if case.built))
        by_us = ours.result()
        rows = [Row(*each, found, by_us[each]) for each, found in zip(places, theirs, strict=True)]
        return _followed(rows, folder / "as-advised", images)


def _followed(rows: Sequence[Row], folder: Path, images: Mapping[str, str]) -> list[Row]:
    """Return the rows, with what became of those that we refused when the refusal was followed."""
    advised = {
        row: (better, row.way) for row in rows if row.ours.refused and (better := follow(row.case, row.ours.refused))
    }
    outcomes = _run_both(_places(list(advised.values()), folder, images), folder)
    return [replace(row, followed=outcomes[advised[row]]) if row in advised else row for row in rows]


def _places(asked: Sequence[tuple[Case, str]], folder: Path, images: Mapping[str, str]) -> dict[tuple[Case, str], Path]:
    return {
        (case, way): _place(case, folder / f"{number}-{way}", images[case.entrypoint] if way == DOCKER else None)
        for number, (case, way) in enumerate(asked)
    }


def _run_both(places: Mapping[tuple[Case, str], Path], folder: Path) -> dict[tuple[Case, str], Outcome]:
    """Run each on its runner, the runners side by side."""
    with ThreadPoolExecutor() as threads:
        found = {way: threads.submit(_run_by_us, way, places, folder) for way in RUNNERS}
        return {(case, way): found[way].result()[case.name] for case, way in places}


def _place(case: Case, folder: Path, image: str | None) -> Path:
    project = folder / "project"
    shutil.copytree(PROJECT, project / case.subfolder)
    (project / case.subfolder / "MLproject").write_text(case.mlproject(image))
    for name, content in case.files.items():
        _write(project / name, content)
    return project


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if content == "/":
        path.mkdir()
    elif content.startswith("-> "):
        path.symlink_to(content.removeprefix("-> "))
    else:
        path.write_text(content)


def _job(case: Case, way: str, place: Path) -> dict[str, object]:
    asked = {"entry_point": case.entry_point, "parameters": dict(case.parameters), "build_image": case.built}
    host = HOST if way == DOCKER else {}  # so it shows what ran there
    return {**asked, "outputs": str(place.parent), "folder": str(place / case.subfolder), "host": host}


def _run_by_us(way: str, places: Mapping[tuple[Case, str], Path], folder: Path) -> dict[str, Outcome]:
    asked = {}
    for (case, its_way), place in places.items():
        if its_way == way:
            own = place.with_name("ours")  # MLflow runs in the folder itself, and leaves files there
            shutil.copytree(place, own, symlinks=True)
            asked[case.name] = (case, own)
    if way == LOCAL:
        return run_by_us(open_process_runner(folder / "state"), asked, folder / "of-processes", at_once=2)
    with closing(open_docker_runner()) as runner:
        return run_by_us(runner, asked, folder / "of-containers", at_once=3)


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
        followed = f"as advised: {row.followed}" if row.followed else ""
        why = "; ".join(each for each in (row.why, followed) if each)
        cells = (row.case.name, RUNNERS[row.way], sign, row.theirs, "" if row.is_same else row.ours, why)
        lines.append("| " + " | ".join(_cell(str(each)) for each in cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    text = text.replace("\n", "⏎").replace("|", "\\|")
    return text if len(text) <= CELL_CHARACTERS else f"{text[:CELL_CHARACTERS]}…"
