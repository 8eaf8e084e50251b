"""Plays, scripts and chat logs as text -> scenes, whichever way they name who speaks."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from data.source import Scene, Source, Utterance
from persona.errors import PersonaError
from persona.formats.folder import parse_scenes
from persona.formats.lore import without_comments

SAMPLE_CHARACTERS = 200_000
"""How much of a text is looked at to tell what it is."""

GAP_SECONDS = 2 * 60 * 60
"""A chat that rests for so long begins a new scene."""

_HEAD_CHARACTERS = 320
_VERSE_CHARACTERS = 60
"""Verse has shorter lines than prose that was wrapped."""

# --- printed plays: "NAME. text", "Name (aside). text", "_Name_. text", "NAME [aside] text", "NAME." above its lines
_TITLE = r"(?i:mrs?|ms|mme|mlle|dr|st|prof|rev|capt|col|lieut|lt|sergt|sgt|gen|hon|m)\."
_WORD = rf"(?:{_TITLE} ?)?[^\W_](?:[^\W_]|['’-](?=[^\W_]))*"
_NAME = rf"(?:\d{{1,2}}\.? )?{_WORD}(?:(?:, | & |,? and | ){_WORD}){{0,4}}"
_ASIDE = r"[_*]?(?:\[[^\[\]]{0,200}\]|\([^()]{0,200}\))[_*]?"
_LABEL = re.compile(
    rf"[_*]{{0,3}}(?P<name>{_NAME})[_*]{{0,2}}(?P<aside> ?{_ASIDE})?"
    r"(?P<stop>[_*]{0,2}\.[_*]{0,2}(?:\s*(?:—|–|--)|(?=\s|$)))?"
)
_STOP_BEHIND_ASIDE = re.compile(r"\A(\[[^\[\]]{0,400}\]|\([^()]{0,400}\))\.(?= )")
_UNCLOSED = re.compile(r"\s*[_*]?[\[(]")
_SMALL_WORDS = re.compile(r" (?:and|of|the|de|la|von|van|to|du|di|da) ")
_ROMAN = re.compile(r"[IVXLC]+")
_NOBODY = frozenset(
    """
    act aside aloud amen ah and book but chapter come curtain end enter exeunt exit finis flourish good here how indeed
    manent manet never no nonsense nothing now o oh part pause please reenter right scene scena silence so stop thanks
    then there true volume wait well what why yes
    """.split()
)
_MOVES = re.compile(
    r"[_*\[(]{0,3}(?:R[Ee]-?)?(?:Enter|Exit|Exeunt|Manet|Manent|Flourish|Alarums?|Sennet|Curtain"
    r"|ENTER|EXIT|EXEUNT|CURTAIN)\b(?=[\s.,:_]|$)"
)
_BRACKETED = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|_[^_]*_")
_ORDINAL = r"(?:[ivxlc]+|\d{1,2}|first|second|third|fourth|fifth|last|one|two|three|four|five|the \w+)"
_HEADING = re.compile(
    rf"(?:act|actus|acte|akt|aufzug|scene|scena|scaena|scène|szene|auftritt)\s+{_ORDINAL}\b.{{0,120}}"
    rf"|{_ORDINAL}\s+(?:act|scene|akt|aufzug|szene|auftritt)\b.{{0,120}}"
    r"|(?:scene|szene|scène)\s*[.:—-].{0,120}|the scene\b.{0,120}|(?:the )?(?:prologue|epilogue|induction)|scene",
    re.IGNORECASE,
)
_GUTENBERG = re.compile(r"\*{3} ?(START|END) OF (?:THE|THIS) PROJECT GUTENBERG")
_FIRST_PERSON = re.compile(
    r"\b(?:i|me|my|mine|we|us|our|ours|you|your|yours|thou|thee|thy|thine|ye|let's)\b", re.IGNORECASE
)
_ITALICS = re.compile(r"_([^_\n]*)_")

# --- chats: "[12:01] Tom: text", "12/06/2023, 10:22 - Tom: text", "<Tom> text", "Tom - text"
_STAMP = (
    r"[\[(]?(?P<stamp>\d{1,4}[\d./:, T-]{2,20}\d(?:\.\d{1,6})?Z?(?: ?[AaPp]\.?[Mm]\.?)?)[\])]?(?: [-–—](?= )|:(?= ))? +"
)
_FORMS = {
    "stamped": re.compile(rf"{_STAMP}(?:<[@+%~&]?(?P<who>[^<>]{{1,60}})> |(?P<name>[^<>:\"“]{{1,60}}?): ?)?"),
    "angles": re.compile(r"(?P<stamp>)<[@+%~&]?(?P<who>[^<>\s][^<>]{0,60})> (?P<name>)"),
    "dashes": re.compile(r"(?P<stamp>)(?P<who>[^\W\d_][^-–—:<>.!?,]{0,39}?) [-–—] (?P<name>)"),
}
_FEWEST = {"stamped": 0.3, "angles": 0.5, "dashes": 0.6}
"""The share of the lines that must have a form; the others go on with the message before them."""
_DATE = re.compile(r"(\d{1,4})[./-](\d{1,2})[./-](\d{1,4})")
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?Z? ?([AaPp])?")
_WORDLESS = re.compile(
    r"<?(?:media|image|video|audio|sticker|gif|document|contact card)(?: message)? omitted>?|<attached: [^<>]{0,200}>"
    r"|(?:this message was deleted|you deleted this message)\.?|null",
    re.IGNORECASE,
)
_SPACES = str.maketrans({"\u200e": "", "\u200f": "", "\u202f": " ", "\xa0": " "})
_ODD_LINE_ENDS = str.maketrans(dict.fromkeys("\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", " "))


@dataclass(slots=True)
class _Speech:
    """What somebody says, from line `line` (counted from 0) on, a list of lines for each paragraph."""

    speaker: str
    line: int
    paragraphs: list[list[str]]
    stamp: str = ""

    def utterance(self) -> Utterance:
        text = _STOP_BEHIND_ASIDE.sub(r"\1", "\n".join(filter(None, map(_flow, self.paragraphs))))
        return Utterance(self.speaker, text, f"line {self.line + 1}", rule="label")


def looks_like_script(text: str) -> bool:
    """Whether most of a text's beginning is speech under the names of its speakers, some of whom speak again."""
    lines = _lines(text[:SAMPLE_CHARACTERS])
    if _chat_form(lines):
        return True
    labels = _labels(lines)
    colon = [who for scene in parse_scenes("\n".join(lines), "") for who, _ in scene.turns]
    speakers = max(colon, [who for who, _ in labels.values()], key=len)
    full = sum(bool(line.strip()) for line in lines)
    blocks = sum(bool(line.strip()) and not (i and lines[i - 1].strip()) for i, line in enumerate(lines))
    marked = any(who.casefold() in ("{{char}}", "{{user}}") for who in speakers)
    again = len(speakers) >= 3 and len(set(speakers)) < len(speakers)
    return (again or marked) and len(speakers) >= max(0.3 * blocks, 0.05 * full)


def read_script(text: str, name: str) -> Source:
    """The scenes of a play, a script or a chat log, by whichever form names the most speakers.

    Known are `NAME: text` and `NAME:` above its lines (`parse_scenes`), printed plays (`NAME. text`, `Name (aside).
    text`, `NAME [aside] text`, `_Name._ text`), and chats with names in angle brackets, before a dash or after a time.
    Directions within a speech stay in it; those that fill a paragraph are no speech. The place of an utterance is its
    first line. Raises `PersonaError` naming `name` when no line has a speaker.
    """
    lines = _lines(text)
    notes: list[str] = []
    start = lines[: text.count("\n", 0, SAMPLE_CHARACTERS) + 1]
    form = _chat_form(start)
    if form:
        scenes = _chat(lines, form, notes)
    elif len(_labels(start)) > sum(len(scene.turns) for scene in parse_scenes("\n".join(start), name)):
        scenes = _printed(lines, notes)
    else:
        scenes = read_dialogue("\n".join(_prepared(lines)))
    if not scenes:
        raise PersonaError("No line of the script has a speaker.", where=name, fix='write them as "Name: text"')
    return Source("script", name, scenes=tuple(scenes), notes=notes)


def read_dialogue(text: str, first_line: int = 1) -> list[Scene]:
    """The scenes of `Name: text` lines, as `parse_scenes` reads them, each utterance with the line it begins on."""
    lines = without_comments(text).splitlines()
    scenes: list[Scene] = []
    place = 0
    for scene in parse_scenes(text, ""):
        utterances: list[Utterance] = []
        for who, said in scene.turns:
            start = said.partition("\n")[0]
            while place < len(lines) and not _begins(lines[place], who, start):
                place += 1
            utterances.append(Utterance(who, said, f"line {place + first_line}", rule="label"))
            place += 1
        scenes.append(Scene(tuple(utterances), scene.title))
    return scenes


def _begins(line: str, who: str, start: str) -> bool:
    """Whether a line is the label of a turn by `who` that starts with the line `start`."""
    found = line.find(who)
    colon = re.compile("[:：]").search(line, found + len(who)) if found >= 0 else None
    return colon is not None and start.endswith(line[colon.end() :].lstrip("*_").strip())


def _lines(text: str) -> list[str]:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").translate(_ODD_LINE_ENDS).split("\n")


def _prepared(lines: Sequence[str]) -> list[str]:
    """Lines for `parse_scenes`: act and scene headings with a `##`, paragraphs that are directions made empty."""
    prepared = list(lines)
    for start, end in _blocks(lines):
        block = [line.strip() for line in lines[start:end]]
        if _HEADING.fullmatch(block[0][:200]):
            prepared[start] = f"## {block[0]}"
            start += 1
        elif _is_direction(block):
            prepared[start:end] = [""] * (end - start)
    return prepared


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """(first line, line after the last) of every run of lines between blank ones."""
    start = 0
    for number in range(len(lines) + 1):
        if number == len(lines) or not lines[number].strip():
            if number > start:
                yield start, number
            start = number + 1


def _is_direction(block: Sequence[str]) -> bool:
    """Whether a paragraph is nothing but stage directions."""
    text = " ".join(block)
    unclosed = text[0] == "[" and "]" not in text
    return unclosed or bool(_MOVES.match(text)) or not any(c.isalnum() for c in _BRACKETED.sub("", text))


def _labels(lines: Sequence[str]) -> dict[int, tuple[str, str]]:
    """(name, rest of the line) by line number, where a printed play names a speaker; empty where nothing is consistent.

    Capitals and italics mark a label wherever they stand. Plain names do where they return, and where they stand:
    below a blank line, or indented alike.
    """
    strict: dict[int, tuple[str, str]] = {}
    plain: dict[int, tuple[str, str]] = {}
    for number, line in enumerate(lines):
        found = _label(line.strip())
        if found:
            (strict if found[0] else plain)[number] = found[1:]
    counts = Counter(name for name, _ in plain.values())
    again = {number: label for number, label in plain.items() if counts[label[0]] > 1}
    if len(again) < max(3, len(strict)):
        return strict
    if sum(number == 0 or not lines[number - 1].strip() for number in again) >= 0.7 * len(again):
        plain = {number: label for number, label in plain.items() if number == 0 or not lines[number - 1].strip()}
    else:
        indent = Counter(_indent(lines[number]) for number in again).most_common(1)[0][0]
        plain = {
            number: label for number, label in (plain if indent else again).items() if _indent(lines[number]) == indent
        }
    return _abbreviated(plain) | strict


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _abbreviated(labels: dict[int, tuple[str, str]]) -> dict[int, tuple[str, str]]:
    """The labels, with the full stop kept in those that shorten another one: "Ham." beside "Hamlet"."""
    names = sorted({name for name, _ in labels.values()})
    short = {name for name, longer in pairwise(names) if longer.startswith(name)}
    return {number: (f"{name}." if name in short else name, rest) for number, (name, rest) in labels.items()}


def _label(line: str) -> tuple[bool, str, str] | None:
    """(whether capitals or italics mark it, name, rest of the line) for a line that may begin with a label."""
    found = _LABEL.match(line[:_HEAD_CHARACTERS])
    if not found or _HEADING.fullmatch(line[:200]):
        return None
    name = " ".join(found["name"].split())
    words = _SMALL_WORDS.sub(" ", re.sub(rf"\A{_TITLE} ?", "", name)).split()
    first, last = (word.casefold().replace("-", "").strip(".,") for word in (words[0], words[-1]))
    letters = sum(c.isalpha() for c in name)
    if letters < 2 or first in _NOBODY or last in ("end", "ends", "curtain") or _ROMAN.fullmatch(words[0]):
        return None
    rest = line[found.end() :].strip()
    capitals = all(word.isupper() or word.isdigit() for word in words)
    if not (found["stop"] or (capitals and found["aside"]) or _UNCLOSED.match(rest)):
        return None
    rest = f"{(found['aside'] or '').strip()} {rest}".strip()
    if capitals or (line[0] in "_*" and rest):
        return True, name, rest
    return (False, name, rest) if len(words) <= 3 and all(word[0].isupper() for word in words) else None


def _printed(lines: list[str], notes: list[str]) -> list[Scene]:
    """The scenes of a printed play; what the publisher put before and after it is left out."""
    marks = {found[1]: number for number, line in enumerate(lines) if (found := _GUTENBERG.search(line[:200]))}
    lines = [*[""] * (marks.get("START", -1) + 1), *lines[marks.get("START", -1) + 1 : marks.get("END")]]
    labels = _labels(lines)
    scenes: list[tuple[str, list[_Speech]]] = [("", [])]
    act = ""
    unsaid = 0
    for start, end in _blocks(lines):
        if start not in labels and _HEADING.fullmatch(heading := lines[start].strip()[:200]):
            act = heading if "act" in heading.casefold() else act
            scenes.append((heading if heading == act else f"{act} {heading}".strip(), []))
            start += 1
        for piece in _pieces(range(start, end), labels):
            unsaid += not _hear(lines, piece, labels.get(piece[0]), scenes[-1][1])
    if unsaid:
        notes.append(f"{unsaid:,} paragraphs that nobody is named to say were taken for stage directions.")
    people = [speech.speaker for speech in scenes[0][1]]
    if len(scenes) > 1 and len(set(people)) == len(people):
        scenes[0][1].clear()  # the list of the people of the play, each of whom it names once
    heard = ((title, [u for speech in speeches if (u := speech.utterance()).text]) for title, speeches in scenes)
    return [Scene(tuple(spoken), title) for title, spoken in heard if spoken]


def _pieces(block: range, labels: dict[int, tuple[str, str]]) -> Iterator[list[int]]:
    """The line numbers of a paragraph, cut before each label."""
    piece: list[int] = []
    for number in block:
        if number in labels and piece:
            yield piece
            piece = []
        piece.append(number)
    if piece:
        yield piece


def _hear(lines: list[str], piece: list[int], label: tuple[str, str] | None, speeches: list[_Speech]) -> bool:
    """Give the lines of a piece to who says them; False for a paragraph within a scene that nobody seems to say."""
    said = [lines[number].strip() for number in piece]
    if label:
        kept = [line for line in said[1:] if len(line) > 100 or not _MOVES.match(line)]
        speeches.append(_Speech(label[0], piece[0], [[line for line in (label[1], *kept) if line]]))
        return True
    if not speeches or _is_direction(said):
        return True
    if not any(speeches[-1].paragraphs) or _is_speech(" ".join(said)):
        speeches[-1].paragraphs.append(said)
        return True
    return False


def _is_speech(paragraph: str) -> bool:
    """Whether a paragraph without a label goes on with a speech: directions are in the third person."""
    quoted = paragraph[0] in "\"“‘'—" or paragraph[0].islower()
    return quoted or paragraph.rstrip(' "”’)]_')[-1:] in ("?", "!") or bool(_FIRST_PERSON.search(paragraph))


def _flow(lines: list[str]) -> str:
    """A paragraph as one line where it was wrapped, line by line where it is verse; italics lose their marks."""
    capitals = sum(not line[:1].islower() for line in lines[1:])
    verse = all(len(line) <= _VERSE_CHARACTERS for line in lines) and capitals >= 0.7 * (len(lines) - 1)
    return _ITALICS.sub(r"\1", ("\n" if verse else " ").join(lines)).strip()


def _chat_form(lines: Sequence[str]) -> str:
    """The form that most lines of a chat have, "" where it is none."""
    full = [line.translate(_SPACES)[:_HEAD_CHARACTERS] for line in lines if line.strip()]
    for form, pattern in _FORMS.items():
        found = [match for line in full if (match := pattern.match(line)) and _has_time(match)]
        names = [match["who"] or match["name"] for match in found if match["who"] or match["name"]]
        enough = len(found) >= _FEWEST[form] * len(full) and len(names) >= max(3, 1.5 * len(set(names)))
        if enough and (form == "stamped" or len(set(names)) > 1):
            return form
    return ""


def _has_time(match: re.Match[str]) -> bool:
    return not match["stamp"] or bool(_TIME.search(match["stamp"]))


def _chat(lines: Sequence[str], form: str, notes: list[str]) -> list[Scene]:
    """The messages of a chat; a rest of `GAP_SECONDS` begins a new scene, where the times can be read."""
    messages: list[_Speech] = []
    wordless = notices = 0
    known: set[str] = set()
    for number, raw in enumerate(lines):
        line = raw.translate(_SPACES)
        found = _FORMS[form].match(line[:_HEAD_CHARACTERS])
        if not (found and _has_time(found)) and not (form == "angles" and line.startswith("* ")):
            if messages and line.strip():
                messages[-1].paragraphs[0].append(line.strip())
            continue
        who = (found["who"] or found["name"] or "").strip() if found else ""
        said = line[found.end() if found else 0 :].strip()
        action = not who and said.startswith("* ") and said[2:].partition(" ")[0] in known
        if action:
            who, _, said = said[2:].partition(" ")
            said = f"*{said}*"
        if not who or _WORDLESS.fullmatch(said[:300]):
            wordless, notices = wordless + bool(who), notices + (not who)
            messages.append(_Speech("", number, [[]]))
            continue
        known.add(who)
        messages.append(_Speech(who, number, [[said]], found["stamp"] if found else ""))
    if wordless or notices:
        notes.append(f"Left out: {wordless:,} messages without words (media, deleted), {notices:,} notices.")
    return _by_time([message for message in messages if message.speaker])


def _by_time(messages: Sequence[_Speech]) -> list[Scene]:
    dates = [found for message in messages if (found := _DATE.search(message.stamp))]
    day_second = any(int(date[2]) > 12 for date in dates)
    halves = any((time := _TIME.search(message.stamp)) and time[4] for message in messages)
    month_first = day_second or (halves and not any(12 < int(date[1]) < 32 for date in dates))
    scenes: list[list[Utterance]] = []
    before: tuple[bool, int] | None = None
    for message in messages:
        now = _moment(message.stamp, month_first)
        gap = 0
        if now and before and now[0] == before[0]:
            gap = abs(now[1] - before[1]) if now[0] else (now[1] - before[1]) % 86_400
        if not scenes or gap >= GAP_SECONDS:
            scenes.append([])
        text = "\n".join(line for line in message.paragraphs[0] if line)
        scenes[-1] += [Utterance(message.speaker, text, f"line {message.line + 1}", rule="label")] if text else []
        before = now or before
    return [Scene(tuple(scene)) for scene in scenes if scene]


def _moment(stamp: str, month_first: bool) -> tuple[bool, int] | None:
    """(whether the date is known, seconds) of a stamp, from the first day or from midnight; None if unreadable."""
    time = _TIME.search(stamp)
    if not time:
        return None
    hour = int(time[1]) % 12 + 12 * (time[4] in "Pp") if time[4] else int(time[1])
    seconds = hour * 3600 + int(time[2]) * 60 + int(time[3] or 0)
    date = _DATE.search(stamp)
    if not date:
        return False, seconds
    first, second, third = map(int, date.groups())
    year, month, day = (
        (first, second, third) if first > 31 else (third, first, second) if month_first else (third, second, first)
    )
    try:
        return True, datetime(year + 2000 * (year < 100), month, day).toordinal() * 86_400 + seconds
    except ValueError:
        return None
