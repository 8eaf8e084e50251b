"""How long rows are as a base reads them, and which of their tokens are trained."""

import dataclasses
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from tokenizers import Tokenizer

from persona.base import Base
from persona.card import CharacterCard
from persona.conversation import Conversation
from persona.errors import PersonaError
from persona.prompt import encode
from persona.template import ChatTemplate

MOST_MEASURED = 1_000
"""Rows: composing one takes milliseconds, and a sample this large gives every tenth to within 3 %."""

NOTES_KEPT = 5

WHOLE_CONTEXT = 32_768
"""Tokens: a row that training has to cut is measured with nothing cut, up to here."""

CARD_CUT = "the card has "
"""How the note of `persona.system` on a card over its share begins."""


@dataclass(frozen=True)
class Lengths:
    """Tokens of each measured row, prompt and replies together; `rows` is how many there were to measure.

    A row is as long as its longest training sequence; one that the `context` has no room for counts with what the whole
    of it takes. `altered` counts the rows whose prompt leaves out or changes something, `notes` the commonest reasons.
    """

    tokens: tuple[int, ...]
    rows: int
    context: int
    altered: int = 0
    notes: tuple[tuple[str, int], ...] = ()

    @property
    def cuts_card(self) -> bool:
        """Whether a card that is too long for its share of the context is among the reasons."""
        return any(note.startswith(CARD_CUT) for note, _ in self.notes)

    @property
    def beyond(self) -> int:
        """Measured rows that are longer than the context."""
        return sum(tokens > self.context for tokens in self.tokens)

    def quantile(self, share: float) -> int:
        """The length that `share` of the rows (0 to 1) do not exceed; 0 without rows."""
        ordered = sorted(self.tokens)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a training sequence as text: a trained token, a special token, or a run of context.

    `ends_turn` marks the special token that closes one.
    """

    text: str
    trained: bool
    special: bool = False
    ends_turn: bool = False


def lengths(rows: Sequence[Conversation], card: CharacterCard, base: Base) -> Lengths:
    """The lengths of `rows` composed as training composes them; of more than `MOST_MEASURED`, of a fixed sample."""
    template = _template(base)
    sample = rows
    if len(rows) > MOST_MEASURED:
        places = random.Random("lengths").sample(range(len(rows)), MOST_MEASURED)
        sample = [rows[place] for place in sorted(places)]
    tokens: list[int] = []
    reasons: Counter[str] = Counter()
    altered = 0
    for row in sample:
        length, notes = _measure(row, card, template)
        if notes:
            altered += 1
            reasons.update(notes)
            whole, _ = _measure(row, card, dataclasses.replace(template, context=WHOLE_CONTEXT))
            length = max(length, whole or WHOLE_CONTEXT)
        tokens.append(length)
    commonest = sorted(reasons.items(), key=lambda reason: (-reason[1], reason[0]))
    return Lengths(tuple(tokens), len(rows), template.context, altered, tuple(commonest[:NOTES_KEPT]))


def marked(row: Conversation, card: CharacterCard, base: Base) -> list[tuple[Piece, ...]]:
    """The training sequences of a row, in the pieces of which they are made; none where no reply fits the context.

    The texts of a sequence's pieces together are what the model reads. Raises `PersonaError` where training would.
    """
    template = _template(base)
    return [
        tuple(_pieces(example.ids, [label >= 0 for label in example.labels], template))
        for example in encode(row, card, template, on_skip=lambda _: None)
    ]


@lru_cache(maxsize=2)
def _template(base: Base) -> ChatTemplate:
    return base.template()


def _measure(row: Conversation, card: CharacterCard, template: ChatTemplate) -> tuple[int, set[str]]:
    """(tokens, what was left out or changed); 0 tokens where nothing fits."""
    notes: set[str] = set()
    try:
        examples = encode(row, card, template, on_skip=notes.add, on_note=notes.add)
    except PersonaError as error:
        return 0, {*notes, error.what}
    return max((len(example.ids) for example in examples), default=0), notes


def _pieces(ids: Sequence[int], trained: Sequence[bool], template: ChatTemplate) -> list[Piece]:
    special = set(template.special_tokens.values())
    pieces: list[Piece] = []
    for (is_trained, is_special), run in groupby(
        zip(ids, trained, strict=True), key=lambda pair: (pair[1], pair[0] in special)
    ):
        run_ids = [i for i, _ in run]
        if is_special:
            texts = ((template.tokenizer.decode([i], skip_special_tokens=False), i) for i in run_ids)
            pieces += [Piece(text, is_trained, True, i in template.stop_ids) for text, i in texts]
        elif is_trained:
            pieces += [Piece(text, True) for text in _token_texts(run_ids, template.tokenizer)]
        else:
            pieces.append(Piece(template.tokenizer.decode(run_ids, skip_special_tokens=False), False))
    return pieces


def _token_texts(ids: Sequence[int], tokenizer: Tokenizer) -> list[str]:
    """The text that each token adds; tokens that only together are a character share one."""
    texts: list[str] = []
    before = start = 0
    for end in range(1, len(ids) + 1):
        # With the piece before it: some tokenizers drop the space that a text begins with.
        known = tokenizer.decode(list(ids[before:start]), skip_special_tokens=False)
        text = tokenizer.decode(list(ids[before:end]), skip_special_tokens=False)
        if not text.endswith("\ufffd") or end == len(ids):
            texts.append(text[len(known) :])
            before, start = start, end
    return texts
