"""Decides which of an MLproject's docker_env variables and volumes a project gets, by the operator's allowlists."""

import os
import posixpath
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from shared.errors import Code, UserError
from shared.policy.rules import ANYTHING, NO_RULES, Rules
from shared.requests.lent_values import is_private
from worker.project.entry_points import EnvironmentVariable, Project
from worker.project.permission import refused
from worker.runners.seam import PROJECT_FOLDER, Volume

MODES = ("rw", "ro")
# MLflow's bash expands these where it has fetched the project; its Docker reads a dot in the same way.
OWN_FOLDER = re.compile(r"(\$\{PWD\}|\$PWD|\$\(pwd\)|`pwd`|\.)(?P<path>(/(?!\.\.(/|:|$))[^:/$`]*)*):")
SHELLS_OWN = re.compile(r"[$`]")


@dataclass(frozen=True)
class Environment:
    """A project's variables. ``lent`` are copied from the worker's own, and only the training may see them."""

    shown: Mapping[str, str]
    lent: Mapping[str, str]


def permit_environment(
    project: Project,
    allowlist: Collection[str],
    host_environment: Mapping[str, str],
    *,
    set_anyway: Collection[str] = (),
    rules: Rules = NO_RULES,
) -> Environment:
    """Return the variables that the project asks for; one of the worker's own only if PROJECT_ENV_ALLOWLIST names it.

    The service's own variables, such as MLFLOW_RUN_ID, take precedence over these: what it has ``set_anyway`` needs no
    permission, and is not copied.
    """
    wanted = [v for v in project.environment if v.value is not None or v.name not in set_anyway]
    for each in wanted:
        if each.value is None and not rules.allows("variables", each.name):
            what = f"copies the variable '{each.name}' of the worker"
            raise refused(f"Project '{project.name}' {what} ({rules.why('variables')})", what=each.name)
    values = {v.name: _value(v, project, allowlist, host_environment) for v in wanted}
    lent = {v.name for v in wanted if v.value is None and is_private(v.name)}
    return Environment(
        {name: value for name, value in values.items() if name not in lent},
        {name: value for name, value in values.items() if name in lent},
    )


def permit_volumes(project: Project, allowlist: Collection[str], *, rules: Rules = NO_RULES) -> tuple[Volume, ...]:
    """Return the project's volumes, each of which must be an entry of VOLUME_ALLOWLIST or lie inside one."""
    volumes = tuple(_volume(text, project, allowlist) for text in project.volumes)
    allowed = rules.table.volumes
    for each in volumes:
        if allowed != ANYTHING and not any(_is_under(each.source, folder) for folder in allowed):
            what = f"mounts '{each.source}'"
            raise refused(f"Project '{project.name}' {what} ({rules.why('volumes')})", what=each.source)
    return volumes


def _value(
    variable: EnvironmentVariable, project: Project, allowlist: Collection[str], host_environment: Mapping[str, str]
) -> str:
    if variable.value is not None:
        return variable.value
    name = variable.name
    if name not in allowlist:
        what = f"copies the variable '{name}' of the worker"
        raise _refused(project, what, "PROJECT_ENV_ALLOWLIST", entry=name)
    if name not in host_environment:
        raise UserError(
            Code.INVALID_PROJECT,
            f"Project '{project.name}' copies the variable '{name}' of the worker, where it is not set. "
            "Set it there, or write its value into docker_env.environment.",
            project=project.name,
            variable=name,
        )
    return host_environment[name]


def _volume(text: str, project: Project, allowlist: Collection[str]) -> Volume:
    if refusal := _needs_a_shell(text, project):
        raise refusal
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    mode = mode or "rw"
    if not source or not posixpath.isabs(target) or mode not in MODES:
        raise UserError(
            Code.INVALID_PROJECT,
            f"Project '{project.name}' has the volume '{text}', which is not source:/target or source:/target:ro. "
            "Correct docker_env.volumes in its MLproject file.",
            project=project.name,
            volume=text,
        )
    if not any(_is_under(source, allowed) for allowed in allowlist):
        raise _refused(project, f"mounts '{source}'", "VOLUME_ALLOWLIST", entry=source)
    return Volume(source, target, mode)


def _needs_a_shell(text: str, project: Project) -> UserError | None:
    """Return the refusal of a source that only the shell on MLflow's own host could read, with what to write instead.

    No operator can allow one: Docker takes a source as it is written.
    """
    if own := OWN_FOLDER.match(text):
        inside = own["path"].strip("/") or "."
        target = text[own.end() :].partition(":")[0]
        what = f"mounts its own folder, as '{text}'"
        advice = (
            f"No entry of VOLUME_ALLOWLIST can allow that, and it is not needed: the project is in the container, in "
            f"{PROJECT_FOLDER}, where the command starts. Take the volume out of docker_env, and use {inside} "
            f"in place of {target}"
        )
    elif SHELLS_OWN.search(text) or text.startswith(("~", ".")):
        what = f"has the volume '{text}', which means a folder only to the shell of who calls MLflow"
        advice = "Write the folder's own path in docker_env.volumes; the operator must have it in VOLUME_ALLOWLIST"
    else:
        return None
    return UserError(
        Code.INVALID_PROJECT,
        f"Project '{project.name}' {what}. {advice}.",
        project=project.name,
        setting="VOLUME_ALLOWLIST",
        volume=text,
    )


def _is_under(source: str, allowed: str) -> bool:
    """Compare both the path as written and where it leads: a folder that containers write to may contain a link out."""
    if not posixpath.isabs(source) or not posixpath.isabs(allowed):
        return source == allowed  # a named volume
    written = (posixpath.normpath(source), posixpath.normpath(allowed))
    real = (os.path.realpath(source), os.path.realpath(allowed))
    return all(posixpath.commonpath(pair) == pair[1] for pair in (written, real))


def _refused(project: Project, what: str, setting: str, *, entry: str) -> UserError:
    return UserError(
        Code.INVALID_PROJECT,
        f"Project '{project.name}' {what}, which this service does not allow. "
        f"Ask its operator to add it to {setting}, or take it out of docker_env.",
        project=project.name,
        setting=setting,
        entry=entry,
    )
