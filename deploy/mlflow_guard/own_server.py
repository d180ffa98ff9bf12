"""Our own MLflow server's app behind the guard. MLflow starts it as its plug-in 'retrain' (deploy/mlflow_plugin).

People come in where MLflow listens. Where trainings are told of an address of their own, the same process serves that,
too, and there each request is judged by its attempt's token.
"""

import logging
import os
from typing import cast
from urllib.parse import urlsplit

from deploy.mlflow_guard.attempt_keys import attempt_keys
from deploy.mlflow_guard.beside import Beside
from deploy.mlflow_guard.inside import Inside
from deploy.mlflow_guard.layer import App, Guard, Message, Receive, Scope, Send
from deploy.mlflow_guard.routes import decide_for_people, decide_for_training
from deploy.mlflow_guard.side import TrainingsSide, side_at
from deploy.mlflow_guard.trainings import Trainings
from deploy.mlflow_guard.upstream import Upstream
from deploy.mlflow_server import TRACKING_URI, TRAININGS_ADDRESS, is_own, port_of
from shared import logs
from shared.live_secrets import environment, redactor_of
from shared.settings import Settings


class BothSides:
    """One app for people, and for trainings at a port of their own for as long as people's is served."""

    def __init__(self, people: App, trainings: App, side: TrainingsSide, beside: Beside) -> None:
        self._people, self._trainings, self._side, self._beside = people, trainings, side, beside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the server's life, and one connection's request."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif self._side.is_training(scope):
            await self._trainings(scope, receive, send)
        else:
            await self._people(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_after() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._beside.close()
            return message

        async def send_before(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._beside.open(self._side.address, self._side.port)
            await send(message)

        await self._people(scope, receive_after, send_before)


def app() -> App:
    """Return MLflow's app without the routes that would let anybody run things on this machine."""
    from mlflow.server.fastapi_app import app as mlflow_app  # noqa: PLC0415 - not for who only looks for app

    people = Guard(cast(App, mlflow_app), decide=decide_for_people)
    address = os.environ.get(TRAININGS_ADDRESS)
    return with_trainings(people, cast(App, mlflow_app), address) if address else people


def with_trainings(people: App, mlflow: App, address: str) -> App:
    """Return what serves trainings as well, at this address and the port of TRACKING_GUARD_URI."""
    settings = Settings.load(mlflow_tracking_uri=os.environ[TRACKING_URI])
    _log_as_the_others(settings)
    port = urlsplit(settings.tracking_guard_uri).port or 0
    inner: Inside | Upstream = Upstream(settings)
    if is_own(settings):
        inner = Inside(mlflow, f"localhost:{port_of(settings)}")
    policy = Trainings(inner, attempt_keys(settings.tracking_guard_key.get_secret_value(), os.environ))
    trainings = Guard(inner, decide=decide_for_training, policy=policy)
    beside = Beside(trainings, lifespan="off" if isinstance(inner, Inside) else "on")
    return BothSides(people, trainings, side_at(address, port), beside)


def _log_as_the_others(settings: Settings) -> None:
    """Say what the guard says in this service's form; MLflow has set up logging for its own."""
    handler, ours = logging.StreamHandler(), logging.getLogger("deploy.mlflow_guard")
    handler.setFormatter(logs.formatter_of(settings.log_format, redactor_of(settings, environment())))
    ours.handlers, ours.propagate = [handler], False
    ours.setLevel(settings.log_level)
