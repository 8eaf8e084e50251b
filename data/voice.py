"""A fact about a character -> the same fact told by the character, by rules that refuse rather than guess.

"Ada keeps bees and sells the honey." -> "I keep bees and sell the honey." What does not convert safely gives None.
"""

import re
from collections.abc import Sequence

from data.agreement import PARTICIPLES, past_adverbs, turn_verbs
from data.grammar import (
    ADVERBS,
    ARTICLES,
    AUXILIARIES,
    CLAUSE_OPENERS,
    COORDINATORS,
    DETERMINERS,
    DITRANSITIVE,
    MODALS,
    PARTICLES,
    PASTS,
    PREPOSITIONS,
    SUBORDINATORS,
    TIME_OPENERS,
    TIMES,
    TO_BE,
    VERBS,
    ends_like_third_person,
    is_regular_past,
    may_be_verb,
    plain_form,
    word_set,
)
from data.people import LONGEST, Mentioned, after, before_the_first
from data.pronouns import FIRST, SECOND, Person, pronouns_of, resolve_pronouns
from data.words import NAME, OWN, SUBJECT, Words, is_short, mark

_NOT_TOLD = re.compile(f'["“”{{}}\\[\\]=*{NAME}{OWN}{SUBJECT}]')
_STATES = word_set(
    """
    able afraid angry aware bad certain eager fond free full glad good happy keen known old proud ready sad sick small
    sorry sure tall tired used wary weary well willing young
    """
)
"""Adjectives that stand alone: "Ada's fond of tea" is "Ada is"."""

_NO_NOUNS = PASTS | PARTICIPLES | {"am", "are", "been", "had", "were"}
"""What "Ada's" is no owner of: "Ada's been away", "Ada's lost two hives"."""


def first_person(sentence: str, names: Sequence[str], pronouns: str = "") -> str | None:
    """The sentence as the character says it, or None when that is not safe.

    `names` are all that the character is called; `pronouns` is "she", "he", "they" or "" (unknown). A sentence that
    does not speak of the character comes back as it is.
    """
    return _retell(sentence, names, pronouns, FIRST, Mentioned())[0]


def first_person_text(
    sentences: Sequence[str], names: Sequence[str], pronouns: str = "", title: str = ""
) -> list[str | None]:
    """The sentences of one text as `first_person` gives them, each with the title and those before it in mind.

    "She" is the character in the sentence after one about the character alone, and nobody knows who she is where the
    title or an earlier sentence speaks of somebody else.
    """
    told: list[str | None] = []
    before = before_the_first(sentences, names, pronouns, title)
    for sentence in sentences:
        retold, before = _retell(sentence, names, pronouns, FIRST, before)
        told.append(retold)
    return told


def second_person(topic: str, names: Sequence[str]) -> str | None:
    """A topic as one asks the character about it: "Ada's day" -> "your day", "what Ada likes" -> "what you like"."""
    return _retell(topic, names, "", SECOND, Mentioned())[0]


def _retell(
    sentence: str, names: Sequence[str], pronouns: str, person: Person, before: Mentioned
) -> tuple[str | None, Mentioned]:
    """The sentence retold, or None, and who has been spoken of after it."""
    if len(sentence) > LONGEST:
        return None, Mentioned(named=True, topic=True)
    words = Words(mark(sentence, names))
    theirs = pronouns_of(pronouns)
    by_pronoun = any(words[place].lower() in theirs for place in range(len(words)))
    about = by_pronoun or any(words[place] in (NAME, OWN) for place in range(len(words)))
    told = not _NOT_TOLD.search(sentence)
    resolved = not by_pronoun or (told and resolve_pronouns(words, pronouns, person, before))
    now = after(before, words, pronouns, speaks_of_them=about, resolved=resolved)
    if not about:
        return sentence, now
    if not told or not resolved or not _resolve_names(words, person):
        return None, now
    text = words.text()
    if theirs & set(re.findall(r"[^\W\d_]+", text.lower())):
        return None, now
    begins = sentence[:1].isupper() or sentence.startswith(tuple(names))
    return text[:1].upper() + text[1:] if begins else text, now


def _resolve_names(words: Words, person: Person) -> bool:
    """Replace the name by the subject or object form and turn the verbs of which it is the subject; False if unsure."""
    for place in range(len(words)):
        if words[place] == OWN and not _resolve_own(words, place, person):
            return False
    for place in range(len(words)):
        if words[place] not in (NAME, SUBJECT):
            continue
        if _is_part_of_a_name(words, place):
            return False
        together = _in_company(words, place, person)
        if together is not None:
            if not together:
                return False
            continue
        verb = _verb_after(words, place)
        if words[place] == NAME and _is_object(words, place, verb):
            words[place] = person.object
        elif verb is None or not _is_subject(words, place, verb):
            return False
        else:
            words[place] = person.subject
            if not turn_verbs(words, verb, person):
                return False
    return True


def _is_part_of_a_name(words: Words, place: int) -> bool:
    """Whether the name at `place` has another before or behind it: "Miss Ada Marsh", "Ada Lovelace"."""
    before = words[place - 1] if place > 1 else ""
    return words[place + 1][:1].isupper() or (before[:1].isupper() and before.lower().removesuffix("s") not in TIMES)


def _resolve_own(words: Words, place: int, person: Person) -> bool:
    """Replace "Ada's", which stands for "Ada has" in "Ada's got"; False where it may stand for "Ada is"."""
    if words[place + 1].lower() == "got" and _opens_clause(words, place):
        words[place] = f"{person.subject}'ve"
        return turn_verbs(words, place + 1, person)
    if _is_short_for_is(words, place):
        return False
    words[place] = person.possessive if words[place + 1][:1].isalnum() else person.own
    return True


def _is_short_for_is(words: Words, place: int) -> bool:
    """Whether "Ada's" may mean "Ada is" or "Ada has", or stands for a thing of hers that is the subject."""
    word, following = words[place + 1].lower(), words[place + 2].lower()
    stem = word.removesuffix("ing")
    runs_on = stem != word and (stem in VERBS or f"{stem}e" in VERBS or stem[:-1] in VERBS)
    verb = word in TO_BE or word in AUXILIARIES or word in MODALS or word in _NO_NOUNS or is_regular_past(word)
    ends = _opens_clause(words, place) and following in {".", "!", "?", ","}
    small = word in ARTICLES | PREPOSITIONS | ADVERBS and _opens_clause(words, place)
    states = word in _STATES and not (
        following[:1].isalpha() and following not in PREPOSITIONS | SUBORDINATORS | _STATES
    )
    return runs_on or verb or ends or small or states or word in {"a", "an", "the", "not"}


def _in_company(words: Words, place: int, person: Person) -> bool | None:
    """Handle "Ada and Bram play" and "Bram and Ada play"; None when the name stands alone, False when unsure."""
    if words[place + 1] == "and" and words[place + 2][:1].isupper() and _opens_clause(words, place):
        words[place], words[place + 2] = words[place + 2], person.subject
        following = words[place + 3]
        # A capital or a mark: the other's name goes on, or somebody's thing is meant.
        return following.isalpha() and following.islower() and not ends_like_third_person(following)
    if words[place - 1] == "and" and place > 1 and words[place - 2][:1].isupper():
        if ends_like_third_person(words[place + 1]) or words[place + 1] in TO_BE | AUXILIARIES:
            return None  # "... and Ada keeps": a clause of its own
        before = words[place - 3].lower() if place > 2 else ""
        if before in PREPOSITIONS:
            words[place] = person.object
            return True
        opens = _opens_clause(words, place - 2)
        words[place] = person.subject
        return opens and words[place + 1].isalpha()
    return None


def _opens_clause(words: Words, place: int) -> bool:
    before = words[place - 1].lower() if place else ""
    if not before or before in CLAUSE_OPENERS:
        return True
    return not (before[0].isalnum() or is_short(before) or before in (NAME, OWN, SUBJECT))


def _verb_after(words: Words, place: int) -> int | None:
    """Where the verb of a subject at `place` stands, past adverbs; None when no verb can follow."""
    if is_short(words[place + 1]):
        return place + 1
    verb = past_adverbs(words, place + 1)
    word = words[verb].lower()
    nothing = not word or not word[0].isalpha() or word in PREPOSITIONS | COORDINATORS | DETERMINERS | SUBORDINATORS
    return None if nothing or words[verb][0].isupper() else verb


def _is_object(words: Words, place: int, verb: int | None) -> bool:
    """Whether the name at `place` is what something is done to: "to Ada", "gives Ada lessons", "loves Ada."."""
    before = words[place - 1].lower() if place else ""
    if before in PREPOSITIONS and before != "than":
        return before not in PARTICLES or verb is None or not may_be_verb(words[verb])
    if _opens_clause(words, place):
        return False
    if before in DITRANSITIVE or (before.endswith("s") and plain_form(before) in DITRANSITIVE):
        return True
    return verb is None and (
        before in VERBS or plain_form(before) in VERBS or before in PASTS or is_regular_past(before)
    )


def _is_subject(words: Words, place: int, verb: int) -> bool:
    """Whether the name or pronoun at `place` certainly does what the word at `verb` says.

    A name opens its clause, or follows an adverb or a time. In a list ("finds Bram loud and Ada odd") a word that may be
    a noun or an adjective is not taken for a verb.
    """
    before, word = words[place - 1].lower() if place else "", words[verb].lower()
    if is_short(word):
        return True
    if words[place] == SUBJECT:
        asked = before in TO_BE or before in AUXILIARIES or before in MODALS or before in {"did", "had"}
        return may_be_verb(word) and not asked
    if not (_opens_clause(words, place) or before in ADVERBS or _follows_time(words, place)) or not may_be_verb(word):
        return False
    if place == 1 or (before not in COORDINATORS and before != ","):
        return True
    if is_regular_past(word):
        return words[verb + 1][:1].isalnum()
    return word in TO_BE | AUXILIARIES or not ends_like_third_person(word) or plain_form(word) in VERBS


def _follows_time(words: Words, place: int) -> bool:
    """Whether a phrase such as "every summer" or "on Fridays" stands before the name."""
    time = words[place - 1].lower() if place > 1 else ""
    return (time in TIMES or time.removesuffix("s") in TIMES) and words[place - 2].lower() in TIME_OPENERS
