"""What the trace and the soak make of what they have seen."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.bench.soak import ON_PURPOSE, by_the_job, files, grown, rows
from tests.bench.trace import Mark, table


def test_a_trace_is_in_the_order_of_time_with_the_step_to_each_mark() -> None:
    first = [Mark("start", 0.3), Mark("claim", 0.1)]
    assert list(table([first, [Mark("start", 0.5), Mark("claim", 0.1)], [Mark("start", 0.4)]])) == [
        ("100", "+100", "claim", "2"),
        ("400", "+300", "start", "3"),
    ]


def test_what_grows_by_5_percent_is_no_leak_and_what_grows_by_more_is() -> None:
    assert grown({"threads": 20, "rows": 3}, {"threads": 21, "rows": 3.2}) == ["rows"]


def test_what_grows_on_purpose_is_not_named() -> None:
    assert grown({ON_PURPOSE: 4, "PSS of api, MB": 100}, {ON_PURPOSE: 5, "PSS of api, MB": 106}) == ["PSS of api, MB"]


def test_what_was_not_there_before_has_grown() -> None:
    assert grown({}, {"files in work": 1}) == ["files in work"]


def test_a_record_for_each_job_is_no_growth_and_a_file_for_every_tenth_job_is() -> None:
    before = by_the_job({"rows of jobs": 100, "files in work": 20}, 100)
    after = by_the_job({"rows of jobs": 2100, "files in work": 220}, 2100)
    assert grown(before, after) == ["files in work"]


def test_rows_are_counted_by_table(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection:
        connection.executescript("CREATE TABLE jobs (id); CREATE TABLE labels (id); INSERT INTO jobs VALUES (1), (2)")
    assert rows(tmp_path / "jobs.db") == {"jobs": 2, "labels": 0}


def test_files_are_counted_by_the_folder_at_the_top(tmp_path: Path) -> None:
    (tmp_path / "work" / "host").mkdir(parents=True)
    for name in ("work/host/a", "work/b", "jobs.db"):
        (tmp_path / name).touch()
    assert files(tmp_path) == {"work": 2, "DATA_DIR itself": 1}
