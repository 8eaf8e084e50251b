"""Macros: the specified ones, in one pass, in linear time."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona.formats.macros import expand


def say(text, *, char="Ada", user="Tom", seed=0, **rest):
    return expand(text, char=char, user=user, rng=random.Random(seed), **rest)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{char}} {{CHAR}} {{ Char }} <BOT> <bot> <char>", "Ada Ada Ada Ada Ada Ada"),
        ("{{user}} {{User}} <USER> <user>", "Tom Tom Tom Tom"),
        ("a{{// a note about {{char}} }}b", "ab"),
        ("a{{comment: x}}b{{hidden_key: storm}}c", "abc"),
        ("{{reverse:abc}}", "cba"),
        ("{{original}}!", "Be kind.!"),
        ("{{random:one}} {{pick:two}}", "one two"),
        ("{{random:a\\,b}}", "a,b"),
        ("{{random:{{user}}}}", "Tom"),
        ("{{roll:1}} {{roll:d1}} {{roll:3d1}}", "1 1 3"),
        ("{{{char}}}", "{Ada}"),
        ("{{time}} {{unknown:{{char}}}}", "{{time}} {{unknown:Ada}}"),
        ("{{roll:none}} {{roll:0}}", "{{roll:none}} {{roll:0}}"),
        ("{{char", "{{char"),
        ("}} {{ }} {}", "}} {{ }} {}"),
        ("<START>", "<START>"),
        ("", ""),
    ],
)
def test_specified_macros(text, expected):
    assert say(text, original="Be kind.") == expected


@pytest.mark.parametrize("name", ["{{char}}", "<BOT>", "roll:6", "{{roll:6}}", "random:a,b", "}}", "{{"])
def test_what_a_macro_gives_is_not_read_as_a_macro(name):
    assert say("{{user}}", user=name) == name
    assert say("<USER>", user=name) == name
    assert say("{{ {{user}} }}", user=name) == "{{ " + name + " }}"
    assert say("{{<user>}}", user=name) == "{{" + name + "}}"


def test_random_draws_from_the_generator_and_pick_does_not():
    many = "{{random:a,b,c,d}}" * 40
    assert say(many, seed=1) == say(many, seed=1)
    assert say(many, seed=1) != say(many, seed=2)
    picks = {say("{{pick:a,b,c,d}}", seed=seed, pick_key="chat 1") for seed in range(20)}
    assert len(picks) == 1
    assert len({say("{{pick:a,b,c,d}}", pick_key=str(key)) for key in range(50)}) == 4


def test_silly_tavern_colons_separate_choices():
    assert {say("{{random::red, blue::green}}", seed=seed) for seed in range(30)} == {"red, blue", "green"}


def test_dice_stay_in_range():
    rolls = {int(say("{{roll:d6}}", seed=seed)) for seed in range(200)}
    assert rolls == set(range(1, 7))
    assert {int(say("{{roll:2d2}}", seed=seed)) for seed in range(60)} == {2, 3, 4}


@pytest.mark.parametrize(
    "text", ["{{" * 100_000, "}}" * 100_000, "{{" * 50_000 + "}}" * 50_000, "{" * 200_000, "{{random:" * 30_000]
)
def test_hostile_braces_take_linear_time(text):
    start = time.perf_counter()
    assert len(say(text)) == len(text)
    assert time.perf_counter() - start < 2


@given(st.text(alphabet=st.characters(blacklist_characters="{}<", blacklist_categories=["Cs"])))
def test_text_without_marks_is_left_alone(text):
    assert say(text) == text


@given(st.lists(st.sampled_from(["{{", "}}", "{{char}}", "random:", "//", ":", ",", "x", "<USER>", "\\"]), max_size=30))
def test_no_nesting_fails(pieces):
    assert isinstance(say("".join(pieces)), str)
