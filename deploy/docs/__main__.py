"""Write the reference pages that follow from the code (`--check` only compares)."""

import json
import sys
from pathlib import Path

from deploy.docs import api_page, cli_page, failure_codes_page, request_page

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs/reference"


def pages() -> dict[Path, str]:
    """Each generated page with its text."""
    document = json.loads((ROOT / "docs/openapi.json").read_text())
    return {
        REFERENCE / "api.md": api_page.text(document),
        REFERENCE / "request.md": request_page.text(document),
        REFERENCE / "cli.md": cli_page.text(),
        REFERENCE / "failure-codes.md": failure_codes_page.text((REFERENCE / "failure-codes.md").read_text()),
    }


def main() -> int:
    """Write the pages, or compare."""
    for path, text in pages().items():
        if "--check" not in sys.argv[1:]:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of date. Run: make reference\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
