"""`make sbom` names each package of an image with its version and hashes, as CycloneDX."""

import json
import subprocess
from pathlib import Path

from deploy.dependencies.lock import LOCK, part

ROOT = Path(__file__).parents[4]


def test_the_parts_of_an_image_are_those_of_its_lock() -> None:
    subprocess.run(("make", "--silent", "sbom", "IMAGES=api"), cwd=ROOT, check=True)
    told = json.loads((ROOT / "build/sbom/api.cdx.json").read_text())
    assert told["bomFormat"] == "CycloneDX"
    assert {each["name"] for each in told["components"]} == {entry.name for entry in part(LOCK.read_text(), "api")}
    assert all(each["purl"] and each["externalReferences"][0]["hashes"] for each in told["components"])
