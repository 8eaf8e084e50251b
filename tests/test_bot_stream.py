"""The edited message: never too often, always to the end."""

import asyncio
import itertools
from types import SimpleNamespace

import aiohttp
import pytest

from bot.answer import Messages
from bot.stream import Gone, LiveText, Unsent


class Clock:
    """Time that passes only while somebody sleeps or a call is under way."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds
        await asyncio.sleep(0)


class Paper:
    """An outlet that records what was called when."""

    def __init__(self, clock, *, call_seconds=0.0, fail=()):
        self.clock, self.call_seconds, self.fail = clock, call_seconds, list(fail)
        self.texts, self.calls = {}, []

    async def _call(self, what):
        self.calls.append((self.clock(), what))
        await asyncio.sleep(0)
        self.clock.now += self.call_seconds
        if self.fail and (error := self.fail.pop(0)):
            raise error

    async def post(self, text, after):
        await self._call("post")
        number = len(self.texts)
        assert after == (number - 1 if number else None)
        self.texts[number] = text
        return number

    async def edit(self, message, text):
        await self._call("edit")
        self.texts[message] = text

    async def delete(self, message):
        await self._call("delete")
        del self.texts[message]


def live(**options):
    clock = Clock()
    paper = Paper(clock, **options)
    return clock, paper, LiveText(paper, every_seconds=1.2, clock=clock, sleep=clock.sleep)


async def say(live, clock, text, *, seconds_each=0.1):
    for end in range(1, len(text) + 1):
        live.show(text[:end])
        clock.now += seconds_each
        await asyncio.sleep(0)


@pytest.mark.parametrize("call_seconds", [0.0, 0.4, 3.0])
async def test_edits_keep_their_distance_and_the_last_word_is_shown(call_seconds):
    clock, paper, text = live(call_seconds=call_seconds)
    await say(text, clock, "The lamp is lit. " * 20)
    await text.finish("The lamp is lit. " * 20 + "Always.")
    assert paper.texts == {0: "The lamp is lit. " * 20 + "Always."}
    times = [time for time, _ in paper.calls]
    assert len(times) > 5
    assert all(later - earlier >= 1.2 for earlier, later in itertools.pairwise(times))


async def test_long_text_goes_on_in_further_messages():
    clock, paper, text = live()
    whole = "word " * 900
    await say(text, clock, whole[:50])
    await text.finish(whole)
    assert "".join(paper.texts.values()) == whole and len(paper.texts) == 3
    assert [part for _, part in text.shown] == list(paper.texts.values())


async def test_a_text_that_shrinks_takes_its_last_message_back():
    _, paper, text = live()
    text.show("```\n" + "x" * 1995)
    while len(paper.texts) < 2:
        await asyncio.sleep(0)
    await text.finish("```\n" + "x" * 1990 + "```")
    assert paper.texts == {0: "```\n" + "x" * 1990 + "```"}


async def test_lost_edits_are_made_up_for():
    clock, paper, text = live(fail=[None, Unsent("x"), Unsent("x"), Unsent("x")])
    await say(text, clock, "abcdefghijklmnop", seconds_each=0.5)
    await text.finish("done")
    assert paper.texts == {0: "done"}


async def test_a_final_text_that_never_gets_through_is_an_error():
    _, paper, text = live(fail=[Unsent("x")] * 9)
    with pytest.raises(Unsent, match="could not be sent"):
        await text.finish("hello")
    assert len(paper.calls) == 3


async def test_a_deleted_message_ends_it():
    clock, _, text = live(fail=[None, Gone("deleted")])
    with pytest.raises(Gone):
        await say(text, clock, "abcdefghijklmnopqrstuvwxyz", seconds_each=0.5)
    with pytest.raises(Gone):
        await text.finish("x")


async def test_a_cancelled_finish_posts_nothing_twice():
    """The first post is under way when the cancellation comes; the last word must edit that message."""
    gate = asyncio.Event()

    class Slow(Paper):
        async def post(self, text, after):
            await gate.wait()
            return await super().post(text, after)

    clock = Clock()
    paper = Slow(clock)
    text = LiveText(paper, every_seconds=1.2, clock=clock, sleep=clock.sleep)
    task = asyncio.create_task(text.finish("all of it"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    await text.finish("cut short")
    assert paper.texts == {0: "cut short"}


@pytest.mark.parametrize("error", [aiohttp.ServerDisconnectedError(), aiohttp.ClientPayloadError("incomplete")])
async def test_a_connection_dropped_under_discord_py_is_made_up_for(error):
    """The outlet over Discord: aiohttp's errors are no `OSError`, and discord.py lets them through."""
    failures, written = [None, error, error], []

    async def call(text=None, *, content=None, **_):
        if failures and (problem := failures.pop(0)):
            raise problem
        written.append(text or content)
        return SimpleNamespace(edit=call, delete=call)

    question = SimpleNamespace(channel=SimpleNamespace(send=call), to_reference=lambda **_: None)
    clock = Clock()
    text = LiveText(Messages(question), every_seconds=1.2, clock=clock, sleep=clock.sleep)
    await say(text, clock, "abcdef", seconds_each=0.5)
    await text.finish("all of it")
    assert written[-1] == "all of it" and not failures
