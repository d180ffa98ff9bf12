"""The registry of dataset origins, and what it does for each of them, also for one that another distribution brings."""

import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from mypackage.dataset.errors import DatasetError
from mypackage.dataset.origins import GROUP, OURS, fetch, load, names
from mypackage.dataset.records import DatasetRecord
from mypackage.prep_utils import data_and_model_prep
from tests.support.distributions import install
from tests.support.folders import files_in

SECRETS = ("s3cret", "s3cret-and-more")


@dataclass
class Careless:
    """An origin whose messages show all that it knows."""

    is_here: bool = True
    form = "careless://name"

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        return cls()

    def check(self) -> None:
        if not self.is_here:
            raise DatasetError("pip install careless")

    def takes(self, address: str) -> bool:
        return address.startswith("careless://")

    def secrets(self, address: str) -> Iterable[str]:
        return ("", *SECRETS)

    def fetch(self, address: str, target: Path) -> DatasetRecord:
        if "good" not in address:
            raise DatasetError(f"{address} did not open with {SECRETS[1]}") from ValueError(SECRETS[0])
        target.mkdir(exist_ok=True)
        (target / "a").write_text("1")
        return DatasetRecord("careless", repo=address, digest="sha256:1")


@pytest.mark.parametrize("name", OURS)
def test_ours_are_found_where_no_distribution_is_installed(name: str) -> None:
    assert load(name).of({}).form


def test_another_distribution_brings_one_that_ds_origin_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = f"{Careless.__module__}:Careless"
    install(tmp_path, monkeypatch, name="other", group=GROUP, entry_points={"careless": place, "http": place})
    assert names() == [*OURS, "careless"]
    data_and_model_prep(str(tmp_path / "out"), "careless://good", "careless")
    assert files_in(tmp_path / "out") == {"a": "1"}
    assert load("http").__name__ == "HttpArchive"


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (["nowhere:A"], r"is nowhere:A, which cannot be imported: No module named 'nowhere'"),
        (["decimal:Nothing"], r"is decimal:Nothing, which cannot be imported: .*no attribute"),
        (["fractions:Fraction", "decimal:Decimal"], r"is decimal:Decimal and fractions:Fraction\. Uninstall all but"),
    ],
)
def test_one_that_cannot_be_used_says_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: list[str], message: str
) -> None:
    for number, place in enumerate(places):
        install(tmp_path, monkeypatch, name=f"other-{number}", group=GROUP, entry_points={"theirs": place})
    with pytest.raises(DatasetError, match=f"ds_origin 'theirs' {message}"):
        load("theirs")


def test_no_message_shows_what_an_origin_calls_secret(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"^careless://bad did not open with \[hidden\]$") as caught:
        fetch(Careless(), "careless://bad", tmp_path)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_an_origin_whose_library_is_missing_says_so_before_it_is_asked(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="pip install careless"):
        fetch(Careless(is_here=False), "careless://good", tmp_path / "out")
    assert not list(tmp_path.iterdir())
