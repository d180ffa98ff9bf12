"""`python -m api.openapi [FILE]` prints the OpenAPI document, or writes it."""

import sys
from pathlib import Path

from api.openapi.document import as_text
from api.views import operations


def main(arguments: list[str]) -> int:
    """Print the document, or write it to a file."""
    text = as_text(operations())
    if not arguments:
        sys.stdout.write(text)
        return 0
    path = Path(arguments[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
