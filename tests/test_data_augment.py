"""The user's side in other words; the character's lines as they were, byte for byte."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.augment import _CHANGES, MOST_TYPOS, augment, augment_rows
from data.rows import USER_NAMES
from persona.conversation import Conversation, Message

DRAWS = range(40)


def row(*turns, name="Sam", **more):
    """Turns of user and character by turns; a pair is another user's (name, text)."""
    messages = [Message("assistant", turn) if i % 2 else Message("user", turn, name) for i, turn in enumerate(turns)]
    return Conversation(tuple(messages), "Ada Brown", **{"id": "a/1", "source": "a", "scene": "1", "seed": 7} | more)


def ways(change, of):
    """The texts of the user's first turn under one change, over many draws."""
    made = (_CHANGES[change](of, random.Random(draw), USER_NAMES) for draw in DRAWS)
    return {messages[0].content for messages in made if messages}


SPEECH = st.lists(
    st.sampled_from(
        ["Tell me about", "please", "Hello!", "I am", "Sam", "Ada", "lamp.", "{{char}}", "https://a.example/x", "1850"]
        + ["do you know", "Why?", "...", "éß", "ŒUVRE", "\n", "what is", "is not so", "İ", "harbour", "pat"]
    ),
    min_size=1,
    max_size=8,
).map(" ".join)
ROWS = st.builds(
    lambda texts, roles, names: Conversation(
        tuple(Message(r, t, n if r == "user" else None) for t, r, n in zip(texts, roles, names, strict=False)),
        "Ada Brown",
        id="x",
    ),
    st.lists(SPEECH, min_size=1, max_size=6),
    st.lists(st.sampled_from(["user", "assistant", "user", "assistant", "system"]), min_size=6, max_size=6),
    st.lists(st.sampled_from(["Sam", "Sam", "Lee", "Nell", None]), min_size=6, max_size=6),
)


@settings(max_examples=150, deadline=None)
@given(ROWS, st.integers(0, 1000))
def test_the_character_s_lines_are_never_altered(given_row, seed):
    made = augment(given_row, random.Random(seed))
    assert made == augment(given_row, random.Random(seed))
    if made is None:
        return
    assert made.messages != given_row.messages
    assert made.replies == given_row.replies[len(given_row.replies) - len(made.replies) :]
    assert made.replies or not given_row.replies
    assert [m for m in made.messages if m.role == "system"] == [m for m in given_row.messages if m.role == "system"]
    assert sum(not m.content.strip() for m in made.messages) <= sum(not m.content.strip() for m in given_row.messages)
    assert (made.source, made.scene, made.lore, made.origin) == (
        given_row.source,
        given_row.scene,
        given_row.lore,
        given_row.origin,
    )
    macros, links = (
        [re.findall(pattern, m.content) for m in made.messages[-1:]]
        == [re.findall(pattern, m.content) for m in given_row.messages[-1:]]
        for pattern in (r"\{\{.*?\}\}", r"https://\S+")
    )
    assert macros and links


def test_an_augmented_row_says_where_it_is_from():
    parent = row("Tell me about the storm.", "It came.", lore=False, notes={"entry": "Storm"})
    made = augment(parent, random.Random(1))
    change = made.notes["change"]
    assert made.notes == {"entry": "Storm", "parent": "a/1", "change": change} and made.id == f"a/1~{change}"
    assert made.seed != parent.seed and not made.lore
    assert augment(row("?", "It came.", name=None), random.Random(1)) is None


def test_casing():
    assert ways("casing", row("Is Ada there, Tom?!", "Yes.")) == {"is ada there, tom"}
    assert ways("casing", row("?!", "Yes.")) == {"?!"}


def test_typos_are_few_and_spare_names_numbers_links_and_what_is_taken_up():
    asked = "does sam know that ada brown lit the harbour lamp1 in 1850, with the watchman, sadly yesterday, Harbour?"
    found = ways("typos", row(asked, "The harbour had its watchman.", notes={"entry": "Yesterday"}))
    assert len(found) > 5
    for text in found:
        words = list(zip(asked.split(), text.split(), strict=True))
        changed = {old for old, new in words if old != new}
        assert 1 <= len(changed) <= MOST_TYPOS and changed <= {"does", "know", "that", "with", "sadly"}
        assert all(new[0] == old[0] and abs(len(old) - len(new)) <= 1 for old, new in words)
    for fixed in (
        "{{user}} wonders about something",
        "look at https://lamp.example/something yesterday",
        "<b> something",
    ):
        assert ways("typos", row(fixed, "Yes.")) == {fixed}


@pytest.mark.parametrize(
    ("asked", "instead"),
    [
        ("What is your name?", "What's your name?"),
        ("Do you know her?", "D'you know her?"),
        ("Why do you wait?", "Why d'you wait?"),
        ("I am Tom.", "I'm Tom."),
        ("hello, Ada", "hi, Ada"),
        ("Please sit down.", "Sit down."),
        ("Sit down, please.", "Sit down."),
        ("Tell me about the storm.", "Can you tell me about the storm?"),
        ("tell me about it", "can you tell me about it?"),
        ("Can you tell me about it?", "Tell me about it."),
        ("It is not far.", "It's not far."),
        ("Thank you very much.", "Thanks very much."),
    ],
)
def test_paraphrases(asked, instead):
    assert instead in ways("paraphrase", row(asked, "Yes."))


@pytest.mark.parametrize(
    "asked",
    [
        "Who knows what it is?",
        "Ask who I am.",
        "Please!",
        "Tell me, Ada, is it late?",
        "You know that she is as old as you are.",
    ]
    + ["Nobody did, do not ask {{char}}.", "Was ist das?", "Do you?"],
)
def test_what_would_be_wrong_english_is_left(asked):
    assert ways("paraphrase", row(asked, "Yes.")) == {asked}


def test_another_name_everywhere_or_nowhere():
    made = _CHANGES["name"](row("I am Sam.", "Good.", "Sam knows, Jo.", "Yes."), random.Random(0), USER_NAMES)
    new = made[0].name
    assert new not in ("Sam", "Jo", None)
    assert [m.content for m in made] == [f"I am {new}.", "Good.", f"{new} knows, Jo.", "Yes."] and made[2].name == new
    for kept in (
        row("I am Sam.", "Good evening, SAM."),
        row("I am Tom.", "Good.", name="Tom"),
        row("Pat the dog, or pat it.", "Good.", name="Pat"),
        row("Hello.", "Good.", name=None),
    ):
        assert _CHANGES["name"](kept, random.Random(0), USER_NAMES) == ()
    two = row("I am Sam.", "Good.", "Hello.", "Yes.")
    two = Conversation((*two.messages[:2], Message("user", "Hello.", "Lee"), two.messages[3]), "Ada")
    assert _CHANGES["name"](two, random.Random(0), USER_NAMES) == ()


def test_a_later_beginning_keeps_the_last_exchange():
    parent = row("One?", "One.", "Two?", "Two.", "Three?", "Three.")
    assert ways("later", parent) == {"Two?", "Three?"}
    assert ways("later", row("One?", "One.")) == set()
    system = Conversation((Message("system", "Be brief."), *parent.messages[:4]), "Ada")
    assert [m.content for m in _CHANGES["later"](system, random.Random(0), ())] == ["Be brief.", "Two?", "Two."]


def test_further_rows_are_few_and_the_same_every_time():
    rows = [row(f"Tell me about the storm of {n}.", f"It came {n} times.", id=f"a/{n}") for n in range(40)]
    made = augment_rows(rows, 3, 0.25)
    assert len(made) == 10 and made == augment_rows(rows, 3, 0.25) != augment_rows(rows, 4, 0.25)
    places = [int(r.notes["parent"].removeprefix("a/")) for r in made]
    assert places == sorted(set(places)) and len({r.notes["change"] for r in made}) > 2
    assert augment_rows(made, 3, 1) == [] == augment_rows(rows, 3, 0) == augment_rows([], 3, 1)
    assert len(augment_rows(rows, 3, 1)) == 40


def test_nobody_is_renamed_but_who_was_named_by_the_builder():
    rows = [row("One.", "Yes.", id=str(n), name="Sam") for n in range(9)]
    names = [{made.messages[0].name for made in augment_rows(rows, 0, 1, drawn)} for drawn in (("Sam", "Jo"), ("Jo",))]
    assert names == [{"Sam", "Jo"}, set()]


def test_who_is_named_in_a_source_does_not_type():
    rows = [row("What is it, do you know?", "Yes.", id=str(n), name="The Nurse") for n in range(9)]
    assert augment_rows(rows, 0, 1) == []
