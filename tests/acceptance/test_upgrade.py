"""A later API beside a worker of this version. `make upgrade` goes through upgrades from a commit that is history."""

from pathlib import Path

from tests.upgrade.scenarios import HOST, leave_to_later
from tests.upgrade.site import running_site
from tests.upgrade.versions import THIS, make_later


def test_a_job_with_a_field_of_a_later_version_waits_for_its_worker_and_others_go_on(tmp_path: Path) -> None:
    later = make_later(tmp_path / "later")
    with running_site(tmp_path / "site", runner="process") as site:
        assert site.migrate(THIS).returncode == 0
        api = site.api(THIS)
        site.worker(THIS, HOST)
        leave_to_later(site, later, api, hosts=[HOST])
