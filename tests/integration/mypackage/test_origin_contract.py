"""What every dataset origin promises, tried with each at the real thing that it fetches from."""

import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mypackage.dataset.errors import DatasetError
from mypackage.dataset.origins import OURS, fetch
from tests.support.dataset_origins import FILES, SECRET, AzurePlace, DvcPlace, HttpPlace, LocalPlace, Place
from tests.support.folders import files_in
from tests.support.network.cutting_relay import CuttingRelay
from tests.support.servers.azurite import Azurite
from tests.support.servers.file_server import FileServer
from tests.support.servers.git_server import GitServer


@pytest.fixture(params=OURS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        match request.param:
            case "http":
                yield HttpPlace(stack.enter_context(FileServer()))
            case "azure_blob":
                azurite: Azurite = request.getfixturevalue("azurite")
                relay = stack.enter_context(CuttingRelay(azurite.port))
                yield AzurePlace(azurite, stack.enter_context(azurite.new_container()), relay)
            case "dvc_repo":
                server = GitServer(tmp_path / "git", username="reader", password=SECRET)
                yield DvcPlace(stack.enter_context(server), tmp_path / "dvc")
            case "local":
                yield LocalPlace(tmp_path / "local")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A folder for the dataset, in one that has nothing else."""
    return tmp_path / "work" / "out"


def test_the_dataset_is_put_into_the_folder_beside_what_that_has_and_is_described(
    place: Place, target: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    address, origin = place.publish(), place.origin()
    target.mkdir(parents=True)
    (target / "mine").write_text("x")
    used = fetch(origin, address, target)
    assert bool("".join(capfd.readouterr())) == place.shows_progress
    assert files_in(target) == {**FILES, "mine": "x"}
    assert used == fetch(origin, address, target.with_name("again"))
    assert used.origin == place.name
    assert ":" in used.digest
    assert SECRET not in repr([used, origin])


def test_a_fetch_that_breaks_off_leaves_nothing_and_the_next_one_gets_all(
    place: Place, target: Path, tmp_path: Path
) -> None:
    address, origin = place.publish(), place.origin({"RETRAIN_CACHE": str(tmp_path / "cache")})
    place.break_off()
    with pytest.raises(DatasetError, match="failed"):
        fetch(origin, address, target)
    assert not list(target.parent.rglob("*"))
    place.mend()
    fetch(origin, address, target)
    assert files_in(target) == FILES


def test_an_address_where_nothing_is_says_so_without_a_secret(place: Place, target: Path) -> None:
    with pytest.raises(DatasetError, match="nothing") as caught:
        fetch(place.origin(), place.missing, target)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert not list(target.rglob("*"))


def test_a_dataset_that_names_a_file_outside_of_its_folder_is_refused(
    place: Place, target: Path, tmp_path: Path
) -> None:
    address = place.publish_escape()
    with pytest.raises(DatasetError):
        fetch(place.origin(), address, target)
    assert not list(tmp_path.rglob("escaped"))
    assert not list(target.rglob("*"))


def test_an_address_of_another_kind_is_refused_with_the_form_that_it_must_have(place: Place, target: Path) -> None:
    with pytest.raises(DatasetError, match=r"is not an address of this ds_origin; write (a path|https|URL)"):
        fetch(place.origin(), place.strange, target)
