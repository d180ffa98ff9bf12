"""The page of alerts: what was told to whom, the channels, and a test of one."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, new_token
from shared.alerts.model import AlertEvent, Alerting
from shared.scheduling.limits import Limits
from tests.fakes.store import MemoryStore
from tests.support.jobs import running
from tests.support.servers.alert_workers import AnsweringChannel, alert_worker
from tests.unit.api.ui.browser import press, sign_in
from tests.unit.conftest import MakeApp, Submit
from worker.alerts.seam import Answer, Verdict

NAMED = "team-a=json:https://hooks.example/hunter2,ci=discord:https://hooks.example/hunter3"
DEFAULT = "https://hooks.example/hunter4"
GONE = Answer(Verdict.CLOSED, "HTTP 404, code 10015")
TOKEN = "a-word-of-the-operators-own"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(limits=Limits(per_key=9), alerting=Alerting(frozenset(AlertEvent), frozenset({"discord"})))


@pytest.fixture
def client(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    monkeypatch.setattr("api.live.long_poll.POLL_SECONDS", 0.01)
    app = make_app(alert_webhooks=NAMED, discord_webhook_url=DEFAULT)
    yield app.test_client()
    app.extensions["retrain"].long_poll.stop()


def test_an_alert_is_shown_with_what_became_of_it_and_why(client: FlaskClient, store: MemoryStore) -> None:
    job = running(store, model_name="iris").job.id
    alert = store.take_alert({"discord"}, lease_seconds=60)
    assert alert is not None
    store.alert_failed(alert, retry_in_seconds=None, cause="HTTP 404")
    page = client.get("/ui/alerts").text
    for shown in (f"/ui/jobs/{job}", "given up", "HTTP 404", "iris"):
        assert shown in page
    assert f"/ui/jobs/{job}" not in client.get("/ui/alerts?state=sent").text
    assert f"/ui/jobs/{job}" in client.get("/ui/alerts?state=given_up&channel=discord&model=iris").text


def test_channels_are_named_with_their_kind_and_lead_nowhere(client: FlaskClient) -> None:
    page = client.get("/ui/alerts").text
    for name in ("discord", "team-a", "ci"):
        assert f'<th scope="row">{name}</th>' in page
    assert "hunter" not in page
    assert "hooks.example" not in page


def test_a_test_of_a_channel_is_told_in_words(client: FlaskClient, store: MemoryStore) -> None:
    channels = {"team-a": AnsweringChannel(), "ci": AnsweringChannel(GONE)}
    with alert_worker(store, channels):
        good = press(client, "/ui/alerts", "/ui/alerts/test", channel="team-a")
        bad = press(client, "/ui/alerts", "/ui/alerts/test", channel="ci")
    assert "<strong>team-a</strong> arrived." in good.text
    assert "<strong>ci</strong> was refused, until somebody acts: HTTP 404, code 10015" in bad.text
    assert [len(channel.trials) for channel in channels.values()] == [1, 1]


def test_without_a_worker_the_test_says_so_and_an_unknown_channel_is_refused(client: FlaskClient) -> None:
    answer = press(client, "/ui/alerts", "/ui/alerts/test", channel="discord")
    assert "<strong>discord</strong> was not sent: no worker is alive." in answer.text
    assert press(client, "/ui/alerts", "/ui/alerts/test", channel="unknown").status_code == 422
    assert client.get("/ui/alerts/test").location == "/ui/alerts"


def test_who_may_only_look_is_offered_no_test(make_app: MakeApp, store: MemoryStore) -> None:
    browser, token = make_app(api_tokens=(TOKEN,), discord_webhook_url=DEFAULT).test_client(), new_token()
    viewer = NewToken(name="v", hash=hash_of(token), hint="art_", roles=frozenset({Role.VIEWER}), created_by="env-1")
    store.create_token(viewer)
    sign_in(browser, token)
    assert "/ui/alerts/test" not in browser.get("/ui/alerts").text


def test_the_addresses_for_webhooks_are_below_the_one_where_people_reach_the_api(make_app: MakeApp) -> None:
    browser = make_app(api_public_url="https://ml.example.com/tools").test_client()
    page = browser.get("/tools/ui/alerts", base_url="http://localhost").text
    assert "https://ml.example.com/tools/hooks/github" in page
    assert "https://ml.example.com/tools/triggers/NAME/signal" in page


def test_a_job_s_alerts_are_a_part_of_its_page(client: FlaskClient, store: MemoryStore, submit: Submit) -> None:
    job, other = running(store).job.id, submit()["id"]
    page = client.get(f"/ui/jobs/{job}").text
    assert f'data-part="/ui/jobs/{job}/alerts"' in page
    assert f'href="/ui/jobs/{job}/alerts"' in page
    assert "started" in client.get(f"/ui/jobs/{job}/alerts").text
    assert "Nobody was told of this job" in client.get(f"/ui/jobs/{other}/alerts").text


def test_hostile_words_are_text(client: FlaskClient, store: MemoryStore) -> None:
    running(store, model_name="<script>alert(1)</script>")
    alert = store.take_alert({"discord"}, lease_seconds=60)
    assert alert is not None
    store.alert_failed(alert, retry_in_seconds=None, cause="<script>alert(2)</script>" + "x" * 1000)
    page = client.get("/ui/alerts").text
    assert "<script>alert" not in page
    assert "x" * 501 not in page
