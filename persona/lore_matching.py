"""Finding a lorebook's keys in the talk: plain words, phrases, and patterns that are given little time."""

import time
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import regex

PATTERN_SECONDS = 0.05
"""The time of one pattern on one text: a thousand times what an honest one takes."""
SCAN_SECONDS = 0.5
"""The time of all patterns of one scan."""
PATTERN_CHARACTERS = 1_000
PATTERN_PARTS = 5_000
"""The size of one pattern with its repeats written out, as compiling does: `(?:(?:ab){100}){100}` has 30,000 parts. A
part takes at most about a microsecond and a kilobyte."""
SCAN_PARTS = 200_000
"""The size of all patterns of one scan."""

Form = Literal["raw", "plain", "folded"]
"""How a text is searched: as it is (patterns), tidied, or tidied and without letter case."""

_WRITTEN_PATTERN = regex.compile(r"/((?:\\.|[^/\\])+)/([dgimsuvy]*)", regex.DOTALL)
# Scripts that put no space between words, or grow particles onto them: whole words cannot be told there.
_UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Bopomofo}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
)
_PATTERN_TOKEN = regex.compile(
    r"""
    (?P<comment> \(\?\# (?: \\. | [^\\)] )* \) )
  | (?P<open> \( (?P<verbose> \?\w*x )? )
  | (?P<close> \) )
  | (?P<repeat> [*?] | (?P<plus> \+ ) | \{ (?P<least> \d* ) (?P<comma> ,? ) \d* \} )
  | \[ \^? \]? (?: \\. | [^\\\]] )* \]? | \\. | .
    """,
    regex.DOTALL | regex.VERBOSE,
)
_QUOTES = str.maketrans("‘’‚“”„", "'''\"\"\"")


@dataclass(frozen=True, slots=True)
class KeyRule:
    """How the keys of one entry are read; `whole_words` concerns keys of one word, phrases are found anywhere."""

    use_regex: bool = False
    case_sensitive: bool = False
    whole_words: bool = True


@dataclass(frozen=True, slots=True)
class Key:
    """A key ready to be found: a `pattern` with its flags, else a `needle` that may have to stand `alone` as a word.

    `macros` says that the text must be expanded first.
    """

    text: str
    rule: KeyRule
    form: Form
    needle: str = ""
    alone: bool = False
    pattern: tuple[str, str] | None = None
    macros: bool = False


@lru_cache(maxsize=16_384)
def read_key(text: str, rule: KeyRule) -> Key:
    """A key as an author wrote it; `/this/i` is a pattern always, an empty key is found nowhere."""
    written = _WRITTEN_PATTERN.fullmatch(text) if text.startswith("/") else None
    is_pattern = bool(written or rule.use_regex)
    # In a pattern, <user> may well be the name of a group.
    if "{{" in text or ("<" in text and not is_pattern):
        return Key(text, rule, "raw", macros=True)
    if is_pattern and text.strip():
        body, flags = written.groups() if written else (text, "" if rule.case_sensitive else "i")
        return Key(text, rule, "raw", pattern=(body, flags))
    return _plain_key(text, rule)


@dataclass(frozen=True, slots=True)
class Hit:
    """A key that was found, and where, in words."""

    key: str
    where: str

    def __str__(self) -> str:
        return f"key {short(self.key)} in {self.where}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of scanned text: a message with its speaker's `prefix`, or an entry's content; `label` names it."""

    label: str
    text: str
    prefix: str = ""


class Haystack:
    """Pieces joined into one text, which knows for every position from which piece it came."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = tuple(pieces)
        self._forms: dict[Form, tuple[str, list[int], list[int]]] = {}

    def text(self, form: Form) -> str:
        """The joined text."""
        return (self._forms.get(form) or self._joined(form))[0]

    def where(self, form: Form, position: int) -> str:
        """The label of the piece at a position in that form of the text."""
        _, starts, prefixes = self._joined(form)
        number = bisect_right(starts, position) - 1
        label = self.pieces[number].label
        return f"the name on {label}" if position - starts[number] < prefixes[number] else label

    def _joined(self, form: Form) -> tuple[str, list[int], list[int]]:
        if form not in self._forms:
            texts: list[str] = []
            starts, prefixes, position = [], [], 0
            for piece in self.pieces:
                prefix = f"{_FORMS[form](piece.prefix)} " if piece.prefix else ""
                # SillyTavern's mark before each message, which its patterns use: /\x01Tom:[^\x01]*lamp/
                texts.append(f"\x01{prefix}{_FORMS[form](piece.text)}\n")
                starts.append(position)
                prefixes.append(len(prefix))
                position += len(texts[-1])
            self._forms[form] = "".join(texts), starts, prefixes
        return self._forms[form]


@dataclass
class Matcher:
    """Looks keys up for one scan; collects in `problems` the patterns that could not be used."""

    expand: Callable[[str], str]
    seconds: float = SCAN_SECONDS
    parts: int = SCAN_PARTS
    problems: list[str] = field(default_factory=list)
    compiled: dict[tuple[str, str], Any] = field(default_factory=dict)

    def first(self, keys: Sequence[Key], haystacks: Sequence[Haystack]) -> Hit | None:
        """The first key found, searched in every haystack before the next key."""
        for key in keys:
            for hay in haystacks:
                # A book asks thousands of keys of every message, and nearly all are plain words that are not there.
                if key.needle and key.needle not in hay.text(key.form):
                    continue
                if hit := self.find(key, hay):
                    return hit
        return None

    def find(self, key: Key, hay: Haystack) -> Hit | None:
        """Where `key` stands in the text; a pattern that is invalid or slow stands nowhere."""
        if key.macros:
            text = self.expand(key.text)
            # An expanded key may still show braces; it is then text.
            key = read_key(text, key.rule)
            key = _plain_key(text, key.rule) if key.macros else key
        if not hay.pieces:
            return None
        last = self._search(key.text, key.pattern, hay) if key.pattern else _last_of(key, hay.text(key.form))
        return Hit(key.text, hay.where(key.form, last)) if last >= 0 else None

    def _search(self, text: str, pattern: tuple[str, str], hay: Haystack) -> int:
        """Where a pattern's match ends, or -1."""
        compiled, problem, found = self._compile(pattern), f"regex {short(text)} timed out", None
        if isinstance(compiled, str):
            problem = f"invalid regex {short(text)}: {compiled}"
        elif self.seconds > 0:
            began = time.perf_counter()
            with suppress(TimeoutError):
                found = compiled.search(hay.text("raw"), timeout=min(PATTERN_SECONDS, self.seconds))
                problem = ""
            self.seconds -= time.perf_counter() - began
        if problem and problem not in self.problems:
            self.problems.append(problem)
        return max(found.start(), found.end() - 1) if found else -1

    def _compile(self, pattern: tuple[str, str]) -> Any:
        """A compiled pattern, or why there is none; each counts once towards what a scan may compile."""
        if pattern not in self.compiled:
            size = _parts(pattern[0])
            self.parts -= size if size <= PATTERN_PARTS else 0
            too_many = "the patterns before it are all that one search can take"
            self.compiled[pattern] = too_many if self.parts < 0 else _compile(*pattern)
        return self.compiled[pattern]


def short(key: str) -> str:
    """A key as it is quoted to a person."""
    return repr(key if len(key) <= 40 else key[:37] + "...")


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _tidied(text: str) -> str:
    """One spelling for what people type in several: composed letters, straight quotes, single spaces."""
    return " ".join(_composed(text).translate(_QUOTES).split())


def _folded(text: str) -> str:
    return _composed(_tidied(text).casefold())


_FORMS: dict[Form, Callable[[str], str]] = {"raw": _composed, "plain": _tidied, "folded": _folded}


def _plain_key(text: str, rule: KeyRule) -> Key:
    form: Form = "plain" if rule.case_sensitive else "folded"
    needle = _FORMS[form](text)
    alone = rule.whole_words and " " not in needle and not _UNSPACED.search(needle)
    return Key(text, rule, form, needle, alone)


def _last_of(key: Key, text: str) -> int:
    """The position of the last character of the first place where a plain key stands, or -1."""
    if not key.needle:
        return -1
    first = _find_word(text, key.needle) if key.alone else text.find(key.needle)
    return first + len(key.needle) - 1 if first >= 0 else -1


def _find_word(text: str, word: str) -> int:
    """The first place where a word stands alone. An underscore is no letter here: Discord writes _lamp_ for italics."""
    position = text.find(word)
    while position >= 0:
        end = position + len(word)
        if not _joins(text[position - 1 : position]) and not _joins(text[end : end + 1]):
            break
        position = text.find(word, position + 1)
    return position


def _joins(character: str) -> bool:
    return character.isalnum() or (character > "\x7f" and unicodedata.category(character).startswith("M"))


@lru_cache(maxsize=4096)
def _compile(body: str, flags: str) -> Any:
    """A compiled pattern, or why there is none. JavaScript's flags i, m and s keep their meaning; others have none."""
    if len(body) > PATTERN_CHARACTERS:
        return f"it has {len(body):,} characters"
    if any(token["verbose"] for token in _PATTERN_TOKEN.finditer(body)):
        return "it sets the flag x"
    if _parts(body) > PATTERN_PARTS:
        return f"with its repeats written out it has more than {PATTERN_PARTS:,} parts"
    wanted = {"i": regex.IGNORECASE, "m": regex.MULTILINE, "s": regex.DOTALL}
    try:
        return regex.compile(body, sum(wanted.get(flag, 0) for flag in set(flags)))
    except (regex.error, RecursionError, OverflowError, ValueError) as error:
        return str(error) or type(error).__name__


@lru_cache(maxsize=16_384)
def _parts(body: str) -> int:
    """About how many parts a pattern has once its repeats are written out, which compiling does: `(?:ab){50}` has 150.

    Rather too many than too few: only where the flag x hides brackets in comments is it deceived.
    """
    sizes, last = [0], 0
    for token in _PATTERN_TOKEN.finditer(body, endpos=PATTERN_CHARACTERS):
        if token["open"]:
            sizes.append(0)
            last = 0
        elif token["close"] and len(sizes) > 1:
            last = sizes.pop() + 1
            sizes[-1] += last
        elif token["repeat"]:
            copies = _copies(token)
            sizes[-1] += last * (copies - 1)
            last *= copies
        elif not token["comment"]:
            last = len(token[0])
            sizes[-1] += last
    return sum(sizes)


def _copies(repeat: regex.Match[str]) -> int:
    """How often compiling writes a part out: as often as it must be there, and once more where it may be again."""
    if not (repeat["plus"] or repeat["least"]):
        return 1
    return max(1, int(repeat["least"] or 1) + bool(repeat["plus"] or repeat["comma"]))
