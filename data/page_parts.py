"""Pieces of the page about a dataset: a histogram of lengths, dialogues, what the model reads, provenance."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from data.lengths import Lengths, Piece
from persona.conversation import Conversation, Message
from persona.pages import escaped, folded, paragraph, shown

BINS = 40
EXAMPLE_TURNS = 12
"""The last turns of a row that was left out as a whole."""

BLAMED_TURNS = 3
"""Of those for which a row was left out, how many are shown."""

BLAMED_CHARACTERS = 2_000
"""Of such a turn, from both ends: what is cut off is wrong at its end."""

LONG_CONTEXT = 300
"""Characters: a turn of context that is longer is folded."""


def histogram(lengths: Lengths) -> str:
    """Rows by length, as bars up to the longest, with a line where the context ends."""
    if not lengths.tokens:
        return ""
    width = -(-max(*lengths.tokens, lengths.context) // BINS)
    end = width * BINS
    counts = Counter(min(tokens // width, BINS - 1) for tokens in lengths.tokens)
    highest = max(counts.values())
    columns = "".join(
        f'<rect x="{place * 10 + 0.5}" y="{100 - height:.1f}" width="9" height="{height:.1f}">'
        f"<title>{place * width:,} to {(place + 1) * width - 1:,} tokens: {count:,}</title></rect>"
        for place, count in sorted(counts.items())
        if (height := max(100 * count / highest, 1.5))
    )
    cut = lengths.context / end * BINS * 10
    said = (
        f"{lengths.quantile(0.5):,} tokens in the middle, {max(lengths.tokens):,} at most, context {lengths.context:,}"
    )
    return (
        f'<figure class="histogram"><svg viewBox="0 0 {BINS * 10} 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{said}">{columns}<line class="cut" x1="{cut:.1f}" x2="{cut:.1f}" y1="0" y2="100"/></svg>'
        f'<div class="axis"><span>0</span><span>{end // 2:,}</span><span>{end:,} tokens</span></div></figure>'
    )


def dialogue(messages: Sequence[Message], character: str, blamed: Sequence[int] = ()) -> str:
    """The turns at the places `blamed`, marked, each with the turn before it; without any, the last turns."""
    places = {place for each in blamed[:BLAMED_TURNS] for place in (each - 1, each) if place >= 0}
    parts: list[str] = []
    following = 0
    for place in sorted(places) or range(max(len(messages) - EXAMPLE_TURNS, 0), len(messages)):
        parts += [*_turns_between(following, place), _said(messages[place], character, place in blamed)]
        following = place + 1
    return f'<div class="talk">{"".join([*parts, *_turns_between(following, len(messages))])}</div>'


def _turns_between(start: int, end: int) -> list[str]:
    count = end - start
    return [paragraph(f"… {count:,} turn{'s' * (count > 1)}", "quiet")] if count else []


def _said(message: Message, character: str, is_blamed: bool) -> str:
    own = message.role == "assistant"
    name = shown(character if own else message.name or message.role, 60)
    half = BLAMED_CHARACTERS // 2
    text = message.content
    if is_blamed and len(text) > BLAMED_CHARACTERS:
        said = f"{shown(text[:half], half)} … ({len(text) - 2 * half:,} characters) … {shown(text[-half:], half)}"
    else:
        said = shown(text, BLAMED_CHARACTERS if is_blamed else 300)
    css = f"{'own' if own else 'other'}{' blamed' * is_blamed}"
    return f'<p class="{css}"><b>{name}</b> {said if text.strip() else "(nothing)"}</p>'


def sequence(pieces: Sequence[Piece]) -> str:
    """What the model reads, a block for each turn: context in grey, trained tokens in colour; long context is folded."""
    turns: list[list[Piece]] = [[]]
    for piece in pieces:
        turns[-1].append(piece)
        if piece.ends_turn:
            turns.append([])
    return f'<div class="prompt">{"".join(_turn(turn) for turn in turns if turn)}</div>'


def _turn(pieces: Sequence[Piece]) -> str:
    body = "".join(
        f"<ins>{''.join(map(_token, run))}</ins>" if trained else "".join(map(_token, run))
        for trained, group in groupby(pieces, key=lambda piece: piece.trained)
        if (run := list(group))
    )
    block = f'<div class="turn" dir="auto">{body}</div>'
    text = "".join(piece.text for piece in pieces if not piece.special)
    if any(piece.trained for piece in pieces) or len(text) <= LONG_CONTEXT:
        return block
    return folded(f"{len(text):,} characters of context: {shown(' '.join(text[:80].split()), 80)} …", block)


def _token(piece: Piece) -> str:
    text = escaped(piece.text)
    return f"<span{' class=mark' if piece.special else ''}>{text}</span>" if piece.trained or piece.special else text


def provenance(row: Conversation, use: str) -> str:
    """Where a row comes from and what became of it, in one line."""
    facts = [row.source, row.scene, *(f"{key}: {value}" for key, value in row.notes.items() if value != row.scene)]
    where = " › ".join(shown(fact, 120) for fact in facts if fact)
    return f'<p class="quiet">{where} · {use} · <code>{shown(row.id, 120)}</code></p>'
