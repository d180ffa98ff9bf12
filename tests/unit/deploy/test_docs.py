"""The documentation: what it must name, how its links are turned round, and what is found wrong with a built site."""

import re
from pathlib import Path

import pytest

from api.openapi.document import document
from api.views import operations
from deploy.docs.built_site import faults
from deploy.docs.site import Stage, staged_path

ROOT = Path(__file__).parents[3]
SCHEMAS = document(operations())["components"]["schemas"]
ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def rows(page: str) -> set[str]:
    return set(ROW.findall((ROOT / "docs" / page).read_text()))


@pytest.mark.parametrize(
    ("page", "enums"),
    [("reference/failure-codes.md", ("Code", "FailureType")), ("reference/states.md", ("JobState", "QueueCode"))],
)
def test_every_code_has_its_row_and_no_row_is_of_a_code_that_is_gone(page: str, enums: tuple[str, ...]) -> None:
    assert rows(page) == {value for name in enums for value in SCHEMAS[name]["enum"]}


def test_every_page_is_in_the_site_s_navigation_or_in_the_list_of_its_folder() -> None:
    docs = ROOT / "docs"
    navigation = (docs / "zensical.toml").read_text()

    def is_listed(page: Path) -> bool:
        index = page.parent / "index.md"
        if index.exists() and index != page:
            return f"]({page.name})" in index.read_text()
        return f'"{index.relative_to(docs).as_posix()}"' in navigation  # a list that the site makes

    pages = [page for page in docs.rglob("*.md") if f'"{page.relative_to(docs).as_posix()}"' not in navigation]
    assert [page.name for page in pages if not is_listed(page)] == []


def test_every_page_with_marked_blocks_is_followed_by_a_test() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    marked = [page for page in pages if "\n<!-- test -->\n" in page.read_text()]
    assert len(marked) >= 3
    assert [
        page.name for page in marked if f"{page.parent.name}/{page.name}" not in tests and page.name not in tests
    ] == []


@pytest.mark.parametrize(
    ("path", "staged"),
    [
        ("README.md", "index.md"),
        ("docs/operate/install.md", "operate/install.md"),
        ("examples/sklearn-dummy/README.md", "examples/sklearn-dummy.md"),
        ("shared/errors.py", "source/shared/errors.py.txt"),
    ],
)
def test_each_file_has_its_place_among_the_pages(path: str, staged: str) -> None:
    assert staged_path(path) == staged


def stage_of(tmp_path: Path, text: str) -> tuple[Stage, str]:
    root = tmp_path / "root"
    for name in ("docs/how-to", "examples/iris", "shared"):
        (root / name).mkdir(parents=True)
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "examples/iris/README.md"):
        (root / name).write_text("# Page\n")
    (root / "shared/errors.py").write_text("")
    (root / "docs/how-to/page.md").write_text(text)
    stage = Stage(root, tmp_path / "staged")
    stage.fill()
    return stage, (tmp_path / "staged/how-to/page.md").read_text()


@pytest.mark.parametrize(
    ("link", "turned_round"),
    [
        ("[a](../../README.md#five-minutes)", "[a](../index.md#five-minutes)"),
        ("[a](../../examples/iris)", "[a](../examples/iris.md)"),
        ("[a](../../shared/errors.py#L10)", "[a](../source/shared/errors.py.txt)"),
        ("[a](https://example.com/README.md)", "[a](https://example.com/README.md)"),
        ("[a](#here)", "[a](#here)"),
        ("[two\nlines](../../README.md)", "[two\nlines](../index.md)"),
        ("```\ncode\n```\n[a](../../README.md)", "```\ncode\n```\n[a](../index.md)"),
        ("```\n[a](../../README.md)\n```", "```\n[a](../../README.md)\n```"),
    ],
)
def test_a_link_leads_to_the_page_or_copy_of_its_file(tmp_path: Path, link: str, turned_round: str) -> None:
    stage, text = stage_of(tmp_path, link)
    assert (text, stage.faults) == (turned_round, [])


def test_a_folder_of_pages_without_a_page_of_its_own_gets_a_list(tmp_path: Path) -> None:
    stage, text = stage_of(tmp_path, "[all](.)")
    assert (text, stage.faults) == ("[all](index.md)", [])
    assert (tmp_path / "staged/how-to/index.md").read_text() == "# How to\n\n- [[all](.)](page.md)"


@pytest.mark.parametrize("address", ["../../nothing.md", "../../../outside.md", "../../shared"])
def test_a_link_to_nothing_in_the_repository_is_a_fault(tmp_path: Path, address: str) -> None:
    stage, _ = stage_of(tmp_path, f"[a]({address})")
    assert stage.faults == [f"docs/how-to/page.md: {address} is not in this repository"]


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ('<a href="other.html">', "page.html: other.html leads nowhere"),
        ('<a href="#nowhere">', "page.html: #nowhere leads nowhere"),
        ('<img src="no.png">', "page.html: no.png leads nowhere"),
        ('<script src="https://cdn.example/x.js">', "page.html loads https://cdn.example/x.js from another host"),
        (
            '<link rel="stylesheet" href="//fonts.example/x.css">',
            "page.html loads //fonts.example/x.css from another host",
        ),
    ],
)
def test_a_dead_link_and_a_foreign_file_are_found_in_a_built_page(tmp_path: Path, html: str, fault: str) -> None:
    (tmp_path / "page.html").write_text(html)
    assert faults(tmp_path) == [fault]


def test_a_style_that_loads_a_font_from_elsewhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "x.css").write_text("@font-face { src: url(https://fonts.example/a.woff2) }")
    assert faults(tmp_path) == ["x.css loads something from another host"]


def test_links_that_lead_somewhere_are_no_fault(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text('<h2 id="here"></h2><a href="#here"><a href="https://example.com/">')
    assert faults(tmp_path) == []
