"""When the bot answers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.attention import Event, decide


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (Event(), None),
        (Event(mentions_me=True), "mention"),
        (Event(replies_to_me=True), "reply"),
        (Event(direct=True), "direct"),
        (Event(mentions_me=True, ordinary=False), None),
    ],
)
def test_reasons(event, reason):
    assert decide(event) == reason


@given(st.builds(Event), st.sampled_from(["from_me", "from_bot", "from_webhook"]))
def test_programs_are_never_answered(event, field):
    assert decide(replace(event, **{field: True})) is None
