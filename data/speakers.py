"""Who speaks in a source and how much, which labels are one person, and whom a name on the command line means."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from data.source import CHARACTER, USER, Scene
from persona.errors import PersonaError
from persona.formats.text import printable

SPEAKERS_SHOWN = 8
"""How many of those with the most lines an error names."""

_NOBODY = ("", CHARACTER, USER)
_FEWEST_TURNS = 2
"""Two labels that follow one another so often are two people who talk."""

_FEMININE = frozenset("mrs ms miss dame madam madame mme mademoiselle mlle lady frau senora".split())
_TITLES = {
    title: title
    for title in [
        *_FEMININE,
        *"""
        mr mx dr prof sir monsieur lord herr senor capt col major general lt sgt admiral inspector detective constable
        officer judge rev
        """.split(),
    ]
} | dict(
    mister="mr",
    missus="mrs",
    doctor="dr",
    professor="prof",
    captain="capt",
    colonel="col",
    lieutenant="lt",
    lieut="lt",
    sergeant="sgt",
    sergt="sgt",
    reverend="rev",
)
"""Titles that somebody may be called with or without, by their short forms."""

_APART = frozenset(
    """
    a an the of and all another both other every each young old elder younger little big first second third fourth fifth
    sixth seventh eighth ninth last one two three four five six king queen prince princess duke duchess emperor empress
    count countess baron baroness earl bishop archbishop cardinal pope saint friar father mother brother sister uncle
    aunt nurse master mistress messenger servant lords ladies
    """.split()
)
"""Words that tell people of one name apart: a king and a prince of one name are two."""

Call = tuple[str, tuple[str, ...]]
"""How a label calls somebody: (title, words of the name)."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Somebody who speaks: `lines` utterances with `words` words.

    `name` is the label with the most lines, without punctuation behind it; `aliases` are all the labels that are this
    person's, as they stand in the source, most lines first.
    """

    name: str
    lines: int
    words: int
    aliases: tuple[str, ...]
    is_user: bool = False
    """Whether this is the person who chatted, and not one of the characters."""


def count_speakers(scenes: Sequence[Scene], users: frozenset[str] = frozenset()) -> list[Speaker]:
    """Everybody who speaks, most lines first and the `users` of chats last; labels that are surely one person's are counted as one.

    These are labels that differ in case or punctuation; a shortened one that ends with a full stop ("Ham.") and that
    only one name continues; and a name with or without its title or first name ("Mr. Holmes", "Holmes", "Sherlock
    Holmes"), unless several people share it or the two labels talk with each other. Speakers without a name are listed
    only where nobody has one.
    """
    lines: Counter[str] = Counter()
    words: Counter[str] = Counter()
    neighbours: Counter[frozenset[str]] = Counter()
    for scene in scenes:
        before = ""
        for utterance in scene.utterances:
            lines[utterance.speaker] += 1
            words[utterance.speaker] += len(utterance.text.split())
            if before and utterance.speaker != before:
                neighbours[frozenset((_key(before), _key(utterance.speaker)))] += 1
            before = utterance.speaker
    named = [label for label in lines if label.strip().casefold() not in _NOBODY] or list(lines)
    groups = _groups(sorted(named, key=lambda label: (-lines[label], label)), neighbours)
    speakers = [
        Speaker(
            _clean(labels[0]),
            sum(lines[label] for label in labels),
            sum(words[label] for label in labels),
            tuple(labels),
            not users.isdisjoint(labels),
        )
        for labels in groups
    ]
    return sorted(speakers, key=lambda speaker: (speaker.is_user, -speaker.lines, speaker.name))


def find_speaker(asked: str, speakers: Sequence[Speaker]) -> Speaker:
    """The speaker whom a name means: by the whole name, whatever its case, by an alias, or by a word that one name has.

    Raises `PersonaError` with the names to choose from when nobody or several are meant.
    """
    wanted, words = _key(asked), set(_key(asked).split())
    tests: tuple[Callable[[Speaker], bool], ...] = (
        lambda s: asked == s.name or asked in s.aliases,
        lambda s: wanted == _key(s.name),
        lambda s: wanted in map(_key, s.aliases),
        lambda s: any(_may_be_one(wanted, _key(label)) for label in s.aliases),
        lambda s: bool(words) and any(words <= set(_key(name).split()) for name in (s.name, *s.aliases)),
    )
    for test in tests:
        found = [speaker for speaker in speakers if test(speaker)]
        if len(found) == 1:
            return found[0]
        if found:
            raise PersonaError(f"{_shown(asked)} may be {_listed(found)}.", fix=_type(found[0].name))
    if not speakers:
        raise PersonaError(f"Nobody speaks, so nobody is called {_shown(asked)}.", fix="a source with dialogue")
    names = {_key(name): speaker for speaker in reversed(speakers) for name in (*speaker.aliases, speaker.name)}
    near = [names[key] for key in get_close_matches(wanted[:80], list(names)[-5_000:], n=3, cutoff=0.6)]
    likely = list(dict.fromkeys(near)) or list(speakers[:1])
    close = f" The nearest: {_listed(likely)}." if near else ""
    raise PersonaError(
        f"Nobody called {_shown(asked)} speaks.{close} Most lines: {_listed(speakers)}.", fix=_type(likely[0].name)
    )


def find_speakers(asked: str, speakers: Sequence[Speaker]) -> tuple[str, frozenset[str]]:
    """(what to call the character, all its labels as they stand in the source) for one name or several by commas.

    Several are names of one person, and the first is what they are called. Raises `PersonaError` as `find_speaker`.
    """
    whole = any(asked.strip() in (speaker.name, *speaker.aliases) for speaker in speakers)
    parts = [asked.strip()] if whole else [part.strip() for part in asked.split(",") if part.strip()] or [""]
    found = [find_speaker(part, speakers) for part in parts]
    first = next((label for label in found[0].aliases if _key(label) == _key(parts[0])), found[0].name)
    return _clean(first), frozenset(label for speaker in found for label in speaker.aliases)


def speaker_table(speakers: Sequence[Speaker], limit: int) -> str:
    """A line for each of the first `limit` speakers, for terminals: lines, words, name and other labels."""
    rows = [("lines", "words", "who"), *((f"{s.lines:,}", f"{s.words:,}", _with_aliases(s)) for s in speakers[:limit])]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    table = [f"{lines:>{widths[0]}}  {words:>{widths[1]}}  {who}" for lines, words, who in rows]
    more = len(speakers) - limit
    return "\n".join([*table, f"and {more:,} more"] if more > 0 else table)


def _groups(labels: Sequence[str], neighbours: Counter[frozenset[str]]) -> list[list[str]]:
    """The labels of each person, in the order of `labels`."""
    by_key: defaultdict[str, list[str]] = defaultdict(list)
    for label in labels:
        by_key[_key(label)].append(label)
    same = {key: key for key in by_key}
    _join_short(by_key, same)
    _join_titles([key for key in by_key if same[key] == key], same, neighbours)
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for label in labels:
        key = _key(label)
        while same[key] != key:
            key = same[key]
        groups[key].append(label)
    return list(groups.values())


def _join_short(by_key: dict[str, list[str]], same: dict[str, str]) -> None:
    """Join a label such as "Ham." with the only one that goes on with the word: "Hamlet", and not "Hams"."""
    keys = sorted(by_key)
    place = {key: number for number, key in enumerate(keys)}
    for key, labels in by_key.items():
        if not all(label.rstrip().endswith(".") for label in labels):
            continue
        following = keys[place[key] + 1 : place[key] + 12]
        longer = [other for other in following if other.startswith(key) and other[len(key)].isalnum()]
        if len(longer) == 1 and len(longer[0]) >= len(key) + 2:
            same[key] = longer[0]


def _join_titles(keys: Sequence[str], same: dict[str, str], neighbours: Counter[frozenset[str]]) -> None:
    """Join names with and without a title, and a surname or first name with the only full name that has it.

    A surname alone is not joined with a woman's title: of a couple it is the husband who is called so.
    """
    calls = {key: _call(key) for key in keys}
    by_words: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for key, (_, words) in calls.items():
        by_words[words].append(key)
    one: dict[tuple[str, ...], list[str]] = {}
    for words, found in by_words.items():
        titles = {calls[key][0] for key in found}
        couple = len(words) == 1 and "" in titles and titles & _FEMININE
        if words and len(titles - {""}) <= 1 and not couple:
            one[words] = found
            _join(found, same, neighbours)
    full: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for words in by_words:
        if len(words) > 1:
            full[words[0]].add(words)
            full[words[-1]].add(words)
    for words, found in one.items():
        people = full[words[0]] if len(words) == 1 and words[0] in full else set()
        if len(people) != 1:
            continue
        whole = next(iter(people))
        titles = {calls[key][0] for key in [*found, *by_words[whole]]} - {""}
        surname = words[0] == whole[-1] or not any(calls[key][0] for key in found)
        if whole in one and surname and len(titles) <= 1 and not _APART & {*whole, *words}:
            _join([*by_words[whole], *found], same, neighbours)


def _join(keys: Sequence[str], same: dict[str, str], neighbours: Counter[frozenset[str]]) -> None:
    first = keys[0]
    for key in keys[1:]:
        if same[key] == key and neighbours[frozenset((first, key))] < _FEWEST_TURNS and _root(first, same) != key:
            same[key] = _root(first, same)


def _root(key: str, same: dict[str, str]) -> str:
    while same[key] != key:
        key = same[key]
    return key


def _call(key: str) -> Call:
    """How a label in lower case calls somebody; a title alone, or before "of", is part of the name.

    A label of several people is one word.
    """
    if re.search(r"[,&/+]", key):
        return "", (key,)
    words = tuple(re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", key))
    title = _TITLES.get(words[0], "") if len(words) > 1 and words[1] not in _APART else ""
    return title, words[1:] if title else words


def _may_be_one(first: str, second: str) -> bool:
    """Whether the first may call the second with a title or without, by the surname: "Mr. Holmes" and Sherlock Holmes."""
    (title, words), (other, same) = _call(first), _call(second)
    return words == same[-len(words) :] and (
        title == other or ("" in (title, other) and not {title, other} & _FEMININE)
    )


def _key(label: str) -> str:
    """A label without case, outer punctuation and double spaces: equal keys are one name."""
    return " ".join(label.casefold().split()).strip(' .,:;—–-_*"“”') or label.casefold()


def _clean(label: str) -> str:
    return " ".join(label.split()).rstrip(" .,:;") or label


def _shown(text: str) -> str:
    return repr(printable(text[:60]))


def _type(name: str) -> str:
    return f'--as "{printable(name[:60])}"'


def _listed(speakers: Sequence[Speaker]) -> str:
    shown = [f"{printable(s.name[:60])} ({s.lines:,})" for s in speakers[:SPEAKERS_SHOWN]]
    more = len(speakers) - SPEAKERS_SHOWN
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _with_aliases(speaker: Speaker) -> str:
    others = [printable(label[:60]) for label in speaker.aliases if _clean(label) != speaker.name]
    listed = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
    return printable(speaker.name[:60]) + (f" ({listed})" if others else "") + (", the user" * speaker.is_user)
