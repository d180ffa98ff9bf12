"""An API with a caller of each role, and things of the caller, of its team and of another team."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import count
from typing import Any, NoReturn

from flask.testing import FlaskClient

from api.app import create_app
from api.http.errors import RegistryUnavailable
from shared.access.roles import Role
from shared.jobs.promotions import Kind, NewPromotion, PromotionState
from shared.scheduling.limits import Limits
from shared.secrets.vault import Vault
from shared.settings import Settings
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.support.jobs import new_job
from tests.support.kept_triggers import a_trigger
from tests.unit.api.access.callers import sent_by
from tests.unit.conftest import BODY, HOST

KEY = b"a" * 43 + b"="
NIGHTLY = {"template": BODY, "when": {"signal": {}}}


class Whose(StrEnum):
    """To whom a thing belongs, as the caller sees it."""

    OWN = "own"
    TEAMS = "team's"
    OTHERS = "others'"


OWNERS = {Whose.OWN: ("me", "vision"), Whose.TEAMS: ("ann", "vision"), Whose.OTHERS: ("ben", "speech")}


@dataclass
class Scene:
    """An API with one caller of each role, all called alike but for their names' ends, and things to ask about."""

    store: MemoryStore
    client: FlaskClient
    tokens: dict[Role, dict[str, str]]
    numbers: Iterator[int] = field(default_factory=count)

    def job(self, role: Role | None, whose: Whose, *, has_ended: bool = False) -> str:
        job_id = self.store.submit(new_job(**self._owned_by(role, whose))).job.id
        self.store.cancel(job_id, force=False) if has_ended else None
        return job_id

    def ended_job(self, role: Role | None, whose: Whose) -> str:
        return self.job(role, whose, has_ended=True)

    def trigger(self, role: Role | None, whose: Whose) -> str:
        return self.store.create_trigger(a_trigger(f"t{next(self.numbers)}", **self._owned_by(role, whose))).name

    def model(self, role: Role | None, whose: Whose) -> str:
        name = f"m{next(self.numbers)}"
        self.store.cancel(self.store.submit(new_job(model_name=name, **self._owned_by(role, whose))).job.id, force=True)
        return name

    def promotion(self, role: Role | None, whose: Whose) -> str:
        model = self.model(role, whose)
        new = NewPromotion(
            model, "champion", Kind.TRAINING, "1", None, PromotionState.AWAITING_APPROVAL, "job", "waits"
        )
        return self.store.propose(replace(new, approval_seconds=3600), seen=0).id

    def token(self, _role: Role | None, _whose: Whose) -> str:
        name = f"n{next(self.numbers)}"
        sent_by(self.store, name, Role.VIEWER)
        return name

    def _owned_by(self, role: Role | None, whose: Whose) -> dict[str, Any]:
        maker, team = OWNERS[whose]
        return {"submitted_by": f"{maker}-{role}" if whose is Whose.OWN else maker, "team": team}


class AwayRegistry:
    """MLflow does not answer."""

    def __getattr__(self, _name: str) -> Callable[..., NoReturn]:
        def refuse(*_args: object, **_named: object) -> NoReturn:
            raise RegistryUnavailable("MLflow does not answer.")

        return refuse


def make_scene(*, isolated: bool) -> Scene:
    store = MemoryStore(limits=Limits(per_key=100))
    store.teams_isolated = isolated
    store.beat(HOST, gap_seconds=60)
    unlimited = {"caller_requests_per_second": 10_000, "caller_jobs_queued": 10_000}
    settings = Settings.load(_env_file=None, api_tokens="operators", teams_isolated=isolated, **unlimited)
    app = create_app(settings, store=store, queue=RecordingQueue(), vault=Vault(KEY))
    app.extensions["retrain"] = replace(app.extensions["retrain"], registry=AwayRegistry())
    return Scene(store, app.test_client(), {role: sent_by(store, f"me-{role}", role, team="vision") for role in Role})
