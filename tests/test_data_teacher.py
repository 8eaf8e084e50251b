"""A teacher model: it writes the other side, answers are checked against the lore and capped, and nothing is asked twice."""

import pytest

from data.lore import lore_rows
from data.rows import RowMaker
from data.teacher import TEACHER_SHARE, Teacher, capped, open_teacher, says_only, taught_rows, with_context
from persona.card import CharacterCard
from persona.conversation import Conversation, Message
from persona.errors import PersonaError

CARD = CharacterCard(
    name="Mira",
    character_book={
        "entries": [
            {"name": "the pond", "keys": ["pond"], "content": "Mira keeps 12 frogs in a pond behind Harrow Hall."}
        ]
    },
)


def teacher(tmp_path, answers, asked=None):
    def say(messages, settings):
        if asked is not None:
            asked.append(messages)
        return answers(messages[0].content)

    return Teacher("fake", say, tmp_path / "teacher.jsonl")


def alone(text):
    return Conversation((Message("assistant", text),), "Mira", id=text, source="s", scene="1")


def test_a_real_line_gets_a_question_and_stays_as_it_is(tmp_path):
    rows, left = with_context([alone("I keep frogs.")], CARD, teacher(tmp_path, lambda _: 'User: "What do you keep?"'))
    assert not left and [m.content for m in rows[0].messages] == ["What do you keep?", "I keep frogs."]
    assert rows[0].origin == "real" and rows[0].notes["teacher"] == "fake"


@pytest.mark.parametrize("said", ["", "I keep frogs.", "word " * 100])
def test_what_cannot_be_used_leaves_the_line_out(tmp_path, said):
    rows, left = with_context([alone("Yes, I keep frogs.")], CARD, teacher(tmp_path, lambda _: said))
    assert not rows and [reason for _, reason in left] == ["what was said before it is not known"]


def test_answers_that_say_more_than_the_lore_are_dropped(tmp_path):
    answers = {"number 1": "Who lives in the pond?", "number 2": "How many frogs?"}

    def say(instruction):
        question = next((q for n, q in answers.items() if n in instruction), None)
        return question or "Twelve of them, and Prince Albert too."

    make = RowMaker(CARD, 0)
    rows, dropped = taught_rows(CARD, [], make, teacher(tmp_path, say))
    assert not rows and len(dropped) == 2
    rows, dropped = taught_rows(
        CARD, [], make, teacher(tmp_path, lambda i: answers.get("number 1") if "question" in i else "I keep 12 frogs.")
    )
    assert len(rows) == 2 and {r.origin for r in rows} == {"teacher"} and not rows[0].is_real


@pytest.mark.parametrize(
    ("answer", "true"),
    [
        ("I keep 12 frogs behind Harrow Hall.", True),
        ("I keep 13 frogs.", False),
        ("I keep frogs with Nell.", False),
        ("So it is.", False),
    ],
)
def test_names_and_numbers_must_stand_in_the_lore(answer, true):
    assert says_only(answer, "Mira keeps 12 frogs in a pond behind Harrow Hall.") is true


def test_the_same_is_never_asked_twice(tmp_path):
    asked = []
    for _ in range(2):
        fresh = open_teacher("http://127.0.0.1:1", tmp_path)
        fresh.say = lambda messages, settings: asked.append(settings.seed) or "What?"
        with_context([alone("I keep frogs.")], CARD, fresh)
    assert len(asked) == 1
    (tmp_path / "teacher.jsonl").write_text("rubbish")
    with pytest.raises(PersonaError, match="cannot be read"):
        open_teacher("http://127.0.0.1:1", tmp_path)


def test_a_teachers_answers_are_capped():
    lore = [r for r in lore_rows(CARD, [], RowMaker(CARD, 0))]
    made = [
        Conversation((Message("user", "?"), Message("assistant", str(n))), "Mira", origin="teacher") for n in range(9)
    ]
    kept, dropped = capped([*lore * 4, *made])
    assert len(kept) + len(dropped) == 4 * len(lore) + 9 and dropped
    assert sum(r.origin == "teacher" for r in kept) <= TEACHER_SHARE * len(kept)
