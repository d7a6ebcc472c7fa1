"""Check a built site's links to its own pages, files and anchors: python check_links.py DIR."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag refers to, and what it is called."""
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name in ("id", "name") and value:
                self.anchors.add(value)


def find_broken(folder: Path) -> list[str]:
    """Return a line for each link that leads nowhere."""
    found = (path.resolve() for path in folder.rglob("*.html"))
    # The theme keeps templates among its static files.
    pages = {path: Page(path) for path in found if "_static" not in path.parts}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            is_lost = anchor and target in pages and anchor not in pages[target].anchors
            if not target.exists() or is_lost:
                broken.append(f"{path.relative_to(folder.resolve())}: {link}")
    return sorted(set(broken))


if __name__ == "__main__":
    found = find_broken(Path(sys.argv[1]))
    print(*found, f"{len(found)} broken links", sep="\n")
    sys.exit(bool(found))
