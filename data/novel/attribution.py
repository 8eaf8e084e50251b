"""Who says each quotation of a novel, by rules that go without a model, each with a confidence that was measured."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from data.novel.narrator import find_narrator, is_told_by_speaker
from data.novel.paragraphs import find_book, find_layout
from data.novel.people import People, find_people
from data.novel.quotations import Quotation, quotations_in
from data.novel.speakers import decide
from data.novel.story import NARRATOR, THOUGHT, Decision
from data.novel.turns import Turn, find_turns

TRAINED_CONFIDENCE = 0.9
"""Quotations from this confidence on are trained by default: at least nine in ten of them are right."""

# The share of each rule's quotations that are right, where the annotation calls their speaker by a name: on the 43 passages
# of LitBank (Bamman and others, CC BY 4.0), tokenised and again in the plain text of the whole novels; for rules with
# fewer than 30 of them also on lines read in other novels. Rounded.
CONFIDENCE = {
    "name": 0.97,  # "said Ada", also for the other quotations of its paragraph
    "title": 0.95,  # "said the doctor", and one doctor is about
    "pronoun, only": 0.92,  # "she said", and one woman is about
    "pronoun, paragraph": 0.9,  # "Ada smiled. 'Yes,' she said."
    "clause": 0.9,  # "Ada took off her hat and said"
    "relative": 0.9,  # "said his wife", and his name is known
    "answer": 0.9,  # nothing is told, and the turn before calls somebody by name
    "answer, far": 0.7,  # the same, but they may not be there
    "narrator": 0.9,  # "I said"
    THOUGHT: 0.85,  # "thought Ada", or "Ada said to herself": nobody is answered, so it is never trained
    "colon, name": 0.85,  # "Ada turned to me: 'Yes.'"
    "pronoun, continues": 0.7,  # "she added", in a new paragraph
    "pronoun, turns": 0.7,  # "she said": the other one of a conversation
    "turns, between": 0.95,  # nothing is told, but of turns before and after it is, and counting fits both
    "turns, two": 0.95,  # nothing is told, but of a turn before it is, and two people talk
    "turns": 0.7,  # nothing is told: whose turn it is
    "turns, fitting": 0.7,  # the same, and the next speaker who is named fits
    "beat, name": 0.6,  # "Ada smiled. 'Yes.'"
    "pronoun, rival": 0.7,  # "The guide stopped. 'Here,' he said.", and one man is known
    "pronoun, answer": 0.65,
    "pronoun, near": 0.65,
    "beat, other": 0.65,
    "same": 0.6,  # in text without paragraphs: the speaker before goes on
    "pronoun, above": 0.55,
    "turns, doubtful": 0.55,
    "colon, other": 0.55,
    "turns, gap": 0.5,
    "above": 0.45,  # nothing is told, but somebody acts in the paragraph above
    "other": 0.3,
    "other, gap": 0.3,
    "noun": 0.3,  # "said the old man", who may have a name elsewhere
    "vague noun": 0.2,
    "noun, turns": 0.2,
}
_NAMELESS_NARRATOR = 0.5
"""What "I" says is the narrator's, but letters and tales within tales have several, whom nothing tells apart."""


@dataclass(frozen=True, slots=True)
class Attributed:
    """A quotation with its marks (`text == source[start:end]`) and its speaker, as the novel writes the name.

    `speaker` is "I" for a narrator without a name, and "" where nobody is found. `rule` says how the speaker was found,
    `confidence` (0 to 1) how often that rule is right, `trained` whether that is enough to train on by default.
    """

    start: int
    end: int
    text: str
    speaker: str
    confidence: float
    rule: str
    trained: bool


def attribute(text: str) -> list[Attributed]:
    """Every quotation of a novel with its speaker, in order; offsets are into the text as it is.

    Titles and words under quotation marks are listed with the rule "not speech". Of a file of Project Gutenberg only
    the book is read. Raises `PersonaError` as `quotations_in` does. The rules are for English.
    """
    start, end = find_book(text)
    book = text[start:end]
    layout = find_layout(book)
    quotations = quotations_in(book, layout)
    turns, _ = find_turns(book, quotations, layout)
    people = _people(book, quotations, turns)
    first_person = is_told_by_speaker(turns)
    narrator = find_narrator(turns, people) if first_person else None
    decisions = decide(book, quotations, turns, people, first_person, narrator)
    nobody: Decision = (None, "not speech")
    return [
        _attributed(quotation, start, decisions.get(number, nobody), people, narrator)
        for number, quotation in enumerate(quotations)
    ]


def _people(book: str, quotations: Sequence[Quotation], turns: Sequence[Turn]) -> People:
    """The people of a book, by the names beside its verbs of speech and those in its speeches."""
    tags = (
        tag for turn in turns for tag in (turn.lead, *(t for line in turn.lines for t in (line.after, line.before)))
    )
    subjects = (tag.subject for tag in tags if tag and tag.form in ("direct", "clause"))
    speaking = Counter(subject.words for subject in subjects if subject.kind == "name" and not subject.weak)
    return find_people(book, quotations, speaking, Counter(name for turn in turns for name in turn.called))


def _attributed(
    quotation: Quotation, offset: int, decision: Decision, people: People, narrator: int | None
) -> Attributed:
    person, rule = decision
    confidence = CONFIDENCE.get(rule, 0.0) if person is not None else 0.0
    if person == NARRATOR and narrator is None:
        speaker, confidence = "I", min(confidence, _NAMELESS_NARRATOR)
    elif person == NARRATOR:
        speaker = people.names[narrator or 0]
    else:
        speaker = "" if person is None else people.names[person]
    if speaker[:1].islower():  # known by a noun alone
        confidence = min(confidence, CONFIDENCE["noun"])
    start, end = quotation.start + offset, quotation.end + offset
    return Attributed(start, end, quotation.text, speaker, confidence, rule, confidence >= TRAINED_CONFIDENCE)
