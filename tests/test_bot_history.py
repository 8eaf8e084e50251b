"""What was said before."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from bot.history import CHAIN_MESSAGES, History, Line, Seen, chain, direct, seed_of, to_messages
from persona.conversation import Message


def line(id, text="", *, author=1, name="Tom", mine=False, parent=None, withheld=False):
    return Line(id, author, name, text or f"line {id}", mine, parent, withheld)


def fetcher(*lines):
    table = {each.id: each for each in lines}

    async def fetch(id):
        return table.get(id)

    return fetch


async def test_a_chain_is_followed_back_to_its_start():
    a, b, c = line(1), line(2, mine=True, parent=1), line(3, parent=2)
    assert await chain(c, fetcher(a, b), since=0) == History((a, b, c))


async def test_a_chain_ends_at_a_reset_without_a_gap():
    a, b, c = line(1), line(2, mine=True, parent=1), line(3, parent=2)
    assert await chain(c, fetcher(a, b), since=1) == History((b, c))


async def test_missing_and_withheld_messages_are_a_gap():
    b, c = line(2, withheld=True, parent=1), line(3, parent=2)
    assert await chain(c, fetcher(b), since=0) == History((b, c), gap=True)
    a = line(1)
    assert (await chain(c, fetcher(a, b), since=0)).gap
    assert to_messages((a, b, c), character="Ada") == (
        Message("user", "line 1", "Tom"),
        Message("user", "line 3", "Tom"),
    )


async def test_a_chain_has_an_end():
    lines = [line(n, parent=n - 1) for n in range(1, 200)]
    history = await chain(lines[-1], fetcher(*lines), since=0)
    assert len(history.lines) == CHAIN_MESSAGES and history.gap


def test_direct_answers_stand_behind_their_questions():
    """Three questions came before the first answer was posted, in two parts."""
    first, second, third = line(1), line(2), line(3)
    part, more = line(4, mine=True, parent=1), line(5, mine=True, parent=4)
    answer = line(6, mine=True, parent=2)
    old = line(0, mine=True)
    found = direct(third, [answer, more, part, third, second, first, old], since=-1)
    assert found.lines == (old, first, part, more, second, answer, third)
    assert direct(second, [answer, more, part, third, second, first], since=0).lines == (first, part, more, second)
    assert direct(third, [answer, more, part, third, second, first], since=2).lines == (third,)


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans(), st.one_of(st.none(), st.integers(1, 9))), max_size=12))
def test_direct_always_ends_with_the_question(rows):
    lines = [line(id, mine=mine, parent=parent) for id, mine, parent in rows if parent is None or parent < id]
    assert direct(line(50), lines, since=0).lines[-1] == line(50)


def test_two_people_never_share_a_name_with_each_other_or_the_character():
    lines = [line(1, author=1), line(2, author=2), line(3, author=3, name="Ada"), line(4, author=1)]
    assert [m.name for m in to_messages(lines, character="Ada")] == ["Tom", "Tom 2", "Ada 2", "Tom"]


def test_notices_of_the_bot_are_not_said_by_the_character():
    lines = [line(1), line(2, "-# busy", mine=True), line(3, "Yes.\n-# (cut)", mine=True), line(4)]
    assert [m.content for m in to_messages(lines, character="Ada")] == ["line 1", "Yes.", "line 4"]


def test_seen_is_bounded_and_keeps_what_was_received():
    seen = Seen(2)
    seen.keep(line(1, "text"))
    assert seen.keep(line(1, withheld=True)).text == "text"
    assert seen.keep(line(1, "edited")).text == "edited"
    seen.keep(line(2))
    seen.keep(line(3))
    assert seen.get(1) is None and seen.get(3) == line(3)
    seen.forget(3)
    assert seen.get(3) is None


def test_seeds_differ_by_channel_and_reset():
    seeds = {seed_of(1, 0), seed_of(2, 0), seed_of(1, 5)}
    assert len(seeds) == 3 and seed_of(1, 0) in seeds
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert dataclasses.is_dataclass(Line)
