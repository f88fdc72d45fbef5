"""Checks that every link and image of a built site that stays on the site leads to a file (and its anchor) there."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Collects the links, and the anchors that others may link to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what an element links to, and its id."""
        given = dict(attrs)
        for name in ("href", "src"):
            if value := given.get(name):
                self.links.append(value)
        for name in ("id", "name"):
            if value := given.get(name):
                self.anchors.add(value)


def broken(site: Path) -> list[str]:
    """Return every broken link as ``page: link``."""
    pages: dict[Path, Page] = {}
    for file in sorted(site.rglob("*.html")):
        pages[file] = Page()
        pages[file].feed(file.read_text(encoding="utf-8"))
    found = []
    for file, page in pages.items():
        if file.name == "404.html":  # its links begin at the host's root
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            target = target / "index.html" if target.is_dir() else target
            anchors = pages[target].anchors if target in pages else set()
            if not target.is_file() or (parts.fragment and target in pages and unquote(parts.fragment) not in anchors):
                found.append(f"{file.relative_to(site)}: {link}")
    return found


if __name__ == "__main__":
    problems = broken(Path(sys.argv[1]).resolve())
    print("\n".join(problems) or "all links lead somewhere")
    sys.exit(bool(problems))
