"""GET /statistics: how many jobs there are, and what waits."""

from flask.testing import FlaskClient

from tests.unit.api.documented import Asking, Documented
from tests.unit.conftest import ClaimJob, Submit

DOCUMENTED: Documented = {"GET /statistics": lambda _api: Asking("/statistics")}


def test_jobs_are_counted_by_state_and_those_that_wait_by_queue(
    client: FlaskClient, submit: Submit, claim_job: ClaimJob
) -> None:
    claim_job(submit()["id"])
    submit(), submit()
    found = client.get("/statistics").json or {}
    assert found["jobs"] == {"starting": 1, "queued": 2}
    assert found["queues"]["default"]["count"] == 2
