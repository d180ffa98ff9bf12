"""The subcommand init: makes a folder of a git checkout a project that the service can train. It sends nothing."""

import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from ..plain_text import plain
from .checkout import git
from .project_files import dockerfile_text, image_name, mlproject_text, not_installed
from .script_options import Option, Script, read_script

MLPROJECT, DOCKERFILE, REQUIREMENTS, OURS = "MLproject", "Dockerfile", "requirements.txt", "mypackage"
USUAL_SCRIPTS = ("train.py", "main.py")
PLAIN_NAME = re.compile(r"^[\w.-][\w./ -]*\.py$")
PACKAGE = Path(__file__).resolve().parents[1]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True), default=".")
@click.option("--script", metavar="FILE", help="What trains, in the folder; train.py by default.")
def init(folder: Path, script: str | None) -> None:
    """Make a folder of a git checkout a project: write its MLproject file, and a Dockerfile if it has none.

    The options that the script gives to argparse become parameters, with the same defaults, if they take one value.
    The script is read, not run; if it imports mypackage, a copy of that is put beside it. No file is overwritten.

    \b
    Examples:
      retrain init
      retrain init models/iris --script fit.py
    """
    top = git(folder, "rev-parse", "--show-toplevel")
    if not top:
        raise click.UsageError(f"{folder} is not in a git checkout, and only commits are trained. Run: git init")
    if there := next((each for each in folder.iterdir() if each.name.lower() == MLPROJECT.lower()), None):
        raise click.UsageError(f"{there} is there already; nothing was changed. Next: retrain submit --follow")
    name = script or find_script(folder)
    said = read(folder / name)
    project = folder.resolve().name
    written = write_files(folder, project, name, said)
    for line in (*warnings_of(folder, said, written), *next_steps(folder, project, name, said, written)):
        click.echo(plain(line))


def find_script(folder: Path) -> str:
    """Return the name of the script that trains."""
    there = sorted(each.name for each in folder.glob("*.py"))
    usual = [name for name in USUAL_SCRIPTS if name in there]
    if usual or len(there) == 1:
        return (usual or there)[0]
    which = f"it has {', '.join(there[:9])}: name one with --script" if there else "write one, train.py for instance"
    raise click.UsageError(f"Which script trains? {folder.resolve()} has no train.py; {which}.")


def read(path: Path) -> Script:
    """Return what the script says."""
    if not path.is_file() or not PLAIN_NAME.match(path.name):
        raise click.UsageError(f"--script: {path} is not a Python script with a plain name, such as train.py.")
    try:
        return read_script(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in it
        raise click.UsageError(f"{path} is not Python that this version reads: {error}.") from error


def write_files(folder: Path, project: str, script: str, said: Script) -> list[str]:
    """Write what is not there, and return the names of what was written."""
    texts = {MLPROJECT: mlproject_text(project, script, said.options)}
    if not (folder / DOCKERFILE).exists():
        foreign = outside_packages(folder, said)
        texts[DOCKERFILE] = dockerfile_text(foreign, has_requirements=(folder / REQUIREMENTS).is_file())
    for name, text in texts.items():
        with (folder / name).open("x", encoding="utf-8") as file:
            file.write(text)
    if OURS in said.imports and not (folder / OURS).exists():
        shutil.copytree(PACKAGE, folder / OURS, ignore=shutil.ignore_patterns("__pycache__"))
        texts[OURS] = ""
    for name in texts:
        click.echo(plain(f"Wrote {folder / name}"))
    return list(texts)


def outside_packages(folder: Path, said: Script) -> list[str]:
    """Return the imports that are not modules of the folder itself."""
    return [name for name in said.imports if not ((folder / name).is_dir() or (folder / f"{name}.py").is_file())]


def warnings_of(folder: Path, said: Script, written: Sequence[str]) -> Iterator[str]:
    """Yield what a person must still look at."""
    for call in said.set_by_service:
        yield f"Warning: the script calls mlflow.{call}(), which the service has done; take that out."
    unknown = not_installed(outside_packages(folder, said))
    if DOCKERFILE in written and unknown and not (folder / REQUIREMENTS).is_file():
        yield f"Warning: {DOCKERFILE} installs nothing for: {', '.join(unknown)}. Add what has them."
    if OURS not in said.imports:
        yield "Warning: the script does not import mypackage.utility, and only that proposes a model as champion."


def next_steps(folder: Path, project: str, script: str, said: Script, written: Sequence[str]) -> Iterator[str]:
    """Yield the commands that lead to the first job."""
    yield "Next:"
    here = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))}"
    added = " ".join(map(shlex.quote, [*written, script]))
    build = f"docker build -t {image_name(project)} .    # on the host that trains, if it uses Docker"
    commit = f'git add {added} && git commit -m "Add an MLproject file"'
    given = "".join(f" -P {name}=VALUE" for name in _without_value(said.options))
    yield from (f"  {line}" for line in (here, build, commit, f"retrain submit --follow{given}") if line)


def _without_value(options: Sequence[Option]) -> list[str]:
    from_request = ("model_name", "experiment_name", "dataset_repo", "base_model")
    return [option.name for option in options if option.default is None and option.name not in from_request]
