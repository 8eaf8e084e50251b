"""Notices stay apart from what the character said."""

from hypothesis import given
from hypothesis import strategies as st

from bot import notices
from bot.notices import Seldom, small, spoken
from bot.render import clean_reply, with_notes


def test_a_notice_is_not_part_of_what_was_said():
    assert spoken("Good evening.\n" + small("cut\nshort")) == "Good evening."
    assert spoken(small(notices.RESTARTING)) == ""


@given(st.text(alphabet=st.sampled_from("-# a\n`\\"), max_size=80), st.sampled_from([[], [notices.GAP]]))
def test_whatever_the_model_writes_comes_back_from_history(text, notes):
    said = clean_reply(text)
    if said.count("```") % 2 == 0 and "\\-# " not in text:
        assert spoken(with_notes(text, notes)) == said.replace("\\-# ", "-# ").strip()


def test_seldom_counts_by_key_and_forgets_old_keys():
    seldom = Seldom(10, keys=2)
    assert [seldom.ready("a", t) for t in (0, 9, 10, 11)] == [True, False, True, False]
    assert seldom.ready("b", 11) and seldom.ready("c", 11) and seldom.ready("a", 12)
