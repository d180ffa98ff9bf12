"""What is wrong with a built site: links that lead nowhere, and anything that a browser would load from elsewhere."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src")}
NOT_LOADED = {"canonical", "alternate", "prev", "next"}  # of <link rel=…>
STYLE_LOAD = re.compile(r"url\(\s*['\"]?(https?:)?//|@import\s+(url\()?['\"]?(https?:)?//")


@dataclass
class Page(HTMLParser):
    """The addresses and anchors of one page."""

    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what the tag links to, loads, or can be linked to by."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        for name in ("href", "src"):
            if name not in given or (tag == "link" and given.get("rel") in NOT_LOADED):
                continue
            (self.loaded if (tag, name) in LOADED else self.links).append(given[name])


def faults(site: Path) -> list[str]:
    """Return a line for each fault of the site."""
    return [*_faults_of_pages(site), *_faults_of_styles(site)]


def _faults_of_pages(site: Path) -> Iterator[str]:
    for path in sorted(site.rglob("*.html")):
        page = _read(path)
        name = path.relative_to(site)
        for address in page.loaded:
            if urlsplit(address).netloc:
                yield f"{name} loads {address} from another host"
        if name.name == "404.html":  # its links are from the site's root, wherever that is
            continue
        for address in {*page.loaded, *page.links}:
            if not _leads_somewhere(address, path):
                yield f"{name}: {address} leads nowhere"


def _faults_of_styles(site: Path) -> Iterator[str]:
    for path in sorted(site.rglob("*.css")):
        if STYLE_LOAD.search(path.read_text()):
            yield f"{path.relative_to(site)} loads something from another host"


def _leads_somewhere(address: str, page: Path) -> bool:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return True
    target = page if not parts.path else (page.parent / unquote(parts.path))
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return False
    anchor = unquote(parts.fragment)
    return not anchor or target.suffix != ".html" or anchor in _read(target.resolve()).anchors


@cache
def _read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text())
    return page
