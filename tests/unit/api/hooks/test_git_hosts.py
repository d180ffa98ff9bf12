"""POST /hooks/github, /hooks/gitlab and /hooks/gitea."""

from functools import partial
from typing import Any

import pytest

from api.hooks.pushes import names_of
from shared.secrets.vault import Vault
from tests.unit.api.documented import Documented
from tests.unit.api.hooks.asking import documented_hook, push, told
from tests.unit.api.hooks.senders import (
    COMMIT,
    GIT_HOSTS,
    ZEROS,
    Desk,
    GitHost,
    as_bytes,
    from_github,
    from_gitlab,
    github_push,
    gitlab_push,
)


@pytest.fixture(params=GIT_HOSTS)
def host(request: pytest.FixtureRequest) -> GitHost:
    return GIT_HOSTS[request.param]


def test_a_push_waits_for_a_worker_with_its_commit_pinned(desk: Desk, host: GitHost) -> None:
    desk.trigger("on-push", host.secret, git={"repository": host.repository})
    assert told(push(desk, host)) == [("on-push", "waiting")]
    [event] = desk.store.trigger_events("on-push", limit=9)
    assert (event.subject, event.changes) == ("main", {"commit_hash": COMMIT})
    assert event.facts == {
        "branch": "main",
        "commit": COMMIT,
        "repository": event.facts["repository"],
        "by": "mona",
    }
    assert event.facts["repository"].endswith("/iris")
    assert ":" not in event.facts["repository"]


def test_the_same_push_again_counts_once(desk: Desk, host: GitHost) -> None:
    desk.trigger("on-push", host.secret, git={"repository": host.repository})
    sent = host.push()
    first, again = push(desk, host, payload=sent), push(desk, host, payload=sent)
    assert first.json == again.json
    assert len(desk.events("on-push")) == 1


@pytest.mark.parametrize("host", [GIT_HOSTS[name] for name in ("github", "gitea", "forgejo")])
def test_a_replay_under_another_delivery_id_counts_once(desk: Desk, host: GitHost) -> None:
    desk.trigger("on-push", host.secret, git={"repository": host.repository})
    sent = host.push()
    push(desk, host, payload=sent)
    others = {f"X-{each}-Delivery": "another" for each in ("GitHub", "Gitea", "Forgejo")}
    push(desk, host, payload=sent, **others, **{"Idempotency-Key": "another"})
    assert len(desk.events("on-push")) == 1


@pytest.mark.parametrize("name", ["gitlab", "gitlab signing"])
def test_gitlab_sends_two_equal_pushes_under_two_keys(desk: Desk, name: str) -> None:
    secret = GIT_HOSTS[name].secret
    desk.trigger("on-push", secret, git={"repository": "gitlab.example.org/*"})
    sent = as_bytes(gitlab_push())
    for key in ("one", "two", "two"):
        assert desk.send("/hooks/gitlab", sent, from_gitlab(secret, sent, key=key)).status_code == 200
    assert len(desk.events("on-push")) == 2


def test_the_id_that_gitlab_signed_cannot_be_changed(desk: Desk) -> None:
    secret = GIT_HOSTS["gitlab signing"].secret
    desk.trigger("on-push", secret, git={"repository": "gitlab.example.org/*"})
    sent = as_bytes(gitlab_push())
    headers = from_gitlab(secret, sent)
    assert desk.send("/hooks/gitlab", sent, headers).status_code == 200
    assert desk.send("/hooks/gitlab", sent, {**headers, "webhook-id": "another"}).status_code == 401
    assert desk.send("/hooks/gitlab", sent, {**headers, "Idempotency-Key": "another"}).status_code == 200
    assert desk.events("on-push") == [("refused", "signature wrong"), ("waiting", "for a worker")]


@pytest.mark.parametrize("age", [301, -301])
def test_what_gitlab_signed_long_ago_is_refused(desk: Desk, age: float) -> None:
    secret = GIT_HOSTS["gitlab signing"].secret
    desk.trigger("on-push", secret, git={"repository": "gitlab.example.org/*"})
    sent = as_bytes(gitlab_push())
    assert desk.send("/hooks/gitlab", sent, from_gitlab(secret, sent, age=age)).status_code == 401
    assert desk.events("on-push") == [("refused", "signature too old")]


def test_a_push_to_github_of_weeks_ago_is_refused(desk: Desk) -> None:
    desk.trigger("on-push", "wort", git={"repository": "github.com/*"})
    sent = github_push()
    sent["repository"]["pushed_at"] -= 8 * 86400
    assert push(desk, GIT_HOSTS["github"], payload=sent).status_code == 401
    assert desk.events("on-push") == [("refused", "signature too old")]


def test_a_wrong_signature_is_refused_and_noted_once(desk: Desk, host: GitHost) -> None:
    desk.trigger("on-push", host.secret, git={"repository": host.repository})
    desk.trigger("elsewhere", host.secret, git={"repository": "example.org/other/*"})
    wrong = f"whsec_{'A' * 43}=" if host.secret.startswith("whsec_") else "wrong"
    for _ in range(3):
        answer = push(desk, host, secret=wrong)
        assert (answer.status_code, (answer.json or {})["code"]) == (401, "NOT_SIGNED")
    [event] = desk.store.trigger_events("on-push", limit=9)
    assert (event.outcome, event.reason, event.times) == ("refused", "signature wrong", 1)
    assert desk.events("elsewhere") == []


def test_without_a_signature_nothing_is_read_or_noted(desk: Desk, host: GitHost) -> None:
    desk.trigger("on-push", host.secret, git={"repository": host.repository})
    answer = desk.send(host.path, b"not even JSON", {"X-GitHub-Event": "push"})
    assert (answer.status_code, (answer.json or {})["code"]) == (401, "NOT_SIGNED")
    assert "header X-" in (answer.json or {})["detail"]
    assert desk.events("on-push") == []


@pytest.mark.parametrize(
    "signature",
    ["", "sha256=", "sha256=zz", "sha1=" + "0" * 40, "sha256=" + "0" * 63, "sha256=" + "0" * 65, "sha256=" + "é" * 64],
)
def test_what_is_no_signature_proves_nothing(desk: Desk, signature: str) -> None:
    desk.trigger("on-push", "wort", git={"repository": "*"})
    answer = push(desk, GIT_HOSTS["github"], **{"X-Hub-Signature-256": signature})
    assert answer.status_code == 401
    assert desk.events("on-push") == []


def test_the_answer_does_not_tell_which_triggers_there_are(desk: Desk, host: GitHost) -> None:
    before = push(desk, host, secret="wrong")
    desk.trigger("on-push", host.secret, git={"repository": host.repository})
    after = push(desk, host, secret="wrong")
    assert {**(before.json or {}), "request_id": ""} == {**(after.json or {}), "request_id": ""}
    assert before.headers["WWW-Authenticate"] == after.headers["WWW-Authenticate"]


def test_a_sender_is_told_only_of_triggers_whose_secret_it_knows(desk: Desk, host: GitHost) -> None:
    desk.trigger("mine", host.secret, git={"repository": host.repository})
    desk.trigger("theirs", "another", git={"repository": host.repository})
    desk.trigger("unsigned", None, git={"repository": host.repository})
    assert told(push(desk, host)) == [("mine", "waiting")]
    assert desk.events("theirs") == []


def test_a_trigger_whose_secret_cannot_be_read_does_not_keep_others_from_theirs(desk: Desk) -> None:
    foreign = Desk(desk.client, desk.store, Vault(b"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="))
    foreign.trigger("unreadable", "wort", git={"repository": "*"})
    assert push(desk, GIT_HOSTS["github"]).status_code == 401
    assert desk.events("unreadable") == [("refused", "its secret was encrypted under another SECRET_KEY")]
    foreign.trigger("unreadable too", "wort", git={"repository": "*"})
    desk.trigger("readable", "wort", git={"repository": "*"})
    assert told(push(desk, GIT_HOSTS["github"])) == [("readable", "waiting")]
    assert desk.events("unreadable too") == desk.events("unreadable")


@pytest.mark.parametrize(
    ("changed", "nothing"),
    [
        ({"after": ZEROS, "deleted": True}, "the branch was deleted"),
        ({"ref": "refs/tags/v1"}, "it is not about a branch"),
        ({"ref": "main"}, "it is not about a branch"),
        ({"ref": None}, "it is not about a branch"),
        ({"after": "0d1a26e"}, "it names no commit"),
        ({"after": "--upload-pack=evil"}, "it names no commit"),
        ({"after": 7}, "it names no commit"),
        ({"ref": "refs/heads/" + "b" * 501}, "the branch's name has more than 500 characters"),
    ],
    ids=str,
)
def test_what_no_training_could_follow_fires_nothing(
    desk: Desk, host: GitHost, changed: dict[str, Any], nothing: str
) -> None:
    desk.trigger("on-push", host.secret, git={"repository": host.repository})
    answer = push(desk, host, payload=host.push(**changed))
    assert (answer.status_code, answer.json) == (200, {"triggers": [], "nothing": nothing})
    assert desk.events("on-push") == []


def test_a_ping_is_answered_if_its_secret_is_right(desk: Desk) -> None:
    desk.trigger("on-push", "wort", git={"repository": "github.com/user/iris"})
    payload = {"zen": "Keep it logically awesome.", "hook_id": 1, "hook": {"type": "Organization"}}
    for body in (payload, {**payload, "repository": github_push()["repository"]}):
        sent = as_bytes(body)
        answer = desk.send("/hooks/github", sent, from_github("wort", sent, event="ping"))
        assert (answer.status_code, answer.json) == (200, {"triggers": [], "nothing": "ping"})
        assert desk.send("/hooks/github", sent, from_github("wrong", sent, event="ping")).status_code == 401


def test_other_events_and_repositories_are_no_error_to_who_knows_a_secret(desk: Desk) -> None:
    desk.trigger("on-push", "wort", git={"repository": "github.com/user/iris", "branches": ["main", "release/*"]})
    sent = as_bytes(github_push())
    other = desk.send("/hooks/github", sent, from_github("wort", sent, event="issues"))
    assert (other.json or {})["nothing"] == "it is the event 'issues', not a push"
    sent = as_bytes(github_push(repository={"clone_url": "https://github.com/user/other.git"}))
    desk.trigger("theirs", "another", git={"repository": "github.com/user/other"})
    elsewhere = desk.send("/hooks/github", sent, from_github("wort", sent))
    assert elsewhere.json == {"triggers": [], "nothing": "no trigger waits for this repository"}
    assert desk.events("on-push") == desk.events("theirs") == []


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("https://github.com/User/Iris.git", {"github.com/user/iris"}),
        ("git@github.com:User/Iris.git", {"github.com/user/iris"}),
        ("git://github.com/User/Iris", {"github.com/user/iris"}),
        ("http://git.example.org:3000/user/iris", {"git.example.org/user/iris", "git.example.org:3000/user/iris"}),
        ("ssh://git@host.example:22/a/b/c.git", {"host.example/a/b/c", "host.example:22/a/b/c"}),
        ("https://mona:t0ken@github.com/user/iris.git", {"github.com/user/iris"}),
        ("https://[2001:db8::1]:3000/user/iris.git", {"[2001:db8::1]/user/iris", "[2001:db8::1]:3000/user/iris"}),
        ("https://github.com/us\x00er/iris", set()),
        ("https://github.com/" + "a" * 500, set()),
        ("iris", set()),
        ("", set()),
        (None, set()),
    ],
)
def test_all_addresses_of_a_repository_give_one_name(address: str | None, names: set[str]) -> None:
    assert names_of([address]) == names


@pytest.mark.parametrize(
    ("branch", "outcome"), [("main", "waiting"), ("release/1.2", "waiting"), ("Main", "skipped"), ("dev", "skipped")]
)
def test_a_branch_is_one_of_the_triggers_patterns(desk: Desk, branch: str, outcome: str) -> None:
    desk.trigger("on-push", "wort", git={"repository": "github.com/user/*", "branches": ["main", "release/*"]})
    answer = push(desk, GIT_HOSTS["github"], payload=github_push(ref=f"refs/heads/{branch}"))
    assert told(answer) == [("on-push", outcome)]


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("github.com/user/iris", True),
        ("GitHub.com/USER/iris", True),
        ("https://github.com/user/iris.git", True),
        ("github.com/*", True),
        ("*/iris", True),
        ("*", True),
        ("github.com/user/iri", False),
        ("github.com/user/?ris", False),
        ("github.com", False),
        ("user/iris", False),
        ("evil.example/github.com/user/iris", False),
    ],
)
def test_a_repository_is_found_by_host_owner_and_name(desk: Desk, pattern: str, fits: bool) -> None:
    desk.trigger("on-push", "wort", git={"repository": pattern})
    assert bool(told(push(desk, GIT_HOSTS["github"]))) == fits


def test_a_paused_trigger_is_told_as_skipped(desk: Desk) -> None:
    desk.trigger("on-push", "wort", git={"repository": "*"})
    desk.store.pause_trigger("on-push", reason="holidays")
    assert told(push(desk, GIT_HOSTS["github"])) == [("on-push", "skipped")]
    assert desk.events("on-push") == [("skipped", "the trigger is paused")]


def test_a_secret_is_in_no_answer_and_no_log(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    desk.trigger("on-push", "wort-of-senders", git={"repository": "*"})
    answers = [push(desk, GIT_HOSTS["gitlab"], secret=each) for each in ("wort-of-senders", "wrong-of-senders")]
    assert not any("of-senders" in text for text in (*(each.text for each in answers), caplog.text))


def test_without_tokens_of_the_api_a_signed_push_is_taken_from_anywhere(desk: Desk, make_app: Any) -> None:
    client = make_app().test_client()
    desk.trigger("on-push", "wort", git={"repository": "*"})
    sent = as_bytes(github_push())
    headers = {"X-Forwarded-For": "10.1.2.3", "Host": "retrain.example.org", **from_github("wort", sent)}
    remote = {"REMOTE_ADDR": "10.1.2.3"}
    answer = client.post(
        "/hooks/github", data=sent, content_type="application/json", headers=headers, environ_base=remote
    )
    assert answer.status_code == 200


DOCUMENTED: Documented = {
    f"POST {host.path}": documented_hook(
        host.path, body := as_bytes(host.push()), partial(host.headers, "wort", body), git={"repository": "*"}
    )
    for name, host in GIT_HOSTS.items()
    if name in ("github", "gitlab", "gitea")
}
