"""A lorebook as a whole: what stands, what calls what, what is read and written, and the rules that always hold."""

import json
import time
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.conversation import Message
from persona.lorebook import Lorebook, LoreEntry
from tests.lore_talk import constants, entry, names, reason, scan, words


def test_constants_stand_from_the_start_and_are_never_called():
    book = Lorebook(entries=(entry("a", "{{char}} is old.", constant=True, position="before_char"), entry("b")))
    (decision,) = constants(book)
    assert (decision.text, decision.reason, decision.position) == ("Ada is old.", "constant", "before_char")
    assert scan(book, "a", standing=[0])[0].reason == "already in the prompt"
    assert not names(scan(book, "a"))


def test_constants_keep_to_their_budget():
    book = Lorebook(entries=(entry("a", "1 2 3", constant=True), entry("b", "1 2", constant=True, priority=1)))
    assert [(d.name, d.included, d.reason) for d in constants(book, budget=4)] == [
        ("a", False, "budget: 3 tokens, 2 left"),
        ("b", True, "constant"),
    ]


def test_a_constant_entry_that_waits_comes_later():
    book = Lorebook(entries=(entry("a", "@@activate_only_after 2\nNow.", constant=True),))
    assert not constants(book)
    assert reason(book, "x", "Ada: y", "x") == (False, "sleeps until reply 2; there are 1")
    assert reason(book, "x", "Ada: y", "x", "Ada: y", "x") == (True, "constant")


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({}, "after_char"),
        ({"position": "before_char"}, "before_char"),
        ({"position": "before_char", "extensions": {"position": 1}}, "after_char"),
        ({"extensions": {"position": 0}}, "before_char"),
        ({"position": 0}, "before_char"),
        ({"content": "@@position before_desc\nx"}, "before_char"),
        ({"content": "@@position after_desc\nx", "position": "before_char"}, "after_char"),
    ],
)
def test_position(fields, place):
    (decision,) = constants(Lorebook(entries=(entry(constant=True, **fields),)))
    assert decision.position == place


def chain(*flags, recursive=True):
    """a calls b, b calls c; `flags` are the extensions of each."""
    given = [*flags, {}, {}, {}]
    contents = ["It names b.", "It names c.", "The end."]
    entries = tuple(entry(k, t, extensions=f) for k, t, f in zip("abc", contents, given, strict=False))
    return Lorebook(recursive_scanning=recursive, entries=entries)


@pytest.mark.parametrize("spelling", ["{0}_recursion", "{0}Recursion"])
def test_recursion_and_its_flags(spelling):
    exclude, prevent = ({spelling.format(flag): True} for flag in ("exclude", "prevent"))
    assert names(scan(chain(), "a")) == ["a", "b", "c"]
    assert names(scan(chain(recursive=False), "a")) == ["a"]
    assert names(scan(chain(recursive=None), "a")) == ["a"]
    assert names(scan(chain({}, exclude), "a")) == ["a"]
    assert names(scan(chain({}, exclude), "a b")) == ["a", "b", "c"]
    assert names(scan(chain({}, prevent), "a")) == ["a", "b"]


def test_recursion_says_which_entry_called():
    assert scan(chain(), "a")[1].reason == "key 'b' in entry 'a'"


def test_delay_until_recursion():
    late = {"delay_until_recursion": True}
    assert names(scan(chain({}, late), "b")) == []
    assert names(scan(chain({}, late), "a b")) == ["a", "b", "c"]
    assert names(scan(chain({}, {}, {"delayUntilRecursion": 2}), "a c")) == ["a", "b", "c"]
    assert "recursive scanning is off" in scan(chain({}, late, recursive=False), "b")[1].reason


def test_standing_entries_call_others_too():
    assert names(scan(chain(), "x", standing=[0])) == ["b", "c"]


def test_an_entry_that_did_not_fit_calls_nobody():
    book = Lorebook(recursive_scanning=True, entries=(entry("a", "b " * 9), entry("b", "x")))
    assert names(scan(book, "a", budget=5)) == []


def test_hidden_keys_count_in_recursion_only():
    book = Lorebook(recursive_scanning=True, entries=(entry("a", "Text.{{hidden_key:b}}"), entry("b", "x")))
    decisions = scan(book, "a")
    assert names(decisions) == ["a", "b"] and decisions[0].text == "Text."
    assert names(scan(book, "{{hidden_key:a}}")) == ["a", "b"]


def test_comments_of_an_entry_call_nobody():
    book = Lorebook(recursive_scanning=True, entries=(entry("a", "Text.{{// b}}{{comment: b}}"), entry("b", "x")))
    assert names(scan(book, "a")) == ["a"]


def test_a_long_chain_ends():
    links = tuple(entry(f"k{n}", f"It names k{n + 1}.") for n in range(50))
    assert names(scan(Lorebook(recursive_scanning=True, entries=links), "k0")) == [f"k{n}" for n in range(9)]


def test_a_book_comes_back_as_it_was_read():
    given = {
        "name": "Gull Rock", "token_budget": 500, "extensions": {"x": {"y": [1, None]}}, "unknown": 1,
        "entries": [
            {"keys": ["a"], "content": "@@depth 1\nx", "extensions": {}, "enabled": True, "insertion_order": 1.5, "odd": [True]},
            {"keys": [], "content": "", "enabled": False, "insertion_order": 0, "id": 7, "case_sensitive": None,
             "constant": False, "selective": None, "secondary_keys": [], "priority": None, "text": "novel", "logic": "x"},
            {"keys": ["b"], "content": "c", "id": "seven", "use_regex": False, "position": "after_char", "extensions": {"a": 1}},
        ],
    }  # fmt: skip
    book = Lorebook.model_validate(given)
    assert json.dumps(book.model_dump(mode="json", exclude_unset=True), sort_keys=True) == json.dumps(
        given, sort_keys=True
    )


def test_nulls_and_old_spellings_are_tolerated():
    book = Lorebook.model_validate(
        {"extensions": None, "entries": [{"keys": "a, b", "content": None, "enabled": None, "extensions": []}]}
    )
    assert book.entries[0].keys == ("a", "b") and book.entries[0].enabled
    assert Lorebook.model_validate({"entries": None}).entries == ()


def test_a_copy_with_other_fields_follows_them():
    old = entry("lamp")
    assert scan(Lorebook(entries=(old,)), "lamp")[0].included
    assert not scan(Lorebook(entries=(old.model_copy(update={"keys": ("oil",)}),)), "lamp")[0].included
    assert not scan(Lorebook(entries=(old.model_copy(update={"enabled": False}),)), "lamp")[0].included
    assert not scan(Lorebook(entries=(old.model_copy(update={"extensions": {"probability": 0}}),)), "lamp")[0].included


def test_flags_of_wrong_types_do_no_harm():
    names = "probability scan_depth delay group group_weight position selectiveLogic character_filter"
    odd = {name: ["x"] for name in names.split()}
    odd |= {"delay_until_recursion": "soon", "case_sensitive": {}, "depth": 10**400}
    assert scan(Lorebook(entries=(entry(secondary_keys=["a"], selective=True, extensions=odd),)), "lamp a")[0].included
    assert not scan(Lorebook(entries=(entry(extensions={"delay": "5"}),)), "lamp")[0].included


def test_a_title_is_one_printable_line():
    assert entry(name="\x1b[2J a\n b\u202e").title == "[2J a b"
    assert LoreEntry(name=" ", comment="", keys=("", "lamp")).title == "lamp"
    assert scan(Lorebook(entries=(LoreEntry(),)), "x")[0].name == "entry 1"


def test_unheeded_flags_are_said():
    extensions = {"vectorized": True, "position": 4, "character_filter": {"names": ["Bram"]}}
    _, why = reason(Lorebook(entries=(entry(extensions=extensions),)), "lamp")
    assert why == "key 'lamp' in message 1 (not heeded: vectorized, position 4, character_filter)"


def test_five_hundred_entries_are_quick():
    book = Lorebook(scan_depth=50, entries=tuple(entry([f"key{n}", f"word{n} two"]) for n in range(500)))
    lines = [f"{'Ada: ' if n % 2 else ''}nothing but key{n} " + "and more " * 30 for n in range(51)]
    scan(book, *lines)
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        scan(book, *lines)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.05


WORDS = ["lamp", "oil", "wick", "gull", "rock"]
FLAGS = st.fixed_dictionaries(
    {},
    optional={
        "probability": st.sampled_from([0, 50, 100]),
        "group": st.sampled_from(["", "g", "g,h"]),
        "exclude_recursion": st.booleans(),
        "prevent_recursion": st.booleans(),
        "delay_until_recursion": st.booleans(),
        "selectiveLogic": st.integers(0, 3),
        "delay": st.integers(0, 3),
    },
)
ENTRIES = st.builds(
    LoreEntry,
    keys=st.lists(st.sampled_from([*WORDS, "/l.mp/", "/(/", ""]), max_size=2).map(tuple),
    content=st.lists(st.sampled_from([*WORDS, "@@activate\n", "@@dont_activate\n", "{{user}}"]), max_size=4).map(
        " ".join
    ),
    enabled=st.booleans(),
    constant=st.booleans(),
    insertion_order=st.integers(-2, 2),
    priority=st.none() | st.integers(-2, 2),
    secondary_keys=st.none() | st.lists(st.sampled_from(WORDS), max_size=2).map(tuple),
    selective=st.booleans(),
    extensions=FLAGS,
)
BOOKS = st.builds(
    Lorebook,
    entries=st.lists(ENTRIES, max_size=6).map(tuple),
    recursive_scanning=st.sampled_from([None, True, False]),
    token_budget=st.none() | st.integers(1, 20),
)
TALKS = st.lists(st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join), min_size=1, max_size=5)


@settings(max_examples=200, deadline=None)
@given(book=BOOKS, said=TALKS, budget=st.integers(0, 20), seed=st.integers(0, 3), data=st.data())
def test_every_scan_keeps_the_rules(book, said, budget, seed, data):
    standing = data.draw(st.frozensets(st.integers(0, len(book.entries) - 1))) if book.entries else frozenset()
    messages = [Message("user" if n % 2 == 0 else "assistant", text) for n, text in enumerate(said)]
    ask = partial(scan, book, *messages, standing=standing, budget=budget, seed=seed)
    decisions = ask()
    assert decisions == ask()
    assert sorted(d.index for d in decisions) == list(range(len(book.entries)))
    orders = [(book.entries[d.index].insertion_order, d.index) for d in decisions]
    assert orders == sorted(orders)
    included = [d for d in decisions if d.included]
    assert not standing.intersection(d.index for d in included)
    assert sum(d.tokens for d in included) <= budget
    for decision in decisions:
        assert decision.reason
        assert decision.included == bool(decision.text)
        assert decision.tokens == words(decision.text)
        assert not (decision.included and not book.entries[decision.index].enabled)


@settings(max_examples=100, deadline=None)
@given(book=BOOKS, said=TALKS, seed=st.integers(0, 3))
def test_a_fold_over_the_turns_only_grows(book, said, seed):
    """What was in after a shorter talk is in after a longer one, and no group has two."""
    standing = {d.index for d in constants(book, 20, seed) if d.included}
    for turn in range(len(said)):
        found = scan(
            book, *(Message("user", text) for text in said[: turn + 1]), standing=standing, turn=turn, seed=seed
        )
        new = {d.index for d in found if d.included}
        assert not new & standing
        standing |= new
    groups = [g for i in standing for g in (book.entries[i].flag("group") or "").split(",") if g]
    assert len(groups) == len(set(groups))
