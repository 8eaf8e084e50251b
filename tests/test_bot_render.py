"""Cleaning and splitting of what goes to Discord."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.notices import CUT_LENGTH, EMPTY, small
from bot.render import LIMIT, clean_reply, split, units, with_notes

words = st.sampled_from(["word ", "Satz. ", "\n", "\n\n", "é", "👩‍🚀", "🇩🇪", "x" * 150, "😀" * 60, "``", "`", "- "])
fences = st.sampled_from(["```", "```\n", "```zz\n", "\n```\n", "\n```zz\n", "zz", "````"])
plain = st.lists(words.filter(lambda w: "`" not in w), max_size=60).map("".join)
fenced = st.lists(st.one_of(words, fences), max_size=60).map("".join)


@given(plain, st.sampled_from([200, 300, 2000]))
@settings(deadline=None)
def test_pieces_joined_are_the_text(text, limit):
    assert "".join(split(text, limit)) == text


@given(fenced, st.sampled_from([200, 260, 2000]))
@settings(deadline=None)
def test_pieces_fit_and_fences_are_whole(text, limit):
    for part in split(text, limit):
        assert len(part) <= units(part) <= limit
        assert part.count("```") % 2 == 0


@given(fenced, st.sampled_from([200, 260]))
@settings(deadline=None)
def test_only_fences_and_line_ends_are_added(text, limit):
    def bare(text):
        return re.sub(r"```(zz)?|\s|zz|`", "", text)

    assert bare("".join(split(text, limit))) == bare(text)


def test_a_code_block_is_closed_and_opened_again_with_its_language():
    text = "Look:\n```python\n" + "print('x' * 10)\n" * 300 + "```\nThat is all."
    first, *middle, last = split(text)
    assert first.startswith("Look:\n```python\n") and first.endswith("\n```")
    assert all(part.startswith("```python\n") and part.endswith("```") for part in middle)
    assert last.startswith("```python\n") and last.endswith("That is all.")


def test_no_empty_code_block_is_left_at_a_cut():
    for before in range(1900, 2001):
        parts = split("a" * before + "\n```py\nx = 1\n" + "y" * 1500 + "\n```\nend")
        assert not any(re.search(r"```\w*\s*```", part) for part in parts), before


@pytest.mark.parametrize("length", range(150, 200))
def test_a_cut_at_a_closing_fence_takes_it_along(length):
    for closing in ("```", "\n```"):
        text = "```" + "x" * length + closing + "y" * 150
        parts = split(text, 200)
        assert all(part.count("```") % 2 == 0 and units(part) <= 200 for part in parts)
        assert re.sub(r"[^xy]", "", "".join(parts)) == "x" * length + "y" * 150
        assert not any(re.search(r"```\s*```", part) for part in parts)
        assert not any("y" in code for part in parts for code in part.split("```")[1::2])


def test_a_grapheme_is_not_cut():
    for shift in range(8):
        for part in split("x" * shift + "👩‍🚀" * 900)[1:]:
            assert part.startswith("👩‍🚀")


def test_cuts_are_at_the_best_seam():
    assert split("a" * 150 + "\n\n" + "b" * 60, 200)[0] == "a" * 150 + "\n\n"
    assert split("a" * 150 + ". b" + "b" * 60, 200)[0] == "a" * 150 + ". "


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b\u200e", "\x00\x07"])
def test_an_invisible_reply_becomes_a_notice(text):
    assert with_notes(text, []) == small(EMPTY)


def test_notes_stand_after_a_closed_fence():
    assert with_notes("```\ncode", [CUT_LENGTH]) == "```\ncode\n```\n" + small(CUT_LENGTH)


@given(st.text(alphabet=st.characters(), max_size=300), st.integers(0, 3))
@settings(deadline=None)
def test_every_piece_can_be_sent(text, blanks):
    text = with_notes("a" + "\n \u200b" * 1000 * blanks + text + "\ud800b", [])
    for part in split(text):
        part.encode("utf-8")
        assert part.strip() and units(part) <= LIMIT
        assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", part)


def test_stacked_accents_are_capped():
    assert len(clean_reply("a" + "\u0301" * 5000)) == 9
