"""Renders a project's entry point as the shell command to run, as MLflow would. Pure.

worker/tracking/client.py loads the project; worker/project/docker_env.py decides what it gets of its docker_env.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from string import Formatter

from mypackage.protocol import NO_BASE_MODEL, NO_DATASET
from shared.errors import Code, UserError
from worker.project.parameter_values import ParameterValue, is_remote, text_of

# What a project gets that needs the parameter and has no default of its own.
WORDS_FOR_NOTHING = {"base_model": NO_BASE_MODEL, "dataset_repo": NO_DATASET}
SCRIPT = re.compile(r"^[A-Za-z0-9_.][A-Za-z0-9_./ -]*\.(py|sh|R)$")
COMMAND_BYTES = 127 * 1024  # one argument of `bash -c`, of which Linux takes 128 KiB; we write a line before it
# The predecessor's README told its users to write "python train.py |" with the options on the lines after it. A
# program's name never begins with "--", so this can only be meant as one command; what is in quotes is left alone.
PIPE_INTO_OPTIONS = re.compile(r"""('[^']*'|"(?:\\.|[^"\\])*"|\\.)|(?<!\|)\|\s*(?=--[A-Za-z{])""", re.DOTALL)
# MLflow downloads a URI given for a `path` on its own host. Here that happens inside the container: with the
# container's own rights, on its disk, under the job's timeout, and visible in its log.
DOWNLOAD = "import sys, mlflow.artifacts as a; print(a.download_artifacts(artifact_uri=sys.argv[1]))"


@dataclass(frozen=True)
class Parameter:
    """A declared parameter; without a default it is required. The default is text as MLflow would write it."""

    name: str
    type: str = "string"
    default: str | None = None


@dataclass(frozen=True)
class EntryPoint:
    """A command template of a project, with its parameters in declared order."""

    name: str
    command: str
    parameters: tuple[Parameter, ...] = ()

    @property
    def needed(self) -> frozenset[str]:
        """The names of the parameters for which the project has no default."""
        return frozenset(parameter.name for parameter in self.parameters if parameter.default is None)

    @property
    def declared(self) -> frozenset[str]:
        """The names of its parameters."""
        return frozenset(parameter.name for parameter in self.parameters)


@dataclass(frozen=True)
class EnvironmentVariable:
    """A variable that a project wants; if ``value`` is None, it is copied from the worker's environment."""

    name: str
    value: str | None = None


@dataclass(frozen=True)
class Project:
    """What an MLproject file says. ``image`` is None where it has no docker_env.

    ``packages`` is the file of its python_env or conda_env, as seen from its folder.
    """

    name: str
    image: str | None = None
    entry_points: Mapping[str, EntryPoint] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    environment: tuple[EnvironmentVariable, ...] = ()
    packages: str | None = None

    def entry_point(self, name: str) -> EntryPoint:
        """Return the entry point or, as MLflow does, the script of that name; INVALID_PROJECT if there is neither."""
        if name in self.entry_points:
            return self.entry_points[name]
        if SCRIPT.match(name) and ".." not in name.split("/"):
            return EntryPoint(name, _script_command(name))
        known = ", ".join(self.entry_points) or "none"
        raise UserError(
            Code.INVALID_PROJECT,
            f"Project '{self.name}' has no entry point '{name}' (it has: {known}). Check its MLproject file.",
            project=self.name,
            entry_point=name,
            entry_points=tuple(self.entry_points),
        )


@dataclass(frozen=True)
class Rendered:
    """A command for `sh -c`, and the parameters' values as they are, for the MLflow run."""

    command: str
    parameters: Mapping[str, str]


def assemble(
    entry_point: EntryPoint, *, fields: Mapping[str, str | None], parameters: Mapping[str, ParameterValue]
) -> dict[str, ParameterValue]:
    """Return the values for the entry point: the request's fields only if it declares them, parameters always.

    An undeclared parameter becomes an option of the command, and not every train.py accepts unknown options.
    A field that was not sent is None, and leaves the project's default in place.
    """
    declared = entry_point.declared
    given = {name: value for name, value in fields.items() if value is not None and name in declared}
    nothing = {name: word for name, word in WORDS_FOR_NOTHING.items() if name in entry_point.needed}
    return {**nothing, **given, **parameters}


def render(entry_point: EntryPoint, values: Mapping[str, ParameterValue]) -> Rendered:
    """Return the command with the values filled in as MLflow does; UserError says what is wrong with either."""
    parameters = _texts(entry_point, values)
    quoted = {name: shlex.quote(text) for name, text in parameters.items()}
    downloads = []
    for index, name in enumerate(_remote_paths(entry_point, parameters)):
        downloads.append(f'RETRAIN_PATH_{index}="$(python -c {shlex.quote(DOWNLOAD)} {quoted[name]})" || exit 1')
        quoted[name] = f'"$RETRAIN_PATH_{index}"'
    options = (f"--{shlex.quote(name)} {quoted[name]}" for name in parameters if name not in entry_point.declared)
    command = " ".join([_filled(entry_point, quoted), *options])
    return Rendered(require_length("\n".join([*downloads, command]), entry_point), parameters)


def _texts(entry_point: EntryPoint, values: Mapping[str, ParameterValue]) -> dict[str, str]:
    missing = [p.name for p in entry_point.parameters if p.name not in values and p.default is None]
    if missing:
        raise UserError(
            Code.INVALID_PARAMETER,
            f"Entry point '{entry_point.name}' needs a value for {', '.join(missing)}. "
            "Give it in the request, or a default in the MLproject file.",
            entry_point=entry_point.name,
            missing=tuple(missing),
        )
    texts = {p.name: _text(p, values) for p in entry_point.parameters}
    return texts | {n: text_of(value, name=n) for n, value in values.items() if n not in texts}


def _text(parameter: Parameter, values: Mapping[str, ParameterValue]) -> str:
    if parameter.name in values and str(values[parameter.name]) != parameter.default:
        return text_of(values[parameter.name], name=parameter.name, type_=parameter.type)
    # A default is the project's own text, such as "None" for a float: MLflow passes it on, and so do we, sent or not.
    return parameter.default or ""


def _remote_paths(entry_point: EntryPoint, texts: Mapping[str, str]) -> Iterator[str]:
    return (p.name for p in entry_point.parameters if p.type == "path" and is_remote(texts[p.name]))


def _filled(entry_point: EntryPoint, quoted: Mapping[str, str]) -> str:
    template = PIPE_INTO_OPTIONS.sub(lambda match: match[1] or " ", _without_line_end(entry_point.command))
    return "".join(_pieces(template, entry_point, quoted))


def _without_line_end(command: str) -> str:
    """Cut the line end that `command: |` leaves, so that extra parameters stay on the command's line."""
    stripped = command.rstrip()
    while stripped.endswith("\\") and command[len(stripped) :].startswith("\n"):
        command = stripped[:-1]
        stripped = command.rstrip()
    return stripped


def _pieces(template: str, entry_point: EntryPoint, quoted: Mapping[str, str]) -> Iterable[str]:
    """Fill in the plain fields of a template for str.format.

    Formats and attributes are refused: nobody needs them in a command, and `{x:>9999999999}` would use all memory.
    """
    length = 0
    try:
        for literal, name, format_, conversion in Formatter().parse(template):
            if name is not None and (name not in entry_point.declared or format_ or conversion):
                raise ValueError(_why_not(name, entry_point))
            piece = literal + ("" if name is None else quoted[name])
            length += len(piece)
            if length > COMMAND_BYTES:
                raise _too_long(entry_point)
            yield piece
    except ValueError as error:
        raise UserError(
            Code.INVALID_PROJECT,
            f"The command of entry point '{entry_point.name}' cannot be filled in: {error}. "
            "In the MLproject file, write a parameter without a format, declare it if it is not declared, and write a "
            "brace of the shell's own twice: {{ and }}.",
            entry_point=entry_point.name,
        ) from error


def _why_not(name: str, entry_point: EntryPoint) -> str:
    more = " and a format" if name in entry_point.declared else ""
    return f"{{{name[:100]}}}{more} is not just one of its parameters ({_names(entry_point)})"


def _names(entry_point: EntryPoint) -> str:
    return ", ".join(parameter.name for parameter in entry_point.parameters) or "it has none"


def require_length(command: str, entry_point: EntryPoint) -> str:
    """Return the command; raise INVALID_PARAMETER for one that Linux would not start."""
    if len(command.encode()) > COMMAND_BYTES:
        raise _too_long(entry_point)
    return command


def _too_long(entry_point: EntryPoint) -> UserError:
    return UserError(
        Code.INVALID_PARAMETER,
        f"The command of entry point '{entry_point.name}' is longer than {COMMAND_BYTES} bytes with its values. "
        "Put long values into a file of the repository.",
        entry_point=entry_point.name,
    )


def _script_command(name: str) -> str:
    quoted = shlex.quote(name)
    match name.rpartition(".")[2]:
        case "py":
            return f"python {quoted}"
        case "sh":
            return f"bash {quoted}"  # MLflow uses the host's $SHELL, which an image may lack
    return f"Rscript -e \"mlflow::mlflow_source('{name}')\" --args"
