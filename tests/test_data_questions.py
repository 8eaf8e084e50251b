"""Synthetic rows: questions about lore, identity, the unknown and small talk, with the card's own answers."""

import random
import re
from collections import Counter

from data import questions as ask
from data.answers import answer_rows
from data.lore import lore_answers, lore_questions, lore_rows, names_of, pronouns_of
from data.rows import RowMaker
from persona.card import CharacterCard
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
    book = {
        "entries": [
            {"name": f"the thing{n}", "keys": [f"thing{n}"], "content": "Mira keeps one of the things."}
            for n in range(100)
        ]
    }
    card = CARD.model_copy(update={"character_book": CharacterCard(name="x", character_book=book).character_book})
    counts = Counter(r.lore for r in lore_rows(card, [], RowMaker(card, 0)))
    assert counts[True] == 300 and 70 < counts[False] < 130


def test_an_answer_never_begins_in_the_middle():
    names = ("Mira",)
    assert lore_answers("Mira tends a garden. It has nine beds. Mira waters them all.", names, "she") == [
        "I tend a garden. It has nine beds.",
        "I tend a garden.",
    ]
    assert lore_answers("She hums. It is a song.", names, "she") == []
    assert lore_answers("[Mira: tall, quiet]", names, "she") == []


def test_a_key_that_is_a_question_is_asked():
    entry = LoreEntry(name="the garden", keys=("where do you work",), content="x")
    assert lore_questions(entry, "the garden", ("Mira",), random.Random(0)) == (["Where do you work?"], True)


def test_names_and_pronouns_are_found():
    assert names_of(CARD) == ("Mira", "Mira Vale")
    assert pronouns_of(CARD) == "she"
    assert pronouns_of(CharacterCard(name="X", description="He rows. His boat is green. He sings.")) == "he"
    assert pronouns_of(CharacterCard(name="X", description="He met her.")) == ""


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
