"""Third person to first: what converts, and what is refused rather than guessed."""

import random

import pytest

from data.grammar import plain_form, sentences
from data.manner import Manner
from data.voice import first_person, second_person

ADA = ("Ada", "Ada Marsh")

CONVERTS = [
    ("Ada keeps bees in four hives.", "I keep bees in four hives."),
    ("Ada Marsh is 58.", "I am 58."),
    ("Ada isn't loud.", "I am not loud."),
    ("Ada has kept the light and does not mind.", "I have kept the light and do not mind."),
    ("Ada's father kept the light.", "My father kept the light."),
    ("The blue cup is Ada's.", "The blue cup is mine."),
    ("Ada sleeps at the bottom and works at the top.", "I sleep at the bottom and work at the top."),
    ("Ada is alone most nights and is seldom lonely.", "I am alone most nights and am seldom lonely."),
    ("Ada carries the oil, washes the lens and goes to bed.", "I carry the oil, wash the lens and go to bed."),
    ("Ada likes cats and dogs and the sea.", "I like cats and dogs and the sea."),
    ("Ada cleans lamps and windows at noon.", "I clean lamps and windows at noon."),
    ("Ada never drops a stitch.", "I never drop a stitch."),
    ("Ada knows that she is old.", "I know that I am old."),
    ("Ada warms her hands on her blue cup.", "I warm my hands on my blue cup."),
    ("Ada loves her two hives and their honey.", "I love my two hives and their honey."),
    ("Every summer Ada swims.", "Every summer I swim."),
    ("When it snows, Ada opens the window.", "When it snows, I open the window."),
    ("Tom brings bread to Ada.", "Tom brings bread to me."),
    ("Nell gives Ada lessons.", "Nell gives me lessons."),
    ("Tom taught Ada the bowline.", "Tom taught me the bowline."),
    ("Saltby knows Ada keeps bees.", "Saltby knows I keep bees."),
    ("Bram and Ada play draughts.", "Bram and I play draughts."),
    ("Ada and Bram share a pie.", "Bram and I share a pie."),
    ("Peace is rare between Bram and Ada on Fridays.", "Peace is rare between Bram and me on Fridays."),
    ("Bram rows and Ada steers the boat.", "Bram rows and I steer the boat."),
    ("Bram is loud and brings his dog.", "Bram is loud and brings his dog."),
    ("The clockwork turns the lamp.", "The clockwork turns the lamp."),
    ("On Fridays Ada bakes.", "On Fridays I bake."),
    ("Nobody in Saltby loves Ada.", "Nobody in Saltby loves me."),
    ("Bram rowed home and Ada lit the lamp.", "Bram rowed home and I lit the lamp."),
    ("Ada's morning swim is cold.", "My morning swim is cold."),
]

REFUSED = [
    "Her uncle taught Ada the bowline.",
    "She keeps bees.",
    "Ada's mother was Ruth, and she rowed gently.",
    "Nell is a niece of Ada, and she draws maps.",
    "Ada keeps a cat who sleeps and eats.",
    "Ada, who is old, keeps bees.",
    "Ada's been here long.",
    "It was Ada who rang.",
    "Ada sees her every day.",
    'Ada says, "I turned a handle."',
    "Ada loves maps and works.",
    "Nobody sees Ada leave.",
    "People find Ada odd.",
    "People find Bram loud and Ada odd.",
    "The village elected Ada mayor.",
    "Old Ada sleeps.",
    "Ada's is the only lamp.",
    "Ada's old.",
    "Ada's keeping bees.",
    "Ada's in the tower.",
    "Saltby knows Ada well.",
    "Nell gives Bram pies and Ada lessons.",
    "Storms leave Bram cheerful and Ada tired.",
    "When the fog comes in Ada rings the bell.",
]


@pytest.mark.parametrize(("told", "expected"), CONVERTS)
def test_a_fact_is_told_in_the_first_person(told, expected):
    assert first_person(told, ADA, "she") == expected


@pytest.mark.parametrize("told", REFUSED)
def test_what_is_unclear_is_refused(told):
    assert first_person(told, ADA, "she") is None


def test_unknown_pronouns_are_never_resolved():
    assert first_person("Kit knows that she is old.", ["Kit"], "") is None
    assert first_person("Kit knows that he is old.", ["Kit"], "they") == "I know that he is old."
    assert first_person("Kit lost their hat.", ["Kit"], "they") is None


def test_pronouns_of_the_other_gender_are_somebody_else():
    assert first_person("Bram says she is kind.", ["Bram"], "he") == "I say she is kind."


@pytest.mark.parametrize(
    ("topic", "asked"),
    [
        ("Ada's day", "Your day"),
        ("what Ada likes", "what you like"),
        ("how Ada got the light", "how you got the light"),
        ("the bees", "the bees"),
    ],
)
def test_a_topic_is_put_to_the_character(topic, asked):
    assert second_person(topic, ADA) == asked


@pytest.mark.parametrize(
    ("verb", "plain"),
    [
        ("keeps", "keep"),
        ("carries", "carry"),
        ("ties", "tie"),
        ("goes", "go"),
        ("washes", "wash"),
        ("passes", "pass"),
        ("uses", "use"),
        ("has", "have"),
    ],
)
def test_plain_forms(verb, plain):
    assert plain_form(verb) == plain


def test_sentences_end_at_marks_and_not_at_titles():
    text = 'Mrs. Pell bakes. "Do you?" Ada asked. She nods!\nA new paragraph'
    assert sentences(text) == ["Mrs. Pell bakes.", '"Do you?"', "Ada asked.", "She nods!", "A new paragraph"]


def test_manner_is_measured_and_lent():
    lines = [f"I'm here, captain! Number {n}!" for n in range(30)]
    manner = Manner.of(lines)
    assert (manner.address, manner.address_share, manner.exclamation_share) == ("captain", 1.0, 1.0)
    assert manner.lend("I am a ferryman. I row.", random.Random(0)) == "I'm a ferryman, captain! I row!"


def test_too_few_lines_have_no_manner():
    manner = Manner.of(["Ahoy, captain!"] * 5)
    assert manner.lend("I am a ferryman.", random.Random(0)) == "I am a ferryman."
