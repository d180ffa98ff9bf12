"""A sender of alerts on a store in memory, with channels that answer as the test says."""

from collections.abc import Callable

from shared.alerts.model import AlertEvent, Alerting, Trial
from shared.jobs.promotions import Event as Line
from shared.jobs.promotions import Kind, NewPromotion, PromotionState
from shared.scheduling.limits import Limits
from tests.fakes.store import MemoryStore
from tests.support.clocks import HeldClock
from tests.support.jobs import ended
from worker.alerts.seam import Answer, News, Verdict
from worker.alerts.sender import AlertSender

SENT = Answer(Verdict.SENT)
BROKEN = Answer(Verdict.LATER, "HTTP 500")
GONE = Answer(Verdict.CLOSED, "HTTP 404, code 10015")
REFUSED = Answer(Verdict.REFUSED, "HTTP 400, code 50035")
TEAM = "team-a"
DISCORD = frozenset({"discord"})
Event = AlertEvent
MODEL = ("iris", "champion")


class ScriptedChannel:
    """Answers what the script says, and then that all is well; ``news`` is what it was told."""

    def __init__(self, *script: Answer | Exception) -> None:
        self.script = list(script)
        self.news: list[News] = []
        self.trials: list[Trial] = []
        self.before_answer: Callable[[], None] = lambda: None

    def send(self, news: News) -> Answer:
        """Note the news, and answer."""
        self.news.append(news)
        self.before_answer()
        answer = self.script.pop(0) if self.script else SENT
        if isinstance(answer, Exception):
            raise answer
        return answer

    def send_trial(self, trial: Trial) -> Answer:
        """Note the trial, and answer."""
        self.trials.append(trial)
        answer = self.script.pop(0) if self.script else SENT
        assert isinstance(answer, Answer)
        return answer

    @property
    def events(self) -> list[AlertEvent]:
        """What it was told of."""
        return [each.alert.event for each in self.news]


class Bench:
    """A sender, what it sends with, and time."""

    def __init__(self, *script: Answer | Exception, channels: frozenset[str] = DISCORD) -> None:
        self.clock = HeldClock()
        alerting = Alerting(frozenset(AlertEvent), channels)
        self.store = MemoryStore(clock=self.clock, limits=Limits(per_key=9), alerting=alerting)
        self.channel, self.other = ScriptedChannel(*script), ScriptedChannel()
        self.sender = self.another_sender()

    def another_sender(self) -> AlertSender:
        """A sender in another worker. Its backoff has no jitter."""
        channels: dict[str, ScriptedChannel] = {"discord": self.channel, TEAM: self.other}
        return AlertSender(self.store, channels, clock=self.clock.monotonic, jitter=lambda: 1.0)

    def send_all(self, sender: AlertSender | None = None) -> int:
        """Send until nothing is due now; how many posts that took."""
        before = len(self.channel.news)
        while (sender or self.sender).once():
            pass
        return len(self.channel.news) - before

    def sent(self) -> list[News]:
        """Send all; return what that was."""
        before = len(self.channel.news)
        self.send_all()
        return self.channel.news[before:]

    def ended_with_a_promotion(self) -> str:
        """A job whose model a person has approved; that it waits was told before."""
        job_id, state = ended(self.store), PromotionState.AWAITING_APPROVAL
        new = NewPromotion(*MODEL, Kind.TRAINING, "2", "1", state, "job", "better", job_id=job_id, attempt=1)
        made = self.store.propose(new, seen=0)
        seen, moving = self.store.last_event(*MODEL), PromotionState.MOVING
        self.store.settle(made.id, moving, event=Line.APPROVED, actor="ann", reason="good", seen=seen, before="1")
        self.store.carried_out(made.id)
        return job_id

    def move_by_hand(self) -> None:
        """Somebody moves the alias in MLflow."""
        new = NewPromotion(*MODEL, Kind.FOREIGN, "9", "2", PromotionState.PROMOTED, "unknown", "by hand")
        self.store.propose(new, seen=self.store.last_event(*MODEL))

    def pass_seconds(self, seconds: float) -> int:
        """Let time go by, and send what is due then."""
        self.clock.pass_seconds(seconds)
        return self.send_all()
