"""Synthetic rows: questions about lore, identity, the unknown and small talk, with the card's own answers."""

import random
import re
from collections import Counter

import pytest

from data import questions as ask
from data.answers import answer_rows
from data.lore import entries_called, lore_questions, lore_rows
from data.rows import RowMaker
from data.split import HELD_OUT_QUESTION
from data.telling import as_said, lore_answers
from persona.card import CharacterCard
from persona.conversation import Message
from persona.errors import PersonaError
from persona.lorebook import LoreEntry

BOOK = {
    "entries": [
        {"name": "Mira Vale", "keys": ["mira"], "constant": True, "content": "Mira is 30. Mira tends the garden."},
        {
            "name": "the garden",
            "keys": ["garden", "where do you work"],
            "content": "Mira tends a walled garden. It has nine beds.",
        },
        {"name": "what Mira likes", "keys": ["like"], "content": "{{char}} likes rain and keeps frogs."},
        {"name": "Mira's looks", "keys": ["beard"], "content": "Mira has no beard."},
        {"name": "the twin", "keys": ["twin"], "content": "She is the other one."},
        {"name": "off", "keys": ["off"], "content": "Mira is off.", "enabled": False},
    ]
}
OWN = {
    "pronouns": "she",
    "introductions": ["I am Mira.", "Mira, gardener.", "They call me Mira.", "Mira is my name."],
    "unknown": ["I never saw one.", "No idea, friend.", "Ask the frogs.", "That is not in my garden."],
    "ai": ["Yes, I am an AI.", "No, I am not a person. I am a program.", "I am a made-up gardener.", "An AI plays me."],
    "smalltalk": {"greeting": ["Good morning, friend.", "Hello."], "mood": ["I am well."]},
}
CARD = CharacterCard(
    name="Mira", description="Mira Vale tends a garden.", character_book=BOOK, extensions={"persona": OWN}
)


def asked_of(rows):
    return [(r.messages[0].content, r.replies[0]) for r in rows]


def test_every_lore_question_calls_its_entry_or_goes_without_it():
    rows = list(lore_rows(CARD, [], RowMaker(CARD, 0)))
    entries = {e.name: e for e in CARD.character_book.entries}
    for row in rows:
        entry = entries[row.notes["entry"]]
        called = entry.constant or any(ask.has_word(k, row.messages[0].content) for k in entry.keys)
        assert called or not row.lore
    assert {r.notes["entry"] for r in rows} == {"Mira Vale", "the garden", "what Mira likes", "Mira's looks"}
    assert all(not r.lore for r in rows if r.notes["entry"] == "Mira's looks")


def test_lore_is_told_in_the_first_person_and_asked_of_you():
    pairs = asked_of(lore_rows(CARD, [], RowMaker(CARD, 0)))
    assert "I like rain and keep frogs." in {answer for _, answer in pairs}
    assert not any(re.search(r"\bMira\b", answer) for _, answer in pairs)
    assert any("what you like" in question.lower() for question, _ in pairs)


def test_a_third_of_the_questions_goes_without_lore_too():
    content = "Mira keeps one of the things. Mira likes some of the others."
    book = {"entries": [{"name": f"the thing{n}", "keys": [f"thing{n}"], "content": content} for n in range(100)]}
    card = CARD.model_copy(update={"character_book": CharacterCard(name="x", character_book=book).character_book})
    asked = [r for r in lore_rows(card, [], RowMaker(card, 0)) if r.origin == "lore"]
    counts = Counter(r.lore for r in asked if HELD_OUT_QUESTION not in r.notes)
    assert counts[True] == 300 and 70 < counts[False] < 130


def test_one_answer_is_given_to_two_questions_at_most():
    book = {"entries": [{"name": "the pond", "keys": ["pond"], "content": "Mira keeps frogs in a pond."}]}
    card = CARD.model_copy(update={"character_book": CharacterCard(name="x", character_book=book).character_book})
    rows = list(lore_rows(card, [], RowMaker(card, 0)))
    assert len([r for r in rows if r.lore and r.origin == "lore" and HELD_OUT_QUESTION not in r.notes]) == 2
    (held_out,) = [r for r in rows if HELD_OUT_QUESTION in r.notes]
    assert held_out.messages[0].content.lower() not in {
        r.messages[0].content.lower() for r in rows if r is not held_out
    }


def test_a_fact_about_oneself_is_told_unasked_too():
    book = {"entries": [{"name": "the pond", "keys": ["pond"], "content": "Mira keeps frogs in a pond."}]}
    card = CARD.model_copy(update={"character_book": CharacterCard(name="x", character_book=book).character_book})
    told = [r for r in lore_rows(card, [], RowMaker(card, 0)) if r.origin == "telling"]
    assert [r.replies for r in told] == [("I keep frogs in a pond.",)] and not told[0].lore


def test_somebody_is_asked_for_as_a_person():
    content = "Nell Harrow is her aunt. Mira visits her on Sundays."
    entry = LoreEntry(name="Nell Harrow", keys=("Nell",), content=content)
    assert "Who is Nell Harrow?" in lore_questions(entry, "Nell Harrow", ("Mira",), random.Random(0))


def test_an_answer_never_begins_in_the_middle():
    names = ("Mira",)
    assert lore_answers("Mira tends a garden. It has nine beds. Mira waters them all.", names, "she") == [
        "I tend a garden. It has nine beds.",
        "I tend a garden.",
        "I tend a garden. It has nine beds. I water them all.",
    ]
    assert lore_answers("She hums. It is a song.", names, "she") == []
    assert lore_answers("It is a song. Mira hums.", names, "she") == []
    assert lore_answers("[Mira: tall, quiet]", names, "she") == []
    assert lore_answers("Mira hums so loudly that frogs leave.", names, "she") == [
        "I hum so loudly that frogs leave."
    ], "the first sentence of an entry has none before it to lean on"


def test_an_answer_begins_with_the_first_sentence_or_one_that_names_the_title():
    prose = "Mr. Crane likes forms. Bram met Mr. Crane once. Biscuit ate the dog form."
    answers = lore_answers(prose, ("Bram",), "he", "Mr. Crane")
    assert "I met Mr. Crane once." in answers and "I met Mr. Crane once. Biscuit ate the dog form." in answers
    assert not any(a.startswith("Biscuit") for a in answers)
    about_self = lore_answers("Mira is 30. Mira tends the garden.", ("Mira", "Mira Vale"), "she", "Mira")
    assert "I tend the garden." in about_self


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("I say the crumbs are for later.", "The crumbs are for later."),
        ("I always say it is only spare wool.", "It is only spare wool."),
        ("I believe that pies help.", "Pies help."),
        ("I think most people only need the tea.", "Most people only need the tea."),
        ("I say the corks keep out the cold.", "The corks keep out the cold."),
        ("I say to do the next small thing.", "Do the next small thing."),
        ("I say so only when asked.", None),
        ("I say good morning to the seals.", None),
        ("I say it is old, and that the rest is roads.", None),
        ("When it rains, I say the lamp comes first.", None),
        ("I think of Col when the water is flat.", "I think of Col when the water is flat."),
        ("I do not think the sea is cruel.", "I do not think the sea is cruel."),
        ("I tell every visitor to mind the steps.", None),
        ("I often ask Nell how she is.", None),
        ("I row and tell Tom to bail.", None),
        ("I tell the porridge so.", None),
        ("I ask two pennies for the crossing.", "I ask two pennies for the crossing."),
        ("I use the knee to tell the weather.", "I use the knee to tell the weather."),
    ],
)
def test_what_the_character_says_is_said_and_not_reported(told, said):
    assert as_said(told) == said


def test_what_others_say_stays_reported():
    assert lore_answers("Bram says ten games are his.", ("Ada",), "she", "draughts") == ["Bram says ten games are his."]


def test_a_key_that_is_a_question_is_asked():
    entry = LoreEntry(name="the garden", keys=("where do you work", "what (a|the) garden"), content="x")
    asked = lore_questions(entry, "the garden", ("Mira",), random.Random(0))
    assert "Where do you work?" in asked and not any("|" in question for question in asked)


@pytest.mark.parametrize(
    ("fields", "called"),
    [
        ({"keys": ["pond"]}, True),
        ({"keys": ["lake"]}, False),
        ({"keys": ["po.d"], "use_regex": True}, True),
        ({"keys": ["pond"], "use_regex": True, "extensions": {"selectiveLogic": 0}}, True),
        ({"keys": ["pond"], "selective": True, "secondary_keys": ["frog"]}, False),
        ({"keys": ["pond"], "selective": True, "secondary_keys": ["about"]}, True),
        ({"keys": ["pond"], "content": "@@activate_only_after 3\nMira keeps frogs."}, False),
        ({"keys": [], "constant": True}, True),
    ],
)
def test_the_lorebook_itself_says_whether_a_question_calls_an_entry(fields, called):
    entry = {"name": "the pond", "content": "Mira keeps frogs.", **fields}
    card = CharacterCard(name="Mira", character_book={"entries": [entry]})
    assert entries_called(card, Message("user", "What about the pond?"), 0) == (
        frozenset({0}) if called else frozenset()
    )
    asked_about = [r for r in lore_rows(card, [], RowMaker(card, 0)) if "about the pond" in r.messages[0].content]
    assert {r.lore for r in asked_about} <= {called, False}


def test_a_question_that_chance_leaves_without_its_entry_goes_without_lore():
    entries = [
        {"name": f"pond{n}", "keys": [f"pond{n}"], "content": "Mira keeps frogs.", "extensions": {"probability": 50}}
        for n in range(40)
    ]
    card = CharacterCard(name="Mira", character_book={"entries": entries})
    rows = [r for r in lore_rows(card, [], RowMaker(card, 0)) if r.lore]
    assert rows
    for row in rows:
        assert int(row.scene.removeprefix("pond")) in entries_called(card, row.messages[0], row.seed)


def test_each_answer_of_the_card_is_used_and_fits_its_question():
    rows = list(answer_rows(CARD, [], RowMaker(CARD, 0)))
    said = {r.replies[0] for r in rows}
    assert said == {*OWN["introductions"], *OWN["unknown"], *OWN["ai"], "Good morning, friend.", "Hello.", "I am well."}
    for question, answer in asked_of(rows):
        plain = question.lower().rstrip("?!.")
        if answer.startswith(("Yes", "No, I")):
            expected = ask.ARE_YOU_AN_AI if answer.startswith("Yes") else ask.ARE_YOU_REAL
            assert plain in {q.lower().rstrip("?!.") for q in expected}
        if answer == "Hello.":
            assert not any(ask.has_word(time, question) for time in ask.TIMES_OF_DAY)


def test_the_unknown_is_not_in_the_world():
    card = CARD.model_copy(update={"description": "Mira repairs the radio and the telephone."})
    rows = [r for n in range(20) for r in answer_rows(card, [], RowMaker(card, n)) if r.origin == "unknown"]
    asked = {r.messages[0].content.lower() for r in rows}
    assert any("television" in q for q in asked) and not any("radio" in q or "telephone" in q for q in asked)


def test_a_card_without_answers_says_little_and_nothing_false():
    card = CharacterCard(name="Sera")
    rows = list(answer_rows(card, ['*waves* "Hi."'] * 3, RowMaker(card, 0)))
    assert len(rows) <= 8 and all(r.replies[0].startswith('"') for r in rows)
    assert any("AI" in r.replies[0] and "Sera" in r.replies[0] for r in rows)


def test_another_seed_asks_other_questions_and_the_same_seed_the_same():
    first, again, other = (list(lore_rows(CARD, [], RowMaker(CARD, seed))) for seed in (0, 0, 1))
    assert first == again and asked_of(first) != asked_of(other)


def test_one_answer_may_stand_without_a_list_and_anything_else_is_named():
    one = CARD.model_copy(update={"extensions": {"persona": {"unknown": "No idea, friend."}}})
    assert {r.replies[0] for r in answer_rows(one, [], RowMaker(one, 0)) if r.origin == "unknown"} == {
        "No idea, friend."
    }
    for own, field in (
        ({"ai": 3}, "extensions.persona.ai"),
        ({"introductions": ["I am Mira.", 4]}, "extensions.persona.introductions"),
        ({"smalltalk": {"mood": {"good": "I am well."}}}, "extensions.persona.smalltalk.mood"),
        ({"smalltalk": "Hello."}, "extensions.persona.smalltalk"),
    ):
        card = CARD.model_copy(update={"extensions": {"persona": own}})
        with pytest.raises(PersonaError) as error:
            list(answer_rows(card, [], RowMaker(card, 0)))
        assert field in str(error.value)
