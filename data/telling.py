"""What a lorebook entry says -> what the character answers: whole thoughts in the first person, never a report of them."""

import re
from collections.abc import Sequence

from data.grammar import (
    ADVERBS,
    AUXILIARIES,
    COORDINATORS,
    DETERMINERS,
    MODALS,
    PASTS,
    PREPOSITIONS,
    SUBORDINATORS,
    TO_BE,
    VERBS,
    is_regular_past,
    plain_form,
    sentences,
    word_set,
)
from data.questions import has_word
from data.voice import first_person

ANSWER_CHARACTERS = 240
"""Longer sentences, and longer answers of three sentences, are read out rather than said."""

_LEANS_BACK = re.compile(
    r"\b(?:it|its|them|their|they|there|then|these|those|this|that|he|she|him|his|her|other|so)\b", re.IGNORECASE
)
_REPORT = re.compile(
    r"I (?:(?:also|always|just|often|only|sometimes|still|usually) )*(say|think|believe) (?:that )?(.+)"
)
_ANY_REPORT = re.compile(r"\bI (?:\w+ )?say\b|\bI (?:\w+ )?(?:think|believe) that\b|(?:and|or|but) (?:that|say|says)\b")
_REQUEST = re.compile(
    r"\b(?:I|and|or|but) (?:\w+ly |always |never |often |sometimes |usually )?(?:tell|ask)\b(?P<rest>.*)"
)
_TOLD = re.compile(r"\b(?:that|if|whether|how|what|why|where|who|when)\b|\bso\W*$|\bto (?P<verb>[a-z]\w*)")
_PLURALS = word_set("i you we they people men women children")
_NO_TOPIC = word_set("mr mrs ms the old what how why where when who truly") | PREPOSITIONS | COORDINATORS


def lore_answers(prose: str, names: Sequence[str], pronouns: str, title: str = "") -> list[str]:
    """Answers about the entry `title` of one to three neighbouring sentences, each of which stands without the others.

    An answer begins with the entry's first sentence or with one that names the title: any other speaks of the topic
    only together with the sentence before it.
    """
    given = sentences(prose)
    told = [_told(sentence, names, pronouns) for sentence in given]
    topic = [title] if title in names else _topic_words(title, names)
    by_length: tuple[list[str], list[str], list[str]] = ([], [], [])
    for place, sentence in enumerate(told):
        begins = place == 0 or any(has_word(word, given[place]) for word in topic)
        if sentence is None or not begins or _leans_on_the_previous(sentence, opens=place == 0):
            continue
        answer = ""
        for group, following in zip(by_length, told[place : place + 3], strict=False):
            answer = f"{answer} {following}".strip()
            if following is None or (group is by_length[2] and len(answer) > ANSWER_CHARACTERS):
                break
            group.append(answer)
    singles, pairs, triples = by_length
    return list(dict.fromkeys([*pairs[:1], *singles[:1], *triples, *pairs[1:], *singles[1:]]))


def _topic_words(title: str, names: Sequence[str]) -> list[str]:
    """The words of a title that tell what it is about: "Ada's morning swim" -> morning, swim."""
    for name in sorted(names, key=len, reverse=True):
        title = re.sub(rf"\b{re.escape(name)}(?:['’]s?)?(?!\w)", "", title)
    return [word for word in re.findall(r"\w[\w'’-]+", title) if word.lower() not in _NO_TOPIC]


def _leans_on_the_previous(sentence: str, *, opens: bool) -> bool:
    """Whether a sentence needs another before it; the first of an entry only when it begins with "it" and the like."""
    words = sentence.split()
    return bool(_LEANS_BACK.search(" ".join(words[: 1 if opens else 6]))) or (len(words) < 4 and not opens)


def _told(sentence: str, names: Sequence[str], pronouns: str) -> str | None:
    retold = first_person(sentence, names, pronouns) if is_prose(sentence) else None
    return retold if retold is None or retold == sentence else as_said(retold)


def as_said(sentence: str) -> str | None:
    """A sentence in the first person as it is said aloud: "I say the lamp comes first." -> "The lamp comes first."

    None where it tells of talk that cannot be said so: "I tell every visitor to mind the steps."
    """
    report = _REPORT.fullmatch(sentence)
    if report and (content := _content(report[1], report[2])):
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
    if word in VERBS:
        return before in _PLURALS or (before.endswith("s") and not before.endswith("ss"))
    known = word in TO_BE or word in AUXILIARIES or word in MODALS or word in PASTS or word in {"am", "are", "were"}
    return known or is_regular_past(word) or (word.endswith("s") and plain_form(word) in VERBS)


def _is_told(rest: str) -> bool:
    """Whether words after "tell" or "ask" say what somebody is told: "him to wait", "her why", "the cat so"."""
    return any(not m["verb"] or m["verb"] not in DETERMINERS for m in _TOLD.finditer(rest))


def is_prose(sentence: str) -> bool:
    """Whether a sentence is one: whole, of sayable length, without the marks of lists and templates."""
    return not re.search(r"[\[\]{}=*<>|]", sentence) and sentence[-1:] in '.!?"”' and len(sentence) <= ANSWER_CHARACTERS
