"""Static HTML pages that need no script, no network and nothing beside them: the frame, and text made safe for it.

Whatever is a stranger's text goes through `shown`; every other function takes HTML that is finished. Nothing needs a
script or a style attribute, so that a page forbids both.
"""

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from persona.formats.text import printable

SHOWN_CHARACTERS = 600

Part = tuple[str, str, str]
"""Anchor, title and body of a section."""


def document(title: str, header: str, parts: Sequence[Part], style: str) -> str:
    """A whole page: `title` is a stranger's text, `header` and bodies are HTML, `style` is added to the common CSS."""
    css = "\n".join((Path(__file__).with_name("pages.css").read_text(encoding="utf-8"), style))
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{escaped(title)}</title>
<style>{css}</style>
</head>
<body>
<header>
{header}
</header>
<nav>{"".join(f"<a href='#{anchor}'>{name}</a>" for anchor, name, _ in parts)}</nav>
<main>
{"".join(section(*part) for part in parts)}</main>
</body>
</html>
"""


def shown(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """A stranger's text as HTML: escaped, control characters made visible, cut with a note, kept from its surroundings."""
    cut = f" … ({len(text) - limit:,} characters more)" if len(text) > limit else ""
    return f"<bdi>{escaped(text[:limit])}</bdi>{cut}"


def escaped(text: str) -> str:
    """A stranger's text for a place that takes no elements."""
    return html.escape(printable(text))


def number(value: int) -> str:
    """A number with thousands apart."""
    return f"{value:,}"


def section(anchor: str, title: str, body: str) -> str:
    """A titled part of the page."""
    return f'<section id="{anchor}">\n<h2>{title}</h2>\n{body}\n</section>\n'


def paragraph(text: str, css: str = "") -> str:
    """A paragraph of HTML."""
    return f'<p class="{css}">{text}</p>' if css else f"<p>{text}</p>"


def folded(summary: str, body: str) -> str:
    """Content that a click opens."""
    return f"<details><summary>{summary}</summary>\n{body}\n</details>"


def listed(items: Sequence[str], *, most: int = 100) -> str:
    """A list of its first `most` items, and how many more there are; "" without items."""
    shown_items = "".join(f"<li>{item}</li>" for item in (*items[:most], *_more(items, most)))
    return f"<ul>{shown_items}</ul>" if items else ""


def _more(items: Sequence[object], most: int) -> list[str]:
    return [f"and {len(items) - most:,} more"] if len(items) > most else []


def more(count: int) -> list[str]:
    """A line saying how many more there are than are shown; none without any."""
    return [paragraph(f"and {count:,} more", "quiet")] if count > 0 else []


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Iterable[int] = (), most: int = 40) -> str:
    """A table of at most `most` rows; the columns in `numbers` stand to the right."""
    if not rows:
        return ""
    right = frozenset(numbers)

    def line(tag: str, cells: Sequence[str]) -> str:
        parts = (f"<{tag}{' class=n' * (i in right)}>{cell}</{tag}>" for i, cell in enumerate(cells))
        return f"<tr>{''.join(parts)}</tr>"

    body = "\n".join(line("td", row) for row in rows[:most])
    more = "".join(paragraph(text, "quiet") for text in _more(rows, most))
    return f'<div class="wide"><table><thead>{line("th", head)}</thead><tbody>\n{body}\n</tbody></table></div>{more}'


def bars(items: Sequence[tuple[str, int]], *, most: int = 60) -> str:
    """A bar for each (HTML label, number), the largest number as wide as there is room."""
    largest = max((count for _, count in items), default=0) or 1
    lines = [
        f'<li><span>{label}</span><svg aria-hidden="true"><rect width="{100 * count / largest:.1f}%" height="100%"/></svg>'
        f"<b>{count:,}</b></li>"
        for label, count in items[:most]
    ]
    more = "".join(f"<li>{text}</li>" for text in _more(items, most))
    return f'<ol class="bars">{"".join(lines)}{more}</ol>' if items else ""
