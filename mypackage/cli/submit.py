"""The subcommand submit: builds a request from options, a file and the current git checkout, in that order."""

from pathlib import Path
from typing import Any

import click

from ..client import Client, JobHandle
from ..plain_text import plain, plain_line
from .checkout import LocalCheckout, as_address, find_checkout, without_credentials
from .job_file import laid_over, read_fields, read_job_file
from .outcome import exit_code
from .project import faults, find_project
from .show import json_option, show_job
from .waiting import follow_to_end, wait_for


def pairs(_context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Parse name=value; a value may contain further equals signs."""
    found = {}
    for each in values:
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise click.BadParameter("must be name=value", param=parameter)
        found[name] = value
    return found


@click.command()
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path),
    help="YAML or JSON with fields of POST /retrain; options take precedence.",
)
@click.option(
    "--set",
    "fields",
    multiple=True,
    metavar="NAME=VALUE",
    callback=lambda _context, _parameter, texts: read_fields(texts),
    help="Any field of POST /retrain, such as resources.gpus=2; VALUE as in a file; repeatable.",
)
@click.option("--experiment-name", metavar="NAME", help="MLflow experiment; the MLproject file's name by default.")
@click.option(
    "--git-uri",
    envvar="RETRAIN_GIT_URI",
    show_envvar=True,
    help="The repository, an address or a folder; the checkout's origin by default.",
)
@click.option("--commit-hash", metavar="REF", help="Branch, tag or commit SHA; the checkout's HEAD by default.")
@click.option("--mlproject-location", "MLproject_location", metavar="FOLDER", help="Folder of the MLproject file.")
@click.option("--model-name", metavar="NAME", help="Registered model.")
@click.option("-e", "--entry-point", metavar="NAME", help="Entry point of the MLproject file.")
@click.option("-P", "parameters", multiple=True, metavar="NAME=VALUE", callback=pairs, help="A parameter; repeatable.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", callback=pairs, help="A label; repeatable.")
@click.option("--dataset-repo", envvar="RETRAIN_DATASET_REPO", show_envvar=True, help="The data.")
@click.option("--base-model", metavar="MODEL", help="To start from: RUN_ID, models:/NAME/VERSION, models:/NAME@ALIAS.")
@click.option("--alert-to", multiple=True, metavar="NAME", help="Alert channel that the operator named; repeatable.")
@click.option("--host", metavar="HOST", help="The one host that may run it.")
@click.option("--host-label", "host_labels", multiple=True, metavar="LABEL", help="Only hosts with it; repeatable.")
@click.option("--queue", metavar="NAME", help="Queue of the workers that may take it.")
@click.option("--priority", type=click.IntRange(0, 9), help="0 to 9; higher goes first.")
@click.option("--wait", "is_awaited", is_flag=True, help="Wait for the end; the exit code is that of retrain wait.")
@click.option("--follow", "is_followed", is_flag=True, help="Likewise, and print the log meanwhile.")
@json_option
@click.pass_context
def submit(
    ctx: click.Context, /, *, path: Path | None, is_awaited: bool, is_followed: bool, as_json: bool, **options: Any
) -> None:
    """Submit a job.

    In a git checkout, the repository defaults to its remote origin, the commit to its HEAD, the folder of the
    MLproject file to the current one, and the experiment to the name in that file. What the file says of parameters is
    checked before anything is sent. The address may be a folder of this machine, if the service runs on it and allows
    that; a checkout without a remote is taken itself then.

    \b
    Examples:
      retrain submit --experiment-name iris -P alpha=0.5 -P epochs=10
      retrain submit --file job.yaml --label team=vision --json
      retrain submit --experiment-name iris --git-uri https://github.com/user/iris.git --follow
      retrain submit --experiment-name iris --model-name iris-classifier --wait
      retrain submit --experiment-name iris --alert-to team-a
      retrain submit --experiment-name iris --host-label a100
      retrain submit --experiment-name iris --set resources.gpus=2 --set timeouts.run_seconds=3600
    """
    client = ctx.ensure_object(Client)
    request = complete(merged(read_job_file(path) if path else {}, options), is_service_here=client.is_here)
    if not request.get("experiment_name"):
        raise click.UsageError("Which experiment? Give --experiment-name, or experiment_name in the file.")
    job = client.retrain(**request)
    finish(ctx, job, is_awaited=is_awaited, is_followed=is_followed, as_json=as_json)


def finish(ctx: click.Context, job: JobHandle, *, is_awaited: bool, is_followed: bool, as_json: bool) -> None:
    """Print the new job, or follow it to its end."""
    if not (is_awaited or is_followed):
        show_new(job, as_json=as_json)
        return
    click.echo(plain(f"Job {job.id}"), err=True)
    if is_followed:
        follow_to_end(job, as_json=as_json)
    else:
        wait_for(job, as_json=as_json)
    ctx.exit(exit_code(job))


def show_new(job: JobHandle, *, as_json: bool) -> None:
    """Print a job that was just made; for people with what it waits for, which only reading it tells."""
    show_job(job if as_json else job.refresh(), as_json=as_json)


def merged(from_file: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Merge the fields: --set overrides the file, other options override both; parameters are replaced one by one."""
    given = {name: value for name, value in options.items() if value not in (None, {}, ())}
    if names := given.pop("alert_to", None):
        given["alerts"] = {"to": list(names)}
    if placement := {name: given.pop(name) for name in ("host", "host_labels") if name in given}:
        given["resources"] = placement
    return laid_over(laid_over(from_file, given.pop("fields", {})), given)


def complete(request: dict[str, Any], *, is_service_here: bool) -> dict[str, Any]:
    """Fill in the source from the checkout, unless the request is about another repository."""
    checkout = find_checkout(Path.cwd())
    request = with_address(request)
    given = request.get("git_uri")
    if given is not None and (checkout is None or given_as(given, checkout) is None):
        return request
    if checkout is None or (given is None and checkout.git_uri is None and not is_service_here):
        raise click.UsageError(
            "Which repository? Give --git-uri, or run this in a git checkout with a commit and a remote 'origin'."
        )
    address = given_as(given, checkout) or checkout.git_uri or checkout.folder
    if given is None:
        tell_of_origin(checkout)
    for warning in warnings_of(checkout, address) if "commit_hash" not in request else ():
        warn(warning)
    source = {"git_uri": address, "commit_hash": checkout.commit_hash, "MLproject_location": checkout.location}
    return checked({**source, **request}) if "commit_hash" not in request else {**source, **request}


def checked(request: dict[str, Any]) -> dict[str, Any]:
    """Return the request with the project's name as its experiment; refuse what its HEAD can never be trained with."""
    place = str(request["MLproject_location"])
    project = find_project(Path.cwd(), request["commit_hash"], place)
    if project is None:
        return request
    request = with_experiment(request, project.get("name"))
    if found := faults(project, request):
        told = "\n".join(f"  - {each}" for each in found)
        message = f"The job would fail, by the MLproject file in {place or 'the top folder'}:\n{told}"
        raise click.UsageError(plain(message))
    return request


def with_experiment(request: dict[str, Any], name: Any) -> dict[str, Any]:
    """Return the request with the project's name as its experiment, unless it names one."""
    if "experiment_name" in request or not isinstance(name, str):
        return request
    click.echo(plain_line(f"Experiment: {name}, after the MLproject file."), err=True)
    return {**request, "experiment_name": name}


def with_address(request: dict[str, Any]) -> dict[str, Any]:
    """Return the request with a folder of this machine written as an address."""
    given = request.get("git_uri")
    if not isinstance(given, str):
        return request
    try:
        return {**request, "git_uri": as_address(given)}
    except ValueError as error:
        raise click.UsageError(f"git_uri: {error}.") from None


def given_as(given: Any, checkout: LocalCheckout) -> str | None:
    """Return the checkout's address that this one is, apart from credentials; None if it is of another repository."""
    try:
        address = without_credentials(given)
    except (TypeError, ValueError, AttributeError):  # not an address: the service says what is wrong with it
        return None
    return address if address in (checkout.git_uri, checkout.folder) else None


def tell_of_origin(checkout: LocalCheckout) -> None:
    """Say what the checkout's own address is not enough for."""
    if checkout.git_uri is None:
        warn(f"this checkout has no remote 'origin', so the service on this machine trains {checkout.folder} itself.")
    if checkout.origin_had_credentials:
        warn(
            "the address of origin contains credentials, which were removed and are not sent. For a private repository "
            "set RETRAIN_GIT_URI to its address with a token."
        )


def warnings_of(checkout: LocalCheckout, address: str) -> tuple[str, ...]:
    """Return warnings about what is not trained; the checkout itself has all that is committed."""
    return checkout.uncommitted if address == checkout.folder else (*checkout.unpushed, *checkout.uncommitted)


def warn(message: str) -> None:
    """Print a warning on stderr."""
    click.echo(plain(f"Warning: {message}"), err=True)
