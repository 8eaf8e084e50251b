"""What a lorebook entry says -> what the character answers: whole thoughts in the first person, never a report of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from data.grammar import (
    ADVERBS,
    AUXILIARIES,
    COORDINATORS,
    DETERMINERS,
    MODALS,
    PASTS,
    PREPOSITIONS,
    SUBORDINATORS,
    TIME_OPENERS,
    TO_BE,
    VERBS,
    ends_like_third_person,
    is_regular_past,
    plain_form,
    sentences,
    word_set,
)
from data.questions import NUMBER
from data.voice import first_person_text

ANSWER_CHARACTERS = 240
"""Longer sentences, and longer answers of several sentences, are read out rather than said."""

ANSWER_SENTENCES = 3
"""One more where all but the first lean on it."""

EARLIER_SENTENCES = 3
"""How far back "the tailor" may have been introduced as "a tailor"."""

_LEANS_BACK = re.compile(
    r"\b(?:it|its|them|their|they|there|then|these|those|this|that|he|she|him|his|her|other|both|so)\b", re.IGNORECASE
)
_GOES_ON = re.compile(
    r"\b(?:too|also|either|again|already|anyway|instead|however|besides|there(?! (?:is|are|was|were)))\b"
    r"|\b(?:the (?:rest|same|latter|former)|one (?:is|was|has|can|will|may))\b"
    r"|^(?:And|But|Or|Now|Yet|Still|Later|Afterwards|Therefore|In the end)\b"
)
_CLAIM = re.compile(r"^(?:\w+ )?(?:says?|claims?|insists?|swears?|boasts?)\b(?! so\b)")
_REPORT = re.compile(
    r"I (?:(?:also|always|just|often|only|sometimes|still|usually) )*(say|think|believe) (?:that )?(.+)"
)
_ANY_REPORT = re.compile(r"\bI (?:\w+ )?say\b|\bI (?:\w+ )?(?:think|believe) that\b|(?:and|or|but) (?:that|say|says)\b")
_TAKEN_BACK = re.compile(r"\b(?:but|although|though)\b")
"""Behind what somebody only thinks: "I think it is a secret, but everybody knows it" is not said without "I think"."""

_REQUEST = re.compile(
    r"\b(?:I|and|or|but) (?:\w+ly |always |never |often |sometimes |usually )?(?:tell|ask)\b(?P<rest>.*)"
)
_TOLD = re.compile(r"\b(?:that|if|whether|how|what|why|where|who|when)\b|\bso\W*$|\bto (?P<verb>[a-z]\w*)")
_PLURALS = word_set("i you we they people men women children")
_SUBJECTS = word_set("i he she it they them we you who which that one nobody everybody somebody everyone someone")
_NO_TOPIC = word_set("mr mrs ms the old what how why where when who truly") | PREPOSITIONS | COORDINATORS


@dataclass(frozen=True, slots=True)
class Answer:
    """Neighbouring sentences of an entry, as the character says them."""

    said: tuple[str, ...]
    on_topic: bool = True
    """Whether a question after the entry's title may be answered so."""

    @property
    def text(self) -> str:
        """What is said."""
        return " ".join(self.said)


def lore_answers(
    prose: str, names: Sequence[str], pronouns: str, title: str = "", *, strict: bool = False
) -> list[Answer]:
    """Answers about the entry `title`: first such that hold every sentence that converts, then other cuts of the same.

    An answer begins at a sentence that stands without the others, and goes on at least with those that lean on it. No
    sentence begins more than two. Where `strict` says so, as of a person, only an answer that begins with the entry or
    names the title is about it.
    """
    given = sentences(prose)
    retold = first_person_text(given, names, pronouns, title)
    told = _without_disputed(given, [_told(*pair) for pair in zip(given, retold, strict=True)], names)
    topic = [title] if title in names else _topic_words(title, names)
    begins = [_stands_alone(given, told, place, topic) for place in range(len(told))]
    opens = [b and (not strict or not place or _names(topic, given[place])) for place, b in enumerate(begins)]
    cuts: dict[tuple[int, int], None] = {}
    place = 0
    while place < len(told):
        end = _fuller(told, opens, place) if opens[place] else place + 1
        if opens[place]:
            cuts[place, end] = None
        place = end
    covered = {inner for start, end in cuts for inner in range(start, end)}
    first = {start for start, _ in cuts}
    others = [place for place, b in enumerate(begins) if b and place not in first]
    for place in sorted(others, key=lambda place: place in covered):
        cuts[place, _fuller(told, begins, place)] = None
    for place, _ in list(cuts):
        cuts[place, _block_end(told, begins, place)] = None
    answers = [Answer(tuple(text for text in told[start:end] if text), opens[start]) for start, end in cuts]
    return list({answer.text: answer for answer in reversed(answers)}.values())[::-1]


def _block_end(told: Sequence[str | None], begins: Sequence[bool], start: int) -> int:
    """Where an answer that begins at `start` may end: behind the sentences that lean on it."""
    end, length = start + 1, len(told[start] or "")
    while end < len(told) and not begins[end] and end - start <= ANSWER_SENTENCES:
        following = told[end]
        length += len(following or "") + 1
        if following is None or length > ANSWER_CHARACTERS:
            break
        end += 1
    return end


def _fuller(told: Sequence[str | None], begins: Sequence[bool], start: int) -> int:
    """The same, with the next thought behind a sentence that has none leaning on it, where there is room."""
    end = _block_end(told, begins, start)
    if end - start > 1 or end == len(told) or not begins[end]:
        return end
    further = _block_end(told, begins, end)
    length = sum(len(text or "") + 1 for text in told[start:further])
    return further if further - start <= ANSWER_SENTENCES and length <= ANSWER_CHARACTERS else end


def _without_disputed(given: Sequence[str], told: Sequence[str | None], names: Sequence[str]) -> list[str | None]:
    """What is told without the sentences that the character denies: "Ada has won 112 games. Bram says 10." of Bram."""
    kept = list(told)
    called = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    for place in range(len(given) - 1):
        claim = re.sub(rf"^(?:{called})\s", "", given[place + 1])
        denies = told[place + 1] is None and claim != given[place + 1] and _CLAIM.search(claim)
        if denies and re.search(rf"\b{NUMBER}\b", claim) and re.search(rf"\b{NUMBER}\b", given[place]):
            kept[place] = None
    return kept


def _topic_words(title: str, names: Sequence[str]) -> list[str]:
    """The words of a title that tell what it is about: "Ada's morning swim" -> morning, swim."""
    for name in sorted(names, key=len, reverse=True):
        title = re.sub(rf"\b{re.escape(name)}(?:['’]s?)?(?!\w)", "", title)
    return [word for word in re.findall(r"\w[\w'’-]+", title) if word.lower() not in _NO_TOPIC]


def _names(topic: Sequence[str], sentence: str) -> bool:
    """Whether a sentence names one of the words of a topic, in the singular or in the plural."""
    return any(re.search(rf"\b{re.escape(word.removesuffix('s'))}s?\b", sentence, re.IGNORECASE) for word in topic)


def _stands_alone(given: Sequence[str], told: Sequence[str | None], place: int, topic: Sequence[str]) -> bool:
    """Whether nothing in a sentence points back; the first of an entry must only not begin with "it" and the like.

    What follows a sentence that is not told is surer to stand where it names the topic or speaks of oneself at length.
    """
    words = re.sub(r"\bit (?:most |best )?(?=when\b)", "", told[place] or "").split()
    if place == 0 or not words:
        return bool(words) and not _LEANS_BACK.search(words[0])
    if len(words) < 4 or _LEANS_BACK.search(" ".join(words[:6])) or _GOES_ON.search(" ".join(words)):
        return False
    of_oneself = words[0] in ("I", "My")
    known = len(words) > 5 if of_oneself else words[0] in (told[0] or "").split()[:1]
    if told[place - 1] is None and not known and not _names(topic, given[place]):
        return False
    if words[0].lower() in TIME_OPENERS and " ".join(words[:2]).lower() in given[place - 1].lower():
        return False
    earlier = " ".join(each[-ANSWER_CHARACTERS:] for each in given[max(0, place - EARLIER_SENTENCES) : place])
    return not any(
        re.search(rf"\b(?:an?|one|some|his|her|my|{NUMBER}) (?:\w+ ){{0,2}}{word}s?\b", earlier)
        for found in re.finditer(r"\b[Tt]he (\w+)(?: (\w+))?", given[place])
        for word in found.groups("")
        if len(word) > 2 and not _names(topic, word)
    )


def _told(sentence: str, retold: str | None) -> str | None:
    if retold is None or not is_prose(sentence):
        return None
    return retold if retold == sentence else as_said(retold)


def as_said(sentence: str) -> str | None:
    """A sentence in the first person as it is said aloud: "I say the lamp comes first." -> "The lamp comes first."

    None where it tells of talk that cannot be said so: "I tell every visitor to mind the steps."
    """
    report = _REPORT.fullmatch(sentence)
    if report and (content := _content(report[1], report[2])):
        if _TAKEN_BACK.search(content):
            return None if report[1] == "say" or _ANY_REPORT.search(content) else sentence
        return None if _ANY_REPORT.search(content) else content[0].upper() + content[1:]
    thinks_of = report and report[1] != "say" and report[2].split()[0].lower() in PREPOSITIONS
    request = _REQUEST.search(sentence)
    if (report and not thinks_of) or _ANY_REPORT.search(sentence) or (request and _is_told(request["rest"])):
        return None
    return sentence


def _content(verb: str, content: str) -> str | None:
    """What is said or thought, when it is a clause of its own; "to wait" is said as an order."""
    first, second, *rest = [*content.split(), "", ""]
    if verb == "say" and first == "to" and second.strip(".,!?") in VERBS:
        return content.removeprefix("to ")
    if first.lower().strip(".,!?") in PREPOSITIONS | {"so", "not", "yes", "no"}:
        return None
    words = [word.strip(".,!?;:").lower() for word in (first, second, *rest)]
    words = [word for word in words if word not in ADVERBS]
    end = next((place for place, word in enumerate(words) if place and word in SUBORDINATORS), len(words))
    return content if any(_is_its_verb(words, place) for place in range(1, end)) else None


def _is_its_verb(words: Sequence[str], place: int) -> bool:
    """Whether the word at `place` is certainly the verb of a clause: plain forms follow "you", "they" or a plural."""
    word, before = words[place], words[place - 1]
    if word in VERBS or word in ("have", "do"):
        return before in _PLURALS or (before.endswith("s") and not before.endswith("ss"))
    known = word in TO_BE or word in AUXILIARIES or word in MODALS or word in PASTS or word in {"am", "are", "were"}
    return known or is_regular_past(word) or (word.endswith("s") and plain_form(word) in VERBS)


def _is_told(rest: str) -> bool:
    """Whether words after "tell" or "ask" say what somebody is told: "him to wait", "her why", "the cat so"."""
    return any(not m["verb"] or m["verb"] not in DETERMINERS for m in _TOLD.finditer(rest))


def is_prose(sentence: str) -> bool:
    """Whether a sentence is one: whole, of sayable length, with a verb, without the marks of lists and templates."""
    if not is_plain(sentence) or sentence[-1:] not in '.!?"”' or re.match(r"\w[\w ]*:", sentence):
        return False
    words = ["", *re.findall(r"[\w'’-]+|[^\w\s]", sentence.lower()), ""]
    return any(_is_finite(words, place) for place in range(1, len(words) - 1))


def _is_finite(words: Sequence[str], place: int) -> bool:
    """Whether the word at `place` is a verb with a subject: in a list, or known by its place: "iron burns my skin"."""
    before, word, following = words[place - 1 : place + 2]
    subject, _, short = word.replace("’", "'").rpartition("'")
    if subject:
        return short in ("re", "m", "ll", "d", "ve", "t") or (short == "s" and subject in _SUBJECTS)
    if not before[:1].isalnum() or before in DETERMINERS - _SUBJECTS or before in PREPOSITIONS:
        return word in TO_BE and before[:1] != ""
    takes = following in DETERMINERS | PREPOSITIONS | ADVERBS
    return _is_its_verb(words, place) or (ends_like_third_person(word) and (takes or before in _SUBJECTS))


def is_plain(text: str) -> bool:
    """Whether a text has a sayable length and none of the marks of lists and templates."""
    return not re.search(r"[\[\]{}=*<>|]", text) and len(text) <= ANSWER_CHARACTERS
