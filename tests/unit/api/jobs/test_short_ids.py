"""The first characters of a job's id, wherever a job is named."""

from flask.testing import FlaskClient

from tests.fakes.store import MemoryStore
from tests.support.jobs import new_job
from tests.unit.conftest import Submit


def test_the_first_characters_of_an_id_are_enough_wherever_a_job_is_named(
    client: FlaskClient, submit: Submit, store: MemoryStore
) -> None:
    job_id = submit()["id"]
    short = f"/jobs/{job_id[:8]}"
    assert client.get(short).json["id"] == job_id  # type: ignore[index]
    assert client.get(f"{short}/logs").status_code == 200
    assert client.post(f"{short}/cancel", json={}).json["state"] == "cancelled"  # type: ignore[index]
    assert client.post(f"{short}/retry", json={}).json["retry_of"] == job_id  # type: ignore[index]
    assert client.get(f"/jobs/{job_id[:5]}").status_code == 404


def test_first_characters_that_several_ids_have_are_not_enough(client: FlaskClient, store: MemoryStore) -> None:
    for end in "12":
        store.submit(new_job(id=f"5c2f7c1e-3a4b-4b2e-9a6d-00000000000{end}"))
    answer = client.get("/jobs/5c2f7c1e")
    assert answer.status_code == 404
    assert "several jobs begin with '5c2f7c1e'" in answer.text
