"""A training row -> the same row with the user's side typed in another way; the character's lines stay byte for byte."""

import hashlib
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from data.filters import normalised
from data.rows import USER_NAMES
from persona.conversation import Conversation, Message

MOST_TYPOS = 2

_FIXED = re.compile(r"\{\{|://|www\.|<[^<>\n]{1,20}>")
"""A message with one of these is left as it is: a macro, a link, a mark."""

_PLAIN_WORD = re.compile(r"([^\W\d_]{4,})[.,!?;:]*")
_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")

_START = r"(?:^|(?<=[.!?] ))"
_CONTRACTIONS = (
    ("what is", "what's"), ("who is", "who's"), ("where is", "where's"), ("how is", "how's"), ("that is", "that's"),
    ("it is", "it's"), ("I am", "I'm"), ("you are", "you're"), ("we are", "we're"), ("they are", "they're"),
    ("I will", "I'll"), ("I would", "I'd"), ("I have been", "I've been"), ("do you", "d'you"),
)  # fmt: skip
"""Only where a sentence begins: "what it is" and "who I am" are not shortened."""

_NEGATIONS = ("do not", "does not", "did not", "is not", "are not", "was not", "have not", "has not", "would not")
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    *((re.compile(rf"{_START}{long}(?= \w)", re.IGNORECASE), short) for long, short in _CONTRACTIONS),
    *((re.compile(rf"\b{long}\b(?= \w)", re.IGNORECASE), long.replace(" not", "n't")) for long in _NEGATIONS),
    (re.compile(r"\b(what|where|when|why|how|who) do you\b(?= \w)", re.IGNORECASE), r"\1 d'you"),
    (re.compile(r"\bcannot\b(?= \w)", re.IGNORECASE), "can't"),
    (re.compile(r"\bwill not\b(?= \w)", re.IGNORECASE), "won't"),
    (re.compile(r"\bwant to\b(?= \w)", re.IGNORECASE), "wanna"),
    (re.compile(rf"{_START}tell me (?!that\b)([^.,;:!?\n]{{1,200}})(?:\.|$)", re.IGNORECASE), r"can you tell me \1?"),
    (re.compile(rf"{_START}can you tell me ([^.,;:!?\n]{{1,200}})\?", re.IGNORECASE), r"tell me \1."),
    (re.compile(rf"{_START}hello\b", re.IGNORECASE), "hi"),
    (re.compile(rf"{_START}good day\b", re.IGNORECASE), "hello"),
    (re.compile(rf"{_START}thank you\b(?! so)", re.IGNORECASE), "thanks"),
    (re.compile(rf"{_START}goodbye\b", re.IGNORECASE), "bye"),
    (re.compile(rf"{_START}yes\b", re.IGNORECASE), "yeah"),
    (re.compile(rf"{_START}please,? (?=\w)", re.IGNORECASE), ""),
    (re.compile(r",? please(?=[.!?]|$)", re.IGNORECASE), ""),
)


def augment_rows(
    rows: Sequence[Conversation], seed: int, share: float, names: Sequence[str] = USER_NAMES
) -> list[Conversation]:
    """Further rows for training, at most `share` times as many as there are, one of a row, in the order of `rows`.

    `names` are what the builder calls a user without a name. Which rows and how is drawn from `seed` and the ids of the
    rows alone. Never for rows that are held out.
    """
    order = sorted(range(len(rows)), key=lambda i: (hashlib.sha256(f"{seed}\0{rows[i].id}".encode()).digest(), i))
    made: dict[int, Conversation] = {}
    for i in order:
        if len(made) >= int(share * len(rows)):
            break
        row = rows[i]
        if "parent" not in row.notes and (other := augment(row, random.Random(f"{seed}:{row.id}:augment"), names)):
            made[i] = other
    return [made[i] for i in sorted(made)]


def augment(row: Conversation, rng: random.Random, names: Sequence[str] = USER_NAMES) -> Conversation | None:
    """The row with one change to what the user typed, to what the user is called, or to where the row begins.

    None where none of the changes, asked in an order drawn from `rng`, does anything. `names` are what a user may be
    called. The new row keeps source and scene, and so its split; its id, its seed and its notes say where it is from.
    """
    for change in rng.sample(list(_CHANGES), len(_CHANGES)):
        messages = _CHANGES[change](row, rng, names)
        if messages and messages != row.messages:
            return replace(
                row,
                messages=messages,
                id=f"{row.id}~{change}",
                seed=int.from_bytes(hashlib.sha256(f"{row.seed}:{change}".encode()).digest()[:4], "big"),
                notes={**row.notes, "parent": row.id, "change": change},
            )
    return None


Messages = tuple[Message, ...]


def _retyped(row: Conversation, names: Sequence[str], type_again: Callable[[str], str]) -> Messages:
    """The turns of a user without a name typed again; one that would be left without words stays as it was.

    Who is named in a source does not type: nobody in a play writes "whats up".
    """
    messages = []
    for message in row.messages:
        typed = message.role == "user" and (message.name is None or message.name in names)
        if typed and not _FIXED.search(message.content):
            content = type_again(message.content)
            message = replace(message, content=content) if normalised(content) else message
        messages.append(message)
    return tuple(messages)


def _casing(row: Conversation, rng: random.Random, names: Sequence[str]) -> Messages:
    """All in lower case, no mark at the end."""
    return _retyped(row, names, lambda text: text.lower().rstrip(".!?"))


def _typos(row: Conversation, rng: random.Random, names: Sequence[str]) -> Messages:
    """A slip or two a message in words of small letters that the character does not take up.

    A word that is in the reply, or in the name of its lorebook entry, may be the one that calls for lore.
    """
    people = [row.character, row.notes.get("entry", ""), *(m.name or "" for m in row.messages)]
    kept = set(normalised(" ".join([*people, *row.replies])).split())

    def mistyped(text: str) -> str:
        parts = re.split(r"(\s+)", text)
        open_words = [
            i
            for i, part in enumerate(parts)
            if part.islower() and (word := _PLAIN_WORD.fullmatch(part)) and word[1].casefold() not in kept
        ]
        for i in rng.sample(open_words, min(len(open_words), rng.randint(1, MOST_TYPOS))):
            parts[i] = _slip(parts[i], len(parts[i].rstrip(".,!?;:")), rng)
        return "".join(parts)

    return _retyped(row, names, mistyped)


def _slip(word: str, letters: int, rng: random.Random) -> str:
    """Two neighbours swapped, a letter left out, doubled, or missed by one key; the first letter is hit."""
    i = rng.randrange(1, letters - 1)
    letter = word[i]
    near = [
        row[j]
        for row in _KEYBOARD
        for j in (row.find(letter) - 1, row.find(letter) + 1)
        if letter in row and 0 <= j < len(row)
    ]
    slips = [word[i + 1] + letter, word[i + 1], 2 * letter + word[i + 1], *(key + word[i + 1] for key in near)]
    return word[:i] + rng.choice(slips) + word[i + 2 :]


def _paraphrase(row: Conversation, rng: random.Random, names: Sequence[str]) -> Messages:
    """By rules for English: shortened verbs, other greetings, please or not."""

    def reworded(text: str) -> str:
        for pattern, words in rng.sample(_RULES, len(_RULES)):
            changed = pattern.sub(partial(_as_begun, words=words), text, count=1)
            if changed != text and normalised(changed):
                return changed[0].upper() + changed[1:] if text[0].isupper() else changed
        return text

    return _retyped(row, names, reworded)


def _as_begun(found: re.Match[str], words: str) -> str:
    """The other words, with a capital at the beginning where there was one."""
    other = found.expand(words)
    return other[:1].upper() + other[1:] if found[0][0].isupper() else other


def _name(row: Conversation, rng: random.Random, names: Sequence[str]) -> Messages:
    """Another name for the user. Only one that the builder drew is changed: who is named in a source is somebody.

    Nor one that the character says, because the character's lines stay.
    """
    called = {m.name for m in row.messages if m.role == "user" and m.name}
    old = next(iter(called), "")
    texts = {role: " ".join(m.content for m in row.messages if m.role == role) for role in ("user", "assistant")}
    said = set(normalised(" ".join(texts.values())).split())
    others = [name for name in names if name != old and name.casefold() not in said]
    whole = re.compile(rf"\b{re.escape(old)}\b")
    # Written small, a name may be a word: pat the dog.
    by_name = len(whole.findall(texts["user"])) == normalised(texts["user"]).split().count(old.casefold())
    if len(called) != 1 or old not in names or not others or not by_name:
        return ()
    if old.casefold() in normalised(texts["assistant"]).split():
        return ()
    new = rng.choice(others)
    return tuple(
        replace(m, content=whole.sub(new, m.content), name=m.name and new) if m.role == "user" else m
        for m in row.messages
    )


def _later(row: Conversation, rng: random.Random, names: Sequence[str]) -> Messages:
    """The row begins at a later turn of the user's, with the last exchange at the latest; a system message stays."""
    turns = [i for i, m in enumerate(row.messages) if m.role != "system"]
    roles = [row.messages[i].role for i in turns]
    last = max((k for k, role in enumerate(roles) if role == "assistant"), default=0)
    starts = [turns[k] for k in range(1, last) if roles[k] == "user" and roles[k - 1] == "assistant"]
    if not starts:
        return ()
    start = rng.choice(starts)
    return tuple(m for i, m in enumerate(row.messages) if i >= start or m.role == "system")


_CHANGES: dict[str, Callable[[Conversation, random.Random, Sequence[str]], Messages]] = {
    "casing": _casing,
    "typos": _typos,
    "paraphrase": _paraphrase,
    "name": _name,
    "later": _later,
}
