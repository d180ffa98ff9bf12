"""Datasets in Azurite, Azure's own emulator: blobs under a prefix, and the remote of a DVC repository."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient, ContainerSasPermissions, ContentSettings, generate_container_sas

from mypackage.dataset import dvc_repository
from mypackage.dataset.azure_blob import fetch
from mypackage.dataset.cache import Cache
from mypackage.dataset.errors import DatasetError
from mypackage.dataset.patience import Patience
from tests.support.folders import files_in
from tests.support.network.cutting_relay import CuttingRelay
from tests.support.projects.dvc_repository import DvcAuthor
from tests.support.servers.azurite import ACCOUNT, Azurite
from tests.support.servers.git_server import GitServer

BLOBS = {"data/set/a": "1", "data/set/deep/b": "2", "data/set2/c": "3", "table.csv": "x,y"}
SOON = Patience(failures=4, sleep=lambda _seconds: None)


@pytest.fixture
def container(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Iterator[ContainerClient]:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string)
    with azurite.new_container() as container:
        for name, text in BLOBS.items():
            container.upload_blob(name, text)
        yield container


def address(container: ContainerClient, prefix: str) -> str:
    return f"{container.url}/{prefix}"


@pytest.mark.parametrize("prefix", ["data/set", "data/set/", "data%2Fset"])
def test_the_blobs_under_a_prefix_are_the_dataset(container: ContainerClient, tmp_path: Path, prefix: str) -> None:
    used = fetch(address(container, prefix), tmp_path / "out", cache=Cache(None))
    assert files_in(tmp_path / "out") == {"a": "1", "deep/b": "2"}
    assert (used.origin, used.path) == ("azure_blob", "data/set")


def test_one_blob_and_a_whole_container_are_datasets_too(container: ContainerClient, tmp_path: Path) -> None:
    fetch(address(container, "table.csv"), tmp_path / "one", cache=Cache(None))
    fetch(container.url, tmp_path / "all", cache=Cache(None))
    assert files_in(tmp_path / "one") == {"table.csv": "x,y"}
    assert files_in(tmp_path / "all") == BLOBS


def test_the_digest_is_that_of_the_contents(container: ContainerClient, tmp_path: Path) -> None:
    def digest() -> str:
        return fetch(address(container, "data/set"), tmp_path / "out", cache=Cache(None)).digest

    first = digest()
    container.upload_blob("data/set/a", "1", overwrite=True)
    assert digest() == first
    container.upload_blob("data/set/a", "changed", overwrite=True)
    assert digest() != first
    assert (tmp_path / "out" / "a").read_text() == "changed"


@pytest.mark.parametrize("how", ["SAS in the URL", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_KEY"])
def test_a_sas_or_a_key_opens_the_account_too_and_is_not_shown(
    azurite: Azurite, container: ContainerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    name = str(container.container_name)
    until = datetime.now(UTC) + timedelta(hours=1)
    may = ContainerSasPermissions(read=True, list=True)
    sas = generate_container_sas(ACCOUNT, name, account_key=azurite.key, permission=may, expiry=until)
    url = address(container, "data/set")
    if how.startswith("AZURE"):
        monkeypatch.setenv(how, azurite.key if how.endswith("KEY") else sas)
    used = fetch(url if how.startswith("AZURE") else f"{url}?{sas}", tmp_path / "out", cache=Cache(None))
    assert files_in(tmp_path / "out") == {"a": "1", "deep/b": "2"}
    assert used.repo == url


def test_a_closed_account_says_what_is_missing_without_the_signature(
    container: ContainerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    for query in ("", "?sv=2024-01-01&sig=hunter2"):
        with pytest.raises(DatasetError, match=r"from Azure failed: .* AZURE_STORAGE_… set") as caught:
            fetch(f"{address(container, 'data/set')}{query}", tmp_path / "out", cache=Cache(None), patience=SOON)
        assert "hunter" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_address_of_another_account_or_without_blobs_says_so(container: ContainerClient, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"which 'https://other\.blob\.core\.windows\.net/data' is not in"):
        fetch("https://other.blob.core.windows.net/data", tmp_path / "out", cache=Cache(None))
    with pytest.raises(DatasetError, match="There is no blob in"):
        fetch(address(container, "data/se"), tmp_path / "out", cache=Cache(None))


def test_a_blob_whose_name_leaves_the_folder_is_refused(container: ContainerClient, tmp_path: Path) -> None:
    container.upload_blob("evil/..\\..\\escaped", "x")
    with pytest.raises(DatasetError, match="lies outside of it"):
        fetch(address(container, "evil"), tmp_path / "out", cache=Cache(None))


def test_a_blob_that_is_not_what_its_md5_says_is_refused(container: ContainerClient, tmp_path: Path) -> None:
    container.upload_blob("bad/a", "x")
    settings = ContentSettings(content_md5=bytearray(16))
    container.get_blob_client("bad/a").set_http_headers(settings)
    with pytest.raises(DatasetError, match="is not what its MD5 says"):
        fetch(address(container, "bad"), tmp_path / "out", cache=Cache(None))
    assert not (tmp_path / "out").exists()


def test_a_transfer_that_is_cut_again_and_again_goes_on_and_a_later_job_goes_on_too(
    azurite: Azurite, container: ContainerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = random.Random(3).randbytes(12 << 20)  # noqa: S311 - just bytes
    container.upload_blob("big/one", content)
    container.upload_blob("big/two", content[::-1])
    with CuttingRelay(azurite.port) as relay:
        monkeypatch.setenv(
            "AZURE_STORAGE_CONNECTION_STRING",
            azurite.connection_string.replace(f":{azurite.port}/", f":{relay.port}/"),
        )
        url = address(container, "big").replace(f":{azurite.port}/", f":{relay.port}/")
        relay.cut_after = lambda: 0 if relay.passed_bytes > 14 << 20 else 5 << 20
        cache = Cache(tmp_path / "cache")
        with pytest.raises(DatasetError, match="from Azure failed"):
            fetch(url, tmp_path / "out", cache=cache, patience=SOON)
        assert not (tmp_path / "out").exists()
        relay.cut_after = lambda: None
        fetch(url, tmp_path / "out", cache=cache, patience=SOON)
        assert relay.passed_bytes < 35 << 20
    assert (tmp_path / "out" / "one").read_bytes() == content
    assert (tmp_path / "out" / "two").read_bytes() == content[::-1]


def test_a_dvc_repositorys_remote_may_be_in_azure(azurite: Azurite, container: ContainerClient, tmp_path: Path) -> None:
    with GitServer(tmp_path / "git", username="reader", password="hunter2") as server:
        repository = server.create("data", {"README": "data"})
        author = DvcAuthor(tmp_path / "author", repository, remote_url=f"azure://{container.container_name}/dvc")
        first = author.commit({"set": {"a": "1", "b": "same"}})
        second = author.commit({"set": {"a": "2"}})
        url = server.url("data", with_credentials=True)
        newest = dvc_repository.fetch(url, tmp_path / "newest", cache=Cache(None))
        pinned = dvc_repository.fetch(f"{url}@{first}:set", tmp_path / "pinned", cache=Cache(None))
    assert files_in(tmp_path / "newest") == {"a": "2", "b": "same"}
    assert files_in(tmp_path / "pinned") == {"a": "1", "b": "same"}
    assert (newest.rev, pinned.rev) == (second, first)
