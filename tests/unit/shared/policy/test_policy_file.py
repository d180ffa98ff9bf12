"""POLICY_FILE is read strictly, and again when it changes."""

import tomllib
from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from shared.policy.file import LOOK_EVERY_SECONDS, PolicyFile, read_policy
from shared.policy.rules import Document
from tests.support.retrain_command import ROOT


def written(folder: Path, text: str) -> Path:
    file = folder / "policy.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[teams.vision]\ngpus = 1", "[teams] is unknown; tables are [default], [team.NAME] and [role.NAME]"),
        ("gpus = 1", "[gpus] is unknown; tables are [default], [team.NAME] and [role.NAME]"),
        ("[default]\nimage = []", "[default] has the unknown key image; known are images, git_hosts, queues"),
        ("[role.boss]\ngpus = 1", "[role.boss] is not a name of a role, which is viewer, submitter, operator"),
        ("[team.'two words']\ngpus = 1", "[team.two words] is not a name of a team"),
        ("[team.vision]\ngpus = -1", '[team.vision] gpus must be a number from 0 on, or "any"'),
        ("[team.vision]\ngpus = nan", '[team.vision] gpus must be a number from 0 on, or "any"'),
        ("[team.vision]\ngpus = true", '[team.vision] gpus must be a number from 0 on, or "any"'),
        ("[role.viewer]\nimages = 'a'", '[role.viewer] images must be a list of patterns such as ["ghcr.io/acme/*"]'),
        ("[default]\nimages = ['a?']", "[default] images must be a list of patterns"),
        ("[default]\nvolumes = ['/srv/*']", "[default] volumes must be a list of folders or Docker volumes"),
        ("[default]\nmemory = 8", '[default] memory must be a size such as "8g" or "512m", or "any"'),
        ("[default]\nmemory = '8 loads'", "[default] memory"),
        ("team = 3", "[team] must be a table"),
        ("[team]\nvision = 3", "[team.vision] must be a table"),
        ("[default", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_file_table_and_key(tmp_path: Path, text: str, said: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        PolicyFile(file)
    assert f"POLICY_FILE {file}" in caught.value.message
    assert said in caught.value.message


def test_a_file_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        PolicyFile(tmp_path / "policy.toml")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += LOOK_EVERY_SECONDS
        return self.now


def test_a_change_counts_and_a_wrong_one_leaves_what_held(tmp_path: Path) -> None:
    policy = PolicyFile(written(tmp_path, "[default]\ngpus = 1"), clock=Clock())
    assert policy.rules_of(None, ()).most("gpus") == 1
    written(tmp_path, "[default]\ngpus = 22")
    assert policy.rules_of(None, ()).most("gpus") == 22
    written(tmp_path, "[default]\ngpus = 'no'")
    assert policy.rules_of(None, ()).most("gpus") == 22
    (tmp_path / "policy.toml").unlink()
    assert policy.rules_of(None, ()).most("gpus") == 22
    written(tmp_path, "[default]\ngpus = 333")
    assert policy.rules_of(None, ()).most("gpus") == 333


def test_without_a_file_nothing_is_bounded() -> None:
    assert PolicyFile().rules_of("vision", ["viewer"]).said_in == {}


def test_the_example_in_the_documentation_says_what_it_says_it_does(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "operate" / "limits.md").read_text()
    text = page.partition("```toml\n")[2].partition("```")[0]
    document = read_policy(written(tmp_path, text))
    assert document == Document.model_validate(tomllib.loads(text))
    submitter, admin = document.rules_of(None, ["submitter"]), document.rules_of("vision", ["admin"])
    vision = document.rules_of("vision", ["submitter"])
    assert (submitter.most("gpus"), vision.most("gpus")) == (0, 2)
    assert submitter.allows("images", "registry.example.com/ml/iris:1")
    assert not vision.allows("images", "someone/iris")
    assert admin.allows("images", "someone/iris")
    assert admin.most("gpus") == 2  # nothing is said of it for administrators
