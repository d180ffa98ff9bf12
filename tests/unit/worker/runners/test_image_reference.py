"""Which texts are taken for an image's name."""

import pytest

from shared.errors import Code, UserError
from worker.runners.docker.image_reference import require_image

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    "image",
    [
        "python",
        "python:3.11-slim",
        "a/b__c/d-e.f",
        "localhost/x",
        "127.0.0.1:5000/trainer:V1_2",
        "[::1]:5000/trainer",
        "mcr.microsoft.com/azure-storage/azurite:3.33.0",
        f"python@{DIGEST}",
        f"host:1/python:3@{DIGEST}",
        DIGEST,
        "0123456789ab",
    ],
)
def test_what_the_engine_takes_is_an_image(image: str) -> None:
    assert require_image(image) == image


@pytest.mark.parametrize(
    "image",
    [
        "",
        "-foo",
        "--privileged",
        "PYTHON",
        "http://x/y",
        "../containers/json",
        "a/../b",
        "/a",
        "a b",
        "a\0b",
        "python\n",
        "python:",
        "python@sha256:12",
        "a" * 600,
    ],
)
def test_what_is_no_image_is_the_projects_fault_and_is_named(image: str) -> None:
    with pytest.raises(UserError) as caught:
        require_image(image)
    assert caught.value.code is Code.INVALID_PROJECT
    assert repr(image[:100]) in caught.value.message
