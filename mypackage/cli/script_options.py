"""Reads from a training script, without running it, which options it takes and which packages it imports. Pure."""

import ast
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

OF_THE_REQUEST = ("model_name", "experiment_name")  # each job has them
UNDERSTOOD = frozenset({"type", "default", "required", "help", "choices", "metavar", "dest", "const"})
SEVERAL_SETS = ("add_subparsers", "add_mutually_exclusive_group")
SET_BY_THE_SERVICE = ("set_tracking_uri", "set_experiment")


@dataclass(frozen=True)
class Option:
    """An option (or, without dashes, an argument) that a request can set; ``default`` None means it needs a value."""

    flag: str
    type: str
    default: str | int | float | None

    @property
    def name(self) -> str:
        """Its name as a parameter."""
        return self.flag.lstrip("-").replace("-", "_")


@dataclass(frozen=True)
class Script:
    """What a script says of itself; ``set_by_service`` are the calls in it that a job must not make."""

    options: tuple[Option, ...]
    imports: tuple[str, ...]
    set_by_service: tuple[str, ...]


def read_script(text: str) -> Script:
    """Return what the script takes and imports; raise SyntaxError if it is not Python."""
    nodes = list(ast.walk(ast.parse(text)))
    calls = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    called = [_method(call) for call in calls]
    is_clear = called.count("ArgumentParser") <= 1 and not set(called) & set(SEVERAL_SETS)
    adding = [call for call in calls if _method(call) == "add_argument"] if is_clear else []
    options = tuple(option for call in adding if (option := _option(call)))
    return Script(options, tuple(sorted(set(_imports(nodes)))), tuple(n for n in SET_BY_THE_SERVICE if n in called))


def _method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _option(call: ast.Call) -> Option | None:
    """Return the option, if a value given as text reaches the script as the same value that it has without."""
    flags = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    said = {word.arg: word.value for word in call.keywords if word.arg}
    if not flags or len(said) < len(call.keywords) or not said.keys() <= UNDERSTOOD:  # nargs, action: no single value
        return None
    flag = next((each for each in flags if each.startswith("--")), flags[0])
    if not flag.lstrip("-").replace("-", "_").isidentifier():
        return None
    kind = _kind(said.get("type"))
    option = Option(flag, kind or "string", _default(said.get("default"), kind))
    is_needed = not flag.startswith("-") or _is_true(said.get("required")) or option.name in OF_THE_REQUEST
    return option if is_needed or option.default is not None else None


def _kind(said: ast.expr | None) -> str | None:
    """Return the parameter's type; None for one of the script's own making."""
    if said is None:
        return "string"
    return {"int": "int", "float": "float", "str": "string"}.get(said.id) if isinstance(said, ast.Name) else None


def _default(said: ast.expr | None, kind: str | None) -> str | int | float | None:
    try:
        value = ast.literal_eval(said) if said is not None else None
    except (ValueError, TypeError):  # computed
        return None
    if isinstance(value, str) and kind == "string":
        return None if value.startswith("-") else value  # argparse would take it for an option
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value if kind == "float" or (kind == "int" and isinstance(value, int)) else None


def _is_true(said: ast.expr | None) -> bool:
    return isinstance(said, ast.Constant) and said.value is True


def _imports(nodes: Sequence[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        else:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        yield from (top for name in names if (top := name.partition(".")[0]) not in sys.stdlib_module_names and top)
