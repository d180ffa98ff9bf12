"""What a dataset's address means: to the service, which pins it, and to mypackage, which fetches it."""

import pytest

from mypackage.dataset.addresses import RepositoryAddress, keep_to_pin, parse_repository_address
from mypackage.dataset.errors import DatasetError
from shared.addresses.dataset_address import DatasetRepository, find_repository

SHA = "a" * 40
URL = "https://host/team/data.git"


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        (URL, ("", "")),
        (f"{URL}@v1", ("v1", "")),
        (f"{URL}@feature/x:sets/one", ("feature/x", "sets/one")),
        (f"{URL}@{SHA}:sets/one", (SHA, "sets/one")),
    ],
)
def test_both_sides_read_an_address_alike(address: str, meant: tuple[str, str]) -> None:
    assert parse_repository_address(address) == RepositoryAddress(URL, *meant)
    assert find_repository(address) == DatasetRepository(URL, *meant)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:pass@host/data.git",
        "https://token@host:8080/data",
        "git@host:team/data.git",
        "ssh://git@host/data",
        "file:///srv/data.git",
        "/srv/data.git",
    ],
)
def test_an_at_before_the_repositorys_path_begins_no_revision(url: str) -> None:
    assert parse_repository_address(url) == RepositoryAddress(url)
    assert parse_repository_address(f"{url}@v1:a") == RepositoryAddress(url, "v1", "a")


@pytest.mark.parametrize("address", [f"{URL}@", f"{URL}@:a", f"{URL}@v1:", f"{URL}@-v1"])
def test_an_at_without_a_revision_is_refused(address: str) -> None:
    with pytest.raises(DatasetError, match="no revision follows"):
        parse_repository_address(address)


@pytest.mark.parametrize("uri", ["not_used", "", "https://host/data", "https://host/data.zip", "azure://a/b.git@v1"])
def test_what_may_be_no_git_repository_is_not_pinned(uri: str) -> None:
    assert find_repository(uri) is None


@pytest.mark.parametrize("address", [URL, f"{URL}@v1", f"{URL}@v1:sets/one"])
def test_a_pinned_address_is_the_same_but_for_its_revision(address: str) -> None:
    repository = find_repository(address)
    assert repository is not None
    assert find_repository(repository.at(SHA)) == DatasetRepository(URL, SHA, repository.path)


@pytest.mark.parametrize(
    ("value", "pin", "used"),
    [
        (URL, f"{URL}@{SHA}", f"{URL}@{SHA}"),
        ("https://me:pass@host/team/data.git", f"{URL}@{SHA}", f"https://me:pass@host/team/data.git@{SHA}"),
        (f"{URL}@v1", f"{URL}@{SHA}", f"{URL}@v1"),
        ("https://host/other.git", f"{URL}@{SHA}", "https://host/other.git"),
        (URL, "", URL),
    ],
)
def test_a_training_keeps_to_the_services_pin_of_the_repository_that_it_names(value: str, pin: str, used: str) -> None:
    assert keep_to_pin(value, pin) == used
