"""Questions about a fact itself, made from the sentence that answers them: how many, when, why, where, who."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from data.grammar import (
    DETERMINERS,
    MODALS,
    PASTS,
    PREPOSITIONS,
    SUBORDINATORS,
    TIMES,
    VERBS,
    is_regular_past,
    plain_form,
    word_set,
)
from data.questions import NUMBER

ABOUT_FACT = ("{wh} {inverted}?", "Can you tell me {wh} {plain}?", "Tell me {wh} {plain}.")
"""Of what one sentence says: "how many books" with "do you own" and "you own"."""

_OFTEN = word_set("always often usually sometimes mostly")
_PLAIN_OF_PAST = dict(
    pair.split(":")
    for pair in """
    came:come went:go struck:strike left:leave found:find bought:buy built:build got:get made:make sold:sell took:take
    gave:give met:meet saw:see caught:catch brought:bring began:begin fell:fall lost:lose won:win drew:draw wrote:write
    """.split()
)
_PARTICIPLES = PASTS | word_set("been seen taken given written known done gone eaten grown")
_NO_SUBJECT = (
    PREPOSITIONS | SUBORDINATORS | DETERMINERS - {"a", "an", "the", "my"} | word_set("he she they there then not")
)
_KEPT = word_set("keep grow sell buy hide bake play")
_STAYS = word_set("live sleep work sit stay swim rest")
_LIKED = word_set("like love hate dislike fear enjoy grow sell collect wear drink study")
_ENDS_NOUN = PREPOSITIONS | DETERMINERS | SUBORDINATORS | word_set("and but or then")
_PEOPLE = word_set("people men women children sheep fish geese mice")
_KIN = word_set(
    """
    mother father brother sister son daughter uncle aunt nephew niece husband wife grandmother grandfather friend
    master teacher rival mentor king queen lord lady captain
    """
)
_UNIT = r"(?:minute|hour|day|night|week|month|winter|summer|year|centurie|century)s?"
_TIME = re.compile(
    r",? (?:(?:at|before|after) (?:dawn|noon|dusk|night|midnight|low tide|high tide)\b"
    rf"|(?:in|on|every|each) (?:the |\w+ )?(?:{'|'.join(sorted(TIMES - {'time', 'year', 'may', 'march'}))})s?\b|when \w)",
    re.IGNORECASE,
)
_OFTEN_ENOUGH = re.compile(rf" (?:(?:once|twice|{NUMBER} times) (?:a|every) \w+|every (?:{NUMBER} )?{_UNIT})\b")
_PLACE = re.compile(r"(?:^| )(?:(?:in|on|at|under|behind|near|beside|off) (?:the |an? |my |[A-Z])|by the )")
_UNCLEAR = re.compile(
    r"[,;:()\"“”]|\b(?:it|its|they|them|their|he|she|him|her|his|hers|we|us|our|this|that|these|those|there|so|too|also"
    r"|still|again|only|never|not|cannot|anyway|anything|and|or|but|if|I|me|my)\b|n't\b"
)


@dataclass(frozen=True, slots=True)
class _Clause:
    """A clause as it is asked about: "you" "can" "tie" "eleven knots"; `finite` is the verb as it stands: "can tie"."""

    subject: str
    helper: str
    verb: str
    finite: str
    rest: str

    def asked(self, wh: str, rest: str) -> tuple[str, str, str]:
        """The question word, the clause behind it as a question, and as it stands."""
        inverted = f"{self.helper} {self.subject} {self.verb} {rest}"
        return wh, " ".join(inverted.split()), " ".join(f"{self.subject} {self.finite} {rest}".split())


def fact_questions(said: str, known: Collection[str] = ()) -> list[str]:
    """Questions that a sentence in the first person answers, made from the sentence itself; none where that is unsafe.

    "I clean the lamp at noon." -> "When do you clean the lamp?" `known` are the words that are names wherever they stand.
    """
    if not re.fullmatch(r"[A-Z][^\"“”();:]*[.!]", said):
        return []
    clause = _clause(said[:-1], known)
    facts = [*_about_names(said[:-1]), *(_about_clause(clause) if clause else ())]
    asked = []
    for wh, inverted, plain in facts:
        wh, inverted, plain = (_of_you(part) for part in (wh, inverted, plain))
        if len(inverted.split()) <= 12 and not _UNCLEAR.search(f"{wh} {inverted}"):
            asked += [form.format(wh=wh, inverted=inverted, plain=plain) for form in ABOUT_FACT]
    return [question[0].upper() + question[1:] for question in asked]


def _of_you(text: str) -> str:
    """What is said of oneself as somebody else says it to one: "my father" -> "your father"."""
    turned = {"my": "your", "me": "you", "myself": "yourself", "mine": "yours"}
    return re.sub(r"\b(?:my|me|myself|mine)\b", lambda m: turned[m[0].lower()], text, flags=re.IGNORECASE)


def _clause(sentence: str, known: Collection[str]) -> _Clause | None:
    """The main clause of a sentence whose subject is "I", a name, or a thing with its article; None for any other."""
    moved = re.fullmatch(r"(When [^,]+), (I .+)", sentence)
    words = f"{moved[2]} {moved[1][0].lower()}{moved[1][1:]}".split() if moved else sentence.split()
    if words[0] in ("I", "I'm"):
        if words[0] == "I'm":
            words[:1] = ["I", "am"]
        return _from(words, 2 if _OFTEN & {*words[1:2]} else 1, "you")
    first, named = words[0].lower(), words[0].removesuffix("'s").rstrip(".") in known
    if first in _NO_SUBJECT or not (first in ("the", "my", "a", "an") or named):
        return None
    for place in range(1, min(6, len(words))):
        if not re.fullmatch(r"[\w'’-]+|(?:Mr|Mrs|Dr)\.", words[place - 1]):
            break
        subject = " ".join(words[:place])
        clause = _from(words, place, subject if named else first + subject[len(first) :])
        if clause:
            return clause
    return None


def _from(words: Sequence[str], place: int, subject: str) -> _Clause | None:
    """The clause whose verb stands at `place`; None where that is no verb, or none that turns safely."""
    verb, following, *rest = [*words[place:], "", ""]
    rest = [following, *rest]
    you = subject == "you"
    be = {"am": "are", "was": "were"} if you else {"is": "is", "are": "are", "was": "was", "were": "were"}
    have = "have" if you else "has"
    if verb in be:
        return _Clause(subject, be[verb], "", be[verb], " ".join(rest).strip())
    if verb in MODALS and not verb.endswith(("not", "n't")) and following in VERBS:
        return _Clause(subject, verb, following, f"{verb} {following}", " ".join(rest[1:]).strip())
    if verb == have and (following in _PARTICIPLES or is_regular_past(following)):
        return _Clause(subject, have, following, f"{have} {following}", " ".join(rest[1:]).strip())
    plain = "have" if verb == have else verb if you else plain_form(verb)
    if verb == have or (plain in VERBS and (you or verb.endswith("s"))):
        return _Clause(subject, "do" if you else "does", plain, verb, " ".join(rest).strip())
    ends = (verb[:-2], verb[:-1], verb[:-3], f"{verb[:-3]}y") if is_regular_past(verb) else ()
    stem = next((end for end in ends if end in VERBS), _PLAIN_OF_PAST.get(verb))
    if stem:
        return _Clause(subject, "did", stem, verb, " ".join(rest).strip())
    return None


def _about_clause(clause: _Clause) -> Iterator[tuple[str, str, str]]:
    """Questions after a number, a time, a reason, a place or a liking, each behind the words that come before it."""
    rest, you = clause.rest, clause.subject == "you"
    counted = re.match(rf"{NUMBER} ((?:[a-z-]+ ?){{1,6}})", rest)
    noun = _plural(counted[1]) if counted else ""
    if counted and noun and clause.verb:
        tail = re.split(r",| and | but | or ", rest[counted.start(1) + len(noun) :])[0].strip()
        unclear = re.search(rf"\b(?:{NUMBER}|between|who|which)\b", tail)
        yield clause.asked(f"how many {noun}", "" if unclear else tail)
    if you and clause.helper == "are" and re.fullmatch(rf"(?:over |about )?{NUMBER}(?: years old)?(?:,.*)?", rest):
        yield clause.asked("how old", "")
    because = re.match(r"([^,]+),? because ", rest)
    if because:
        yield clause.asked("why", because[1])
    lasting = re.match(rf"(.*?)\bfor {NUMBER} {_UNIT}\b", rest)
    if lasting and clause.helper in ("do", "have", "has"):
        yield clause.asked("how long", lasting[1])
    yield from _about_time(clause)
    place, time = _PLACE.search(rest), _TIME.search(f" {rest}")
    here = rest[: place.start()] if place and not (time and time.start() <= place.start() + 1) else None
    if here is not None and (
        (clause.verb in _STAYS and here in ("", "alone"))
        or (clause.verb in _KEPT and here and not re.search(rf"\b{NUMBER}\b|(?:ed|\bwatch)$", here))
        or (here == "born" and clause.helper == "were")
    ):
        yield clause.asked("where", here)
    meal = re.match(r"[^,]+? for (breakfast|lunch|dinner|supper)\b", rest)
    if clause.verb == "eat" and meal:
        yield clause.asked("what", f"for {meal[1]}")
    liked = you and clause.helper == "do" and clause.verb in _LIKED and not because
    if liked and not re.match(r"(?:to|it|that|when|most|\w+ing)\b", rest):
        yield clause.asked("what", "")
    if you and clause.helper == "are" and re.match(r"afraid of \w", rest):
        yield clause.asked("what", "afraid of")


def _about_time(clause: _Clause) -> Iterator[tuple[str, str, str]]:
    """When something is done, or how often, or when it was."""
    rest = f" {clause.rest}"
    often = _OFTEN_ENOUGH.search(rest)
    time = _TIME.search(rest, often.end() if often else 0)
    before = rest[: min(found.start() for found in (often, time) if found)] if often or time else ""
    before = re.sub(rf" for {NUMBER} .*", "", before)
    if (clause.verb or before == " born") and clause.verb not in _LIKED and not re.search(rf"\b{NUMBER}\b", before):
        if often and (not time or clause.helper in ("have", "has")):
            yield clause.asked("how often", before)
        elif time and clause.helper not in ("have", "has"):
            yield clause.asked("when", before)
    ago = re.match(rf"(.*?) ?{NUMBER} {_UNIT} ago\b", clause.rest)
    if ago and clause.helper in ("was", "were", "did"):
        yield clause.asked("when", ago[1])


def _plural(words: str) -> str:
    """The plural noun that words begin with and what it is of: "log books a year" -> "log books", "jars of honey"."""
    whole = words.split()
    end = next((place for place, word in enumerate(whole) if word in _ENDS_NOUN), len(whole))
    last = whole[end - 1] if end else ""
    if not (last in _PEOPLE or (last.endswith("s") and not last.endswith("ss"))):
        return ""
    of = whole[end : end + 2]
    return " ".join(whole[: end + 2] if of[:1] == ["of"] and of[-1] not in _ENDS_NOUN else whole[:end])


def _about_names(sentence: str) -> Iterator[tuple[str, str, str]]:
    """What somebody or something of one's own is called, what one calls it, what one likes best, what a house has."""
    name, noun = r"(?:The |[A-Z]\w+)(?: ?(?:[A-Z]\w+|the|of))*", r"((?:[\w-]+ ){0,2}[\w-]+)"
    own = re.match(rf"(?:My {noun} (is|was) {name}|{name} (is|was) my {noun})(?: and .*|,.*)?$", sentence)
    if own and not PREPOSITIONS & set((whole := own[1] or own[4]).split()):
        thing, be = whole.split()[-1], own[2] or own[3]
        if thing in _KIN:
            yield "who", f"{be} my {thing}", f"my {thing} {be}"
        else:
            yield "what", f"{be} my {thing} called", f"my {thing} {be} called"
    if named := re.match(r"I have an? (?:[\w-]+ ){0,3}?([\w-]+),? (?:named|called) [A-Z]", sentence):
        yield "what", f"is my {named[1]} called", f"my {named[1]} is called"
    if best := re.match(r"My (favou?rite \w+) is ", sentence):
        yield "what", f"is my {best[1]}", f"my {best[1]} is"
    if calls := re.match(r"I call ((?:the|my) [a-z]+) [A-Z]", sentence):
        yield "what", f"do you call {calls[1]}", f"you call {calls[1]}"
    if house := re.match(rf"I live [io]n an? (?:[\w-]+ ){{0,3}}?([\w-]+) with {NUMBER} ([a-z]+s)\b", sentence):
        yield f"how many {house[2]}", f"does my {house[1]} have", f"my {house[1]} has"
