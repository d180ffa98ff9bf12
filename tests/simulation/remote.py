"""A worker's way to what stands outside it: each call is a place to be interrupted, cut off or killed at."""

from collections.abc import Callable
from typing import Any

from tests.simulation.scheduler import Process

Call = Callable[..., Any]


def reachable() -> None:
    """Nothing is in the way."""


class Remote:
    """Stands before a store, runner, queue or tracking server and has its methods.

    Other threads may go on, and the process may die, before each call. That is after the one before it, too:
    between two calls a worker changes nothing that outlives it. ``check`` raises where the call cannot get through,
    ``observe`` sees what it did, and ``answer`` raises where it got through but its answer is lost.
    """

    def __init__(
        self,
        process: Process,
        name: str,
        target: object,
        *,
        check: Callable[[], None] = reachable,
        observe: Callable[[str, tuple[Any, ...], dict[str, Any], Any], None] | None = None,
        answer: Callable[[], None] = reachable,
    ) -> None:
        self._process = process
        self._name = name
        self._target = target
        self._check = check
        self._observe = observe
        self._answer = answer

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value
        call = self._around(name, value)
        self.__dict__[name] = call
        return call

    def _around(self, name: str, target: Call) -> Call:
        label = f"{self._name}.{name}"

        def call(*arguments: Any, **named: Any) -> Any:
            self._process.point(label)
            self._check()
            result = target(*arguments, **named)
            if self._observe is not None:
                self._observe(name, arguments, named, result)
            self._answer()
            return result

        return call
