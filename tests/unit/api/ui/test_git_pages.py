"""Where a commit is shown to people, as far as the repository's address tells."""

import pytest

from api.ui.git_pages import commit_page, repository_page

SHA = "1f0c7a3e5b9d2c4f6a8e0b1d3f5a7c9e2b4d6f80"


@pytest.mark.parametrize(
    ("git_uri", "page"),
    [
        ("https://github.com/user/iris.git", f"https://github.com/user/iris/commit/{SHA}"),
        ("https://github.com/user/iris", f"https://github.com/user/iris/commit/{SHA}"),
        ("git@github.com:user/iris.git", f"https://github.com/user/iris/commit/{SHA}"),
        ("ssh://git@github.com:22/user/iris.git", f"https://github.com/user/iris/commit/{SHA}"),
        ("https://github.example.com/ml/iris.git/", f"https://github.example.com/ml/iris/commit/{SHA}"),
        ("https://gitlab.com/group/sub/iris.git", f"https://gitlab.com/group/sub/iris/-/commit/{SHA}"),
        ("http://gitlab.intern.example:8080/ml/iris", f"http://gitlab.intern.example:8080/ml/iris/-/commit/{SHA}"),
        ("https://gitea.example.com/ml/iris.git", f"https://gitea.example.com/ml/iris/commit/{SHA}"),
        ("https://codeberg.org/ml/iris.git", f"https://codeberg.org/ml/iris/commit/{SHA}"),
        ("https://bitbucket.org/ml/iris.git", f"https://bitbucket.org/ml/iris/commits/{SHA}"),
        ("https://git.sr.ht/~ann/iris", f"https://git.sr.ht/~ann/iris/commit/{SHA}"),
    ],
)
def test_a_commit_is_shown_where_its_host_has_such_pages(git_uri: str, page: str) -> None:
    assert commit_page(git_uri, SHA) == page


@pytest.mark.parametrize(
    "git_uri",
    [
        None,
        "",
        "file:///srv/iris.git",
        "https://git.example.com/ml/iris.git",
        "https://bitbucket.example.com/scm/ml/iris.git",
        "https://notgithub.com/ml/iris",
        "https://codeberg.org.evil.example/ml/iris",
        "javascript:alert(1)",
        "javascript://github.com/%0aalert(1)",
        "https://user:pa/ss@github.com/x",
        "\x00",
    ],
)
def test_no_page_is_guessed_of_another_address(git_uri: str | None) -> None:
    assert commit_page(git_uri, SHA) is None


@pytest.mark.parametrize("sha", [None, "", "main", "../../settings", "1f0c7a", '1f0c7a3"><script>', "F" * 40])
def test_only_a_commit_has_a_page(sha: str | None) -> None:
    assert commit_page("https://github.com/user/iris.git", sha) is None


def test_a_token_in_an_address_is_in_no_link() -> None:
    assert (
        commit_page("https://ghp_s3cret@github.com/user/iris.git", SHA) == f"https://github.com/user/iris/commit/{SHA}"
    )
    assert repository_page("https://ann:pass@git.example.com/a b/iris.git") is None
    assert repository_page("https://ann:pass@git.example.com/a/iris.git") == "https://git.example.com/a/iris"
