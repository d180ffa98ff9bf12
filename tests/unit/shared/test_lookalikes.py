"""What people send in place of an address is refused with what to send, and no address is taken for it."""

import pytest

from tests.support.retrain_requests import parse, refused


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("https://github.com/user/iris/tree/dev", "/tree/"),
        ("https://t0k3n@github.com/user/iris/tree/feature/x/training", "/tree/"),
        ("https://github.com/user/iris/blob/main/MLproject", "/blob/"),
        ("https://github.com/user/iris/commit/1f0c7a3", "/commit/"),
        ("https://gitlab.example.com/group/sub/iris/-/tree/dev/training", "/-/tree/"),
        ("https://bitbucket.org/team/iris/src/main/training/", "/src/"),
        ("https://gitea.example.com/team/iris/src/branch/main/training", "/src/branch/"),
        ("https://bitbucket.example.com/projects/ML/repos/iris/browse/training", "/browse"),
    ],
)
def test_a_page_about_a_repository_is_refused_with_the_part_to_leave_out(address: str, page: str) -> None:
    told = refused(git_uri=address).errors()[0]["msg"]
    assert f"leave out '{page}' and all that follows it; the branch or commit goes in commit_hash" in told
    assert "t0k3n" not in told
    assert parse(git_uri=address.partition(page)[0])


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/user/tree",
        "https://github.com/tree/blob",
        "https://git.example.com/team/group/tree/iris.git",
        "https://git.example.com/src/main/iris",
        "https://dev.azure.com/org/project/_git/iris",
        "https://bitbucket.example.com/scm/ml/iris.git",
        "https://git.example.com/a/b/c/tree",
    ],
)
def test_a_repository_whose_path_has_the_same_words_is_an_address(address: str) -> None:
    assert parse(git_uri=address).git_uri == address


def test_a_repository_of_a_group_with_such_a_name_is_told_how_it_is_sent() -> None:
    address = "https://git.example.com/team/group/raw/iris"
    assert "write .git behind it" in str(refused(git_uri=address))
    assert parse(git_uri=f"{address}.git")
    address = "https://git.example.com/team/group/tree/iris"
    assert "write .git behind it" in str(refused(dataset_repo=address))
    assert parse(dataset_repo=f"{address}.git@v2:data")


@pytest.mark.parametrize(
    "path", [r"C:\Users\me\iris", "C:/Users/me/iris", r"\\server\share\iris", "file:///C:/iris", r"file://C:\iris"]
)
def test_a_path_of_windows_is_refused_as_source_and_as_data(path: str) -> None:
    for field in ("git_uri", "dataset_repo"):
        assert "path of a Windows machine, which the service cannot see: push it" in str(refused(**{field: path}))


def test_a_page_of_a_folder_is_no_data_but_a_file_to_download_is() -> None:
    told = str(refused(dataset_repo="https://github.com/user/iris-data/tree/v2/iris"))
    assert "leave out '/tree/' and all that follows it, and write URL@BRANCH:FOLDER" in told
    for address in ("https://github.com/user/iris-data/raw/main/iris.zip", "https://files.example/tree/x/iris.zip"):
        assert parse(dataset_repo=address).dataset_repo == address


@pytest.mark.parametrize("location", [r"training\iris", r"C:\iris", "C:/iris"])
def test_a_folder_written_as_on_windows_is_refused_with_how_to_write_it(location: str) -> None:
    assert "separate the folders of the repository with '/'" in str(refused(MLproject_location=location))
    assert parse(MLproject_location="training/iris").MLproject_location == "training/iris"
