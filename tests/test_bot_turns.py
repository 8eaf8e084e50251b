"""One answer at a time in each channel."""

import asyncio

from bot.turns import Turns


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


def recorder(log, name, gate=None, on_cancel=None):
    async def job():
        log.append(f"{name} begins")
        try:
            if gate:
                await gate.wait()
        except asyncio.CancelledError as reason:
            log.append(f"{name}: {reason.args[0]}")
            if on_cancel:
                await on_cancel
            raise
        log.append(f"{name} ends")

    return job


async def test_a_channel_is_served_in_order_and_channels_side_by_side():
    log, gate, turns = [], asyncio.Event(), Turns()
    assert turns.submit(1, 11, recorder(log, "a", gate)) is None
    assert turns.submit(1, 12, recorder(log, "b")) is None
    assert turns.submit(2, 21, recorder(log, "c")) is None
    await settle()
    assert log == ["a begins", "c begins", "c ends"]
    gate.set()
    await settle()
    assert log[3:] == ["a ends", "b begins", "b ends"]


async def test_the_line_is_bounded_and_no_task_is_left_behind():
    gate, turns = asyncio.Event(), Turns(waiting=2)
    before = asyncio.all_tasks()
    assert [turns.submit(1, n, recorder([], n, gate)) for n in range(5)] == [None, None, None, "full", "full"]
    gate.set()
    await settle()
    assert asyncio.all_tasks() == before
    assert turns.submit(1, 9, recorder([], 9)) is None


async def test_drop_takes_one_message_out_running_or_waiting():
    log, gate, turns = [], asyncio.Event(), Turns()
    for n in (1, 2, 3):
        turns.submit(7, n, recorder(log, n, gate))
    await settle()
    turns.drop(2, "deleted")
    turns.drop(1, "deleted")
    gate.set()
    await settle()
    assert log == ["1 begins", "1: deleted", "3 begins", "3 ends"]


async def test_an_error_does_not_stop_the_line(caplog):
    async def broken():
        raise ValueError("boom")

    log, turns = [], Turns()
    turns.submit(1, 1, broken)
    turns.submit(1, 2, recorder(log, "next"))
    await settle()
    assert log == ["next begins", "next ends"] and "boom" in caplog.text


async def test_drain_lets_answers_end_and_counts_the_others():
    log, gate, turns = [], asyncio.Event(), Turns()
    turns.submit(1, 1, recorder(log, "a", gate))
    turns.submit(1, 2, recorder(log, "b"))
    await settle()
    asyncio.get_running_loop().call_later(0.01, gate.set)
    assert await turns.drain(5, "stop", asyncio.Event()) == 1
    assert log == ["a begins", "a ends"]
    assert turns.submit(1, 3, recorder(log, "c")) == "closed"


async def test_drain_cuts_short_after_its_time_or_at_once():
    for seconds, hurry in ((0.01, False), (60, True)):
        log, turns, at_once = [], Turns(), asyncio.Event()
        turns.submit(1, 1, recorder(log, "a", asyncio.Event(), on_cancel=asyncio.sleep(0.01)))
        await settle()
        if hurry:
            at_once.set()
        await turns.drain(seconds, "stop", at_once)
        assert log == ["a begins", "a: stop"]
