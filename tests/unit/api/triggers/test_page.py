"""docs/triggers.md has an example of every kind and every field of a policy; the API takes each as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient

from shared.jobs.triggers import Kind
from shared.triggers.fields import Policy

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs/triggers.md").read_text()
EXAMPLES: list[dict[str, Any]] = [
    yaml.safe_load(text) for text in re.findall(r"^<!-- trigger -->\n```yaml[^\n]*\n(.*?)^```$", PAGE, re.DOTALL | re.M)
]


@pytest.mark.parametrize("example", [pytest.param(each, id=each["name"]) for each in EXAMPLES])
def test_the_api_takes_the_example(client: FlaskClient, example: dict[str, Any]) -> None:
    answer = client.post("/triggers", json=example)
    assert answer.status_code == 201, answer.text
    assert client.get(f"/triggers/{example['name']}").json["state"] == "active"  # type: ignore[index]


def test_every_kind_has_one_and_every_field_of_a_policy_is_explained() -> None:
    assert PAGE.count("<!-- trigger -->") == len(EXAMPLES)
    kinds = {kind for each in EXAMPLES for kind in each["when"]} & {*Kind}
    assert kinds == {*Kind}
    assert [name for name in Policy.model_fields if f"| `{name}` |" not in PAGE] == []
