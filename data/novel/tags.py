"""Who narration beside a quotation says is speaking: "said Ada", "the old man answered:", "Ada smiled."."""

from dataclasses import dataclass
from itertools import pairwise

from data.novel.subjects import (
    ENDS,
    OBJECTS,
    OWNERS,
    Place,
    Subject,
    Token,
    read_subject,
    subjects_of,
    tokens_of,
)
from data.novel.words import BASE_FORMS, SELVES, SPEECH_VERBS, THOUGHT_VERBS, VOICES, WEAK_VERBS, word_set

_AFTER_CHARACTERS, _BEFORE_CHARACTERS = 220, 420
"""How much narration is read after a quotation, and before one."""
_FAR_TOKENS, _NEAR_TOKENS = 22, 12
_TO_SELF_TOKENS = 7
_TO_SELF = ("to", "within", "asked", "told", "assured")
"""Words before "herself" in what nobody hears."""
_BETWEEN = word_set(
    """
    then again now once only just both also even still soon never always had has have would could did at last first length
    all himself herself myself itself out back up on in turn too suddenly next later presently merely simply almost half
    quite rather very to used might should must
    """
)
"""Words that may stand between a subject and its verb; so may adverbs in -ly."""
_AUXILIARIES = word_set("would could might should must did will can")
_PASSIVE = word_set("was were be been being is are am get got")
_NO_VERB_AFTER = _PASSIVE | word_set("to the a his her of")
_BEFORE_BASE_FORM = word_set("and in by of with he she they")
_REPORTED = word_set("that nothing no how what why if whether him them me us")
"""What follows a verb that tells of speech instead of quoting it: "Ada replied that she had not"."""
_RELATIVES = word_set("that what whatever")
"""What begins a clause that tells of other words: "everything that Ada said"."""
_OPENERS = frozenset(["--", "—", "-", "–", "(", "[", "*"])


@dataclass(frozen=True, slots=True)
class Tag:
    """What narration says of a quotation's speaker.

    `form` is direct (subject and verb of speech side by side), clause (the verb farther away), joins (the verb is
    somebody else's: "Ada called, and the others joined her"), colon or beat (no such verb, and with or without a colon
    before the quotation). `silent` where they think it or say it to themselves.
    """

    subject: Subject
    form: str
    verb: str = ""
    silent: bool = False


def tag_after(text: str, start: int, end: int, last: str) -> Tag | None:
    """The tag right after a quotation that ends at `start`; `last` is its last character inside the marks."""
    tokens = tokens_of(text, start, min(end, start + _AFTER_CHARACTERS))
    first = next((i for i, (word, _) in enumerate(tokens) if word[0].isalnum() or word in ENDS), len(tokens))
    stop = next((i for i in range(first, len(tokens)) if tokens[i][0] in ENDS), len(tokens))
    if first > 3 or first >= stop:
        return None
    sentence = tokens[first:stop]
    verb = _past_adverbs(sentence, 0, 2)
    if _is_verb(sentence, verb) and (speaker := _after_verb(sentence, verb)):
        return _spoken(speaker, "direct", sentence, verb)
    if sentence[0][0] in ("was", "were", "came", "is") and (speaker := _whose_voice(sentence)):
        return Tag(speaker, "clause", sentence[0][0])
    subject, after = read_subject(sentence, int(sentence[0][0] == "from"))
    if subject is None:
        return None
    if sentence[0][0] == "from":  # an exclamation of "Oh!" from Ada
        return None if subject.weak or subject.kind not in ("name", "noun") else Tag(subject, "clause", "from")
    fresh = last in ENDS and sentence[0][0][0].isupper()  # a sentence of its own, or the name of the speaker
    if fresh and (last == "." or tokens[-1][0] == ":"):
        return Tag(subject, "beat")
    return _with_verb(sentence, subject, after, fresh)


def tag_before(text: str, start: int, end: int) -> Tag | None:
    """The tag in the last sentence before a quotation that begins at `end`."""
    tokens = tokens_of(text, max(start, end - _BEFORE_CHARACTERS), end)
    while tokens and tokens[-1][0] in _OPENERS:
        tokens.pop()
    closed = bool(tokens) and tokens[-1][0] in ENDS
    if closed:
        tokens.pop()
    last = max((i + 1 for i, (word, _) in enumerate(tokens) if word in ENDS), default=0)
    sentence = tokens[last:]
    places = subjects_of(sentence)
    for verb in range(len(sentence) - 1, -1, -1) if not closed else ():
        if _is_verb(sentence, verb) and (tag := _of_verb(sentence, places, verb)):
            return tag
    main = next((place.subject for place in places if not place.oblique), None)
    if main is None:
        return None
    return Tag(main, "colon" if sentence[-1][0] == ":" and not closed else "beat")


def main_subjects(text: str, start: int, end: int) -> list[Subject]:
    """Those whom the last sentences of a stretch of narration are about, the last one first."""
    tokens = tokens_of(text, max(start, end - _BEFORE_CHARACTERS), end)
    return [place.subject for place in reversed(subjects_of(tokens)) if not place.oblique]


def _of_verb(sentence: list[Token], places: list[Place], verb: int) -> Tag | None:
    """The subject of a verb of speech: right before it, right after it, or the last doer before it."""
    word = sentence[verb][0]
    far: Place | None = None
    if other := _joining(sentence, places, verb):
        return Tag(other, "joins", word)
    if word in WEAK_VERBS and len(sentence) - verb > _NEAR_TOKENS:
        return None
    for place in places:
        if place.after > verb:
            break
        if place.first and sentence[place.first - 1][0] in _RELATIVES and sentence[-2][0] not in _PASSIVE:
            continue
        if _past_adverbs(sentence, place.after, verb - place.after) >= verb:
            return _spoken(place.subject, "direct", sentence, verb)
        if not place.oblique and not place.subject.weak:
            far = place
    if far is None and (speaker := _after_verb(sentence, verb)):
        return _spoken(speaker, "direct", sentence, verb)
    if far is None or word in WEAK_VERBS:
        return None
    if sentence[verb - 1][0] != "," and any(sentence[i][0] == "who" for i in range(far.after + 1, verb)):
        return None
    return _spoken(far.subject, "clause", sentence, verb)


def _joining(sentence: list[Token], places: list[Place], verb: int) -> Subject | None:
    """Another one who acts after a verb: "Ada called, and the others joined her"."""
    for place in places:
        subject = place.subject
        known = subject.kind in ("name", "noun") and (not subject.weak or "others" in subject.words)
        if place.first > verb + 1 and known and sentence[place.first - 1][0] in ("and", "but"):
            return subject
    return None


def _with_verb(sentence: list[Token], subject: Subject, after: int, fresh: bool) -> Tag:
    """A sentence that begins with its subject: does it say the quotation? `fresh` where it may be about something new."""
    verb = _past_adverbs(sentence, after, 4)
    if _is_verb(sentence, verb):
        reports = fresh and verb + 1 < len(sentence) and sentence[verb + 1][0] in _REPORTED
        return _spoken(subject, "beat" if reports else "direct", sentence, verb)
    for i in range(after + 1, min(len(sentence), after + _FAR_TOKENS)):
        if _is_verb(sentence, i) and sentence[i][0] not in WEAK_VERBS and sentence[i - 1][0] in (",", "and"):
            return _spoken(subject, "clause", sentence, i)
    return Tag(subject, "beat")


def _spoken(subject: Subject, form: str, sentence: list[Token], verb: int) -> Tag:
    """The tag of a verb of speech or of thought: "thought Ada", "Ada said to herself", "Ada asked herself"."""
    word = sentence[verb][0]
    after = [token for token, _ in sentence[verb + 1 : verb + 1 + _TO_SELF_TOKENS]]
    stops = (i for i, token in enumerate(after) if not token[0].isalnum() and after[i + 1 : i + 2] != ["to"])
    clause = after[: next(stops, len(after))]
    thought = word in THOUGHT_VERBS and "aloud" not in clause
    own = any(one in _TO_SELF and other in SELVES for one, other in pairwise([word, *clause]))
    return Tag(subject, form, word, thought or own)


def _whose_voice(sentence: list[Token]) -> Subject | None:
    """Whose voice or answer it is in "came Ada's voice" and "was his reply"."""
    for i in range(2, min(len(sentence), 5)):
        if sentence[i][0].lower() not in VOICES:
            continue
        owner, at = sentence[i - 1]
        if gender := OWNERS.get(owner.lower()):
            return Subject("I" if gender == "I" else "pronoun", (owner.lower(),), gender, at)
        subject, _ = read_subject([(owner, at), sentence[i]], 0)
        return subject if subject and subject.kind == "name" else None
    return None


def _is_verb(sentence: list[Token], i: int) -> bool:
    """Whether a verb of speech stands there, in the active voice."""
    if i >= len(sentence):
        return False
    word = sentence[i][0]
    before = sentence[i - 1][0] if i else ""
    if word in SPEECH_VERBS:
        return before.lower() not in _NO_VERB_AFTER
    if word not in BASE_FORMS or not before:
        return False
    heard = before in OBJECTS or before[0].isupper() or before in _BEFORE_BASE_FORM or before in ",;"
    return heard or before in _AUXILIARIES or (before == "to" and i > 1 and sentence[i - 2][0] == "used")


def _after_verb(sentence: list[Token], verb: int) -> Subject | None:
    """The subject right after a verb of speech; "told him" and "asked Ada if she knew" have none there."""
    at = _past_adverbs(sentence, verb + 1, 3)
    if at < len(sentence) and sentence[at][0] in OBJECTS and sentence[at][0] != "her":
        return None
    subject, after = read_subject(sentence, at)
    if subject is None or (subject.kind != "I" and after < len(sentence) and sentence[after][0] in SPEECH_VERBS):
        return None
    return subject


def _past_adverbs(sentence: list[Token], i: int, most: int) -> int:
    """The first token from `i` on, at most `most` farther, that is no adverb and no auxiliary verb."""
    stop = min(len(sentence), i + most)
    while i < stop and (sentence[i][0] in _BETWEEN or (sentence[i][0].endswith("ly") and sentence[i][0].islower())):
        i += 1
    return i
