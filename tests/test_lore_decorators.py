"""Decorators of Character Card V3: read, tried in order, and acted on."""

import pytest

from persona.lore_decorators import parse_decorators
from persona.lorebook import Lorebook
from tests.lore_talk import constants, entry, reason, scan


def test_decorators_leave_the_text():
    marks, text = parse_decorators(
        "\n@@activate_only_after 3\r\n@@unknown 4\n@@@scan_depth 7\n@@@scan_depth 9\n\nThe text.\n@@not one\n"
    )
    assert text == "The text.\n@@not one"
    assert (marks.activate_only_after, marks.scan_depth, marks.ignored) == (3, 7, ("@@unknown",))


@pytest.mark.parametrize(
    ("lines", "depth"),
    [
        ("@@scan_depth 2\n@@@scan_depth 3", 2),
        ("@@scan_depth two\n@@@scan_depth 3", 3),
        ("@@a\n@@@b\n@@@c\n@@@d\n@@@e\n@@@scan_depth 6", 6),
        ("@@a\n@@@scan_depth 4\n@@@scan_depth 5", 4),
        ("@@scan_depth 2\n@@scan_depth 3", 2),
        ("@@@scan_depth 2", None),
        ("@@scan_depth", None),
        ("@@scan_depth -1", None),
        ("@@scan_depth inf", None),
    ],
)
def test_fallbacks_and_repeats(lines, depth):
    assert parse_decorators(f"{lines}\ntext")[0].scan_depth == depth


@pytest.mark.parametrize(
    ("decorator", "lines", "included", "why"),
    [
        ("activate_only_every 2", ["lamp", "Ada: y", "lamp"], False, "wakes at every 2 replies; there are 1"),
        ("activate_only_every 2", ["lamp", "Ada: y", "lamp", "Ada: y", "lamp"], True, "key 'lamp' in message 3"),
        (
            "activate_only_every 0",
            ["lamp", "Ada: y", "lamp"],
            True,
            "key 'lamp' in message 1 (not heeded: @@activate_only_every)",
        ),
        ("dont_activate", ["lamp"], False, "switched off by @@dont_activate"),
        ("additional_keys oil, wick", ["lamp"], False, "additional key missing: needs one of 'oil', 'wick'"),
        ("additional_keys oil, wick", ["lamp wick"], True, "key 'lamp' in message 1"),
        ("exclude_keys oil", ["lamp", "Ada: oil", "Hm"], False, "key 'oil' in message 2 forbids it"),
        ("exclude_keys oil", ["lamp"], True, "key 'lamp' in message 1"),
        ("keep_activate_after_match", ["lamp"], True, "key 'lamp' in message 1"),
        ("depth 4", ["lamp"], True, "key 'lamp' in message 1 (not heeded: @@depth)"),
        ("position personality", ["lamp"], True, "key 'lamp' in message 1 (not heeded: @@position)"),
    ],
)
def test_decorators_that_wait_for_a_moment_or_a_word(decorator, lines, included, why):
    assert reason(Lorebook(entries=(entry(content=f"@@{decorator}\nx"),)), *lines) == (included, why)


def test_greeting_decorator():
    book = Lorebook(entries=(entry(content="@@is_greeting 1\nx"),))
    assert reason(book, "lamp", greeting=0) == (False, "belongs to greeting 1; this talk began with greeting 0")
    assert scan(book, "lamp", greeting=1)[0].included
    assert scan(book, "lamp")[0].included


def test_activate_stands_and_outweighs_dont_activate():
    assert constants(Lorebook(entries=(entry(content="@@dont_activate\n@@activate\nx"),)))[0].included
    assert not constants(Lorebook(entries=(entry(constant=True, content="@@dont_activate\nx"),)))


def test_delay_counts_messages():
    book = Lorebook(entries=(entry(extensions={"delay": 3}),))
    assert reason(book, "lamp") == (False, "sleeps until message 3; there are 1")
    assert scan(book, "lamp", "Ada: y", "x")[0].included
