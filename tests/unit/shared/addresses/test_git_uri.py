"""Which git addresses are accepted, and that what was secret in one is nowhere but in its credentials."""

import re
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.addresses.git_uri import Credentials, parse_git_uri
from shared.addresses.user_names import is_user_name

SECRET = "Sup3r-S3cret"
secrets = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FF), min_size=6, max_size=30)


@pytest.mark.parametrize(
    ("value", "uri", "scheme", "host"),
    [
        ("https://github.com/user/repo.git", "https://github.com/user/repo.git", "https", "github.com"),
        ("https://git@github.com/user/repo.git", "https://github.com/user/repo.git", "https", "github.com"),
        ("HTTPS://GitHub.com/User/Repo", "https://github.com/User/Repo", "https", "github.com"),
        ("https://host:8443/a/b", "https://host:8443/a/b", "https", "host"),
        ("http://[::1]:3000/a.git", "http://[::1]:3000/a.git", "http", "::1"),
        ("http://my_git_host/a", "http://my_git_host/a", "http", "my_git_host"),
        ("https://host/a%20b;c/d.git/", "https://host/a%20b;c/d.git/", "https", "host"),
        ("ssh://git@host:22/a.git", "ssh://git@host:22/a.git", "ssh", "host"),
        ("ssh://host/~me/a.git", "ssh://host/~me/a.git", "ssh", "host"),
        ("git@github.com:user/repo.git", "git@github.com:user/repo.git", "ssh", "github.com"),
        ("deploy-user-of-team@host:a.git", "deploy-user-of-team@host:a.git", "ssh", "host"),
        ("git@Host:/srv/a.git", "git@host:/srv/a.git", "ssh", "host"),
        ("file:///srv/a.git", "file:///srv/a.git", "file", ""),
        ("file://localhost/srv/a.git", "file:///srv/a.git", "file", ""),
    ],
)
def test_an_address_is_accepted_in_its_clean_form(value: str, uri: str, scheme: str, host: str) -> None:
    parsed = parse_git_uri(value)
    assert (parsed.uri, parsed.scheme, parsed.host, parsed.credentials) == (uri, scheme, host, None)


@pytest.mark.parametrize(
    ("userinfo", "username", "password"),
    [
        (SECRET, SECRET, ""),
        (f"{SECRET}:", SECRET, ""),
        (f"{SECRET}:x-oauth-basic", SECRET, "x-oauth-basic"),
        (f"git:{SECRET}", "git", SECRET),
        (f":{SECRET}", "", SECRET),
        ("me%40work:a%2Fb%3Ac", "me@work", "a/b:c"),
        (f"me@work:{SECRET}", "me@work", SECRET),
    ],
)
def test_credentials_are_taken_out_of_the_address(userinfo: str, username: str, password: str) -> None:
    parsed = parse_git_uri(f"https://{userinfo}@Host:8443/a.git")
    assert parsed.uri == "https://host:8443/a.git"
    assert parsed.credentials == Credentials("https://host:8443/", username, password)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "repo",
        "/srv/a.git",
        "../a.git",
        "-oProxyCommand=x:a",
        "--upload-pack=x",
        "https://host",
        "https://host/",
        "https:///a",
        f"https:/{SECRET}@host/a",
        f"https:{SECRET}@host/a",
        "https://host:port/a",
        "https://host:99999/a",
        f"https://[{SECRET}]/a",
        f"https://{SECRET}@h\u2100st/a",
        "https://-host/a",
        "https://host/a?x=y",
        "https://host/a?",
        "https://host/a#sub",
        "https://host/a b",
        "https://host/a\nb",
        "https://host/a%0ab",
        "https://host/a`x`",
        f"https://me:{SECRET}/rest@host/a",
        f"https://me:12/{SECRET}@host/a",
        f"https://me:{SECRET}%0a@host/a",
        f"https://host/oauth2:{SECRET}%40x/p",
        f"https://host/oauth2:{SECRET}%2540x/p",
        f"ssh://{SECRET}-{SECRET}@host/p",
        f"{SECRET}-{SECRET}@host:p",
        f"git@host:{SECRET}@x/p",
        f"git@host:{SECRET}%40x/p",
        f"https://a%3Ab:{SECRET}@host/a",
        f"me:{SECRET}@host:a",
        f"ssh://me:{SECRET}@host/a",
        "ssh://-oProxyCommand=x@host/a",
        "ssh://-host/a",
        "host:-path",
        "ext::sh",
        "ext::sh%20-c%20x",
        "ext::https://host/a",
        f"git://{SECRET}@host/a",
        "ftp://host/a",
        "file://host/a",
        "file:relative",
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(value: str) -> None:
    with pytest.raises(ValueError, match=r"^[a-z].*") as caught:
        parse_git_uri(value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@given(username=secrets, password=secrets, escaped=st.booleans(), scheme=st.sampled_from(["https", "http", "ssh"]))
def test_no_secret_is_in_the_address_the_repr_or_the_error(
    username: str, password: str, escaped: bool, scheme: str
) -> None:
    def written(secret: str) -> str:
        return quote(secret, safe="") if escaped else secret

    assume(not any(secret in "https://host.example:8443/group/repo.git" for secret in (username, password)))
    value = f"{scheme}://{written(username)}:{written(password)}@host.example:8443/group/repo.git"
    try:
        parsed = parse_git_uri(value)
    except ValueError as error:
        shown = str(error)
    else:
        shown = parsed.uri + repr(parsed) + repr(parsed.credentials)
    for secret in (username, password, quote(username, safe=""), quote(password, safe="")):
        assert secret not in shown


@given(token=secrets)
def test_a_quoted_token_comes_out_as_it_was(token: str) -> None:
    assume(not is_user_name(token))
    assume(":" not in token and not any(c < " " or c == "\x7f" for c in token))
    credentials = parse_git_uri(f"https://{quote(token, safe='')}@host/a.git").credentials
    assert credentials == Credentials("https://host/", token, "")
    assert credentials is not None
    assert credentials.secrets == (token,)


@pytest.mark.parametrize(
    ("userinfo", "secrets"),
    [
        ("ci:s3cret", ("s3cret",)),
        ("ghp_token", ("ghp_token",)),
        ("ghp_token:x-oauth-basic", ("ghp_token",)),
        ("glpat-0123456789abcdefghij:s3cret", ("s3cret", "glpat-0123456789abcdefghij")),
    ],
)
def test_a_plain_user_name_is_no_secret_but_a_token_in_its_place_is(userinfo: str, secrets: tuple[str, ...]) -> None:
    credentials = parse_git_uri(f"https://{userinfo}@host/r.git").credentials
    assert credentials is not None
    assert credentials.secrets == secrets


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("file:///a b", "contains a space (character 10), which no git address has; write it as %20"),
        ("https://host/a{b}", "contains '{' (character 15), which no git address has; write it as %7B"),
        ("https://host/a\tb", "contains U+0009 (character 15), which no git address has; write it as %09"),
        ("https://host/a\\b", "separate folders with '/'"),
    ],
)
def test_a_character_that_is_refused_is_named_with_how_to_write_it(address: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        parse_git_uri(address)


@pytest.mark.parametrize(
    "user", ["alice", "jane.doe", "jdoe42", "k8s-team", "jane%40corp.example", "contoso-data-science-team", "oauth2"]
)
def test_a_users_name_alone_is_neither_a_login_nor_a_secret(user: str) -> None:
    parsed = parse_git_uri(f"https://{user}@git.example/team/iris.git")
    assert (parsed.uri, parsed.credentials) == ("https://git.example/team/iris.git", None)


def test_an_organisation_that_the_path_repeats_is_no_secret_whatever_its_name() -> None:
    parsed = parse_git_uri("https://c0nt0so-ml-4x4x4x4x4x4@dev.azure.com/c0nt0so-ml-4x4x4x4x4x4/iris/_git/iris")
    assert parsed.credentials is None


@pytest.mark.parametrize("token", ["ghp_hunter2", "glpat-abc", "3f2a9c" * 7, "t0k3n-t0k3n", "qx7w2k" * 9])
def test_a_token_alone_is_a_login_and_a_secret(token: str) -> None:
    credentials = parse_git_uri(f"https://{token}@git.example/team/iris.git").credentials
    assert credentials is not None
    assert credentials.secrets == (token,)


@pytest.mark.parametrize(
    ("user", "secrets"),
    [
        ("contoso-data-science-team", ("t0ken",)),
        ("x-token-auth", ("t0ken",)),
        ("3f2a9c" * 7, ("t0ken", "3f2a9c" * 7)),
    ],
)
def test_beside_a_token_a_users_name_is_no_secret_however_long(user: str, secrets: tuple[str, ...]) -> None:
    credentials = parse_git_uri(f"https://{user}:t0ken@git.example/team/iris.git").credentials
    assert credentials is not None
    assert credentials.secrets == secrets
