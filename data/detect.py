"""Which format a file is, by its content and never by its ending, and the reader that knows it."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from data.readers import chats, epub, fountain, jsonlines, markup, messages, novel, pages, script, table, tavern, tei
from data.source import Lore, Quarantined, Source
from persona.card import read_json_in
from persona.errors import PersonaError
from persona.formats import envelope
from persona.formats.text import decode_text, read_bytes, read_start
from persona.formats.world_info import is_lorebook, lorebook_of

SOURCE_BYTES = jsonlines.FILE_BYTES
"""The largest file that is read; every reader has a smaller limit where its format needs one."""

MOST_FILES = 1_000

_PNG, _ZIP = b"\x89PNG\r\n\x1a\n", b"PK\x03\x04"


def files_in(path: Path) -> tuple[Path, ...]:
    """The files of a folder and of those in it, in a fixed order, hidden ones left out; a file is itself.

    A folder that `datasets` saved counts as one file. Raises `PersonaError` for more than `MOST_FILES`.
    """
    if not path.is_dir() or table.is_table(path):
        return (path,)
    found: list[Path] = []
    for each in sorted(path.iterdir()):
        if not each.name.startswith(".") and not each.is_symlink():
            found += files_in(each)
        if len(found) > MOST_FILES:
            raise PersonaError(f"The folder holds more than {MOST_FILES:,} files.", where=str(path), fix="fewer files")
    return tuple(found)


def is_card(path: Path) -> bool:
    """Whether a file is a character card: a picture or an archive with a card in it, or a card's JSON."""
    if path.is_dir():
        return (path / "card.json").is_file()
    start = read_start(path, 4096)
    picture = start.startswith(_PNG) or (
        start.startswith(_ZIP) and not epub.looks_like_epub(read_bytes(path, SOURCE_BYTES))
    )
    if not picture and not start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and b"\0" not in start[:4]:
        return False
    try:
        value = read_json_in(path, [])
        return not is_lorebook(value) and "name" in envelope.unwrap(value, str(path), [])[0]
    except PersonaError:
        return False


def read_all(files: Sequence[Path], notes: list[str], workers: int = 1) -> list[Source]:
    """What several files say, in their order, however many processes read at once."""
    if len(files) == 1:
        return read_sources(files[0], notes, workers)
    found: list[Source] = []
    with _mapping(workers) as mapped:
        for sources, said in mapped(_read_alone, files):
            found += sources
            notes += said
    return found


def _read_alone(path: Path) -> tuple[list[Source], list[str]]:
    notes: list[str] = []
    return read_sources(path, notes), notes


@contextmanager
def _mapping(workers: int) -> Iterator[Callable[..., Any]]:
    """`map`, or the same with several processes, which keeps the order too."""
    if workers == 1:
        yield map
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


def read_sources(path: Path, notes: list[str], workers: int = 1) -> list[Source]:
    """What a file says, as its format's reader understands it. Raises `PersonaError` for what no reader knows.

    A table of many texts is read by as many processes as `workers` says.
    """
    name = path.name
    if table.is_table(path):
        records = table.read_records(path, str(path))
        known = _from_records(records, name) if records.rows else None
        if known:
            return [known]
        return _from_documents(*table.read_documents(path, str(path)), workers)
    data = read_bytes(path, SOURCE_BYTES)
    if data.startswith(_ZIP) and epub.looks_like_epub(data):
        book = epub.read_epub(data, str(path))
        notes += book.notes
        return [_from_text(book.text, name)]
    if data.startswith((_PNG, _ZIP)):
        read_json_in(path, notes)
        raise PersonaError(f"{name} is a card, which stands for itself.", where=str(path), fix=f"python -m data {path}")
    text = decode_text(data, str(path), notes)
    # A stage direction and a time begin with a bracket, too.
    if text.lstrip()[:1] in ("{", "[") and not script.looks_like_script(text):
        records = jsonlines.read_records(data, str(path))
        known = _from_records(records, name)
        return [known] if known else _from_documents(*table.documents_of(records, str(path)), workers)
    return [_from_text(text, name, data)]


def _from_records(found: "jsonlines.Records", name: str) -> Source | None:
    whole = found.whole
    if is_lorebook(whole):
        book = lorebook_of(whole, name)
        entries = [Lore(e.name or e.comment or next(iter(e.keys), ""), e.content) for e in book.entries if e.enabled]
        return Source("lorebook", name, lore=tuple(entry for entry in entries if entry.text.strip()))
    for reader in (tavern, chats, messages):
        if reader.looks_like(found):
            return reader.read(found, name)
    return None


def _from_documents(
    documents: Sequence[tuple[str, str]], quarantined: Sequence[Quarantined], workers: int
) -> list[Source]:
    """The texts of a table: each is a source of its own, known by its title."""
    titles, texts = [title for title, _ in documents], [text for _, text in documents]
    with _mapping(workers) as mapped:
        sources = list(mapped(_from_text, texts, titles))
    if sources and quarantined:
        sources[0] = replace(sources[0], quarantined=(*sources[0].quarantined, *quarantined))
    return sources


def _from_text(text: str, name: str, data: bytes | None = None) -> Source:
    """A source from text alone: the strictest format that fits, and pages of lore where none does."""
    if data is not None and tei.looks_like_tei(text):
        return tei.read_tei(data, name)
    if messages.looks_like_marked(text):
        return messages.read_marked(text, name)
    if markup.looks_like_html(text):
        text = markup.read_html(text)
    readers: Sequence = (
        (fountain.looks_like_fountain, fountain.read_fountain),
        (script.looks_like_script, script.read_script),
        (novel.looks_like_novel, novel.read_novel),
    )
    read = next((read for fits, read in readers if fits(text)), pages.read_pages)
    return read(text, name)
