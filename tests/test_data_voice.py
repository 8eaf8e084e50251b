"""Third person to first: what converts, and what is refused rather than guessed."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.grammar import plain_form, sentences
from data.manner import Manner
from data.voice import first_person, first_person_text, second_person
from data.words import NAME, mark

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
    ("Ada thinks she's old and that she'll never marry.", "I think I'm old and that I'll never marry."),
    ("Ada knows that she’s not been kind.", "I know that I’ve not been kind."),
    ("Ada's got grey eyes and keeps bees.", "I've got grey eyes and keep bees."),
    ("Ada'd rather starve than swim.", "I'd rather starve than swim."),
    ("Ada reads that she's been to Harrow.", "I read that I've been to Harrow."),
    (
        "Ada blames herself for the wreck and does not talk about it.",
        "I blame myself for the wreck and do not talk about it.",
    ),
    ("Ada says the rain once woke her.", "I say the rain once woke me."),
    ("Ada likes seals, gulls and herrings.", "I like seals, gulls and herrings."),
    ("Ada is forty, lives alone and keeps bees.", "I am forty, live alone and keep bees."),
    ("Ada keeps bees and despises the noise.", "I keep bees and despise the noise."),
    ("Ada eats apples and sometimes pears.", "I eat apples and sometimes pears."),
    ("Ada quickly tires and easily loses her temper.", "I quickly tire and easily lose my temper."),
    ("Then Ada bails the boat.", "Then I bail the boat."),
    ("Ada can't sing and doesn't try.", "I can't sing and don't try."),
    ("In winter, Ada lets the hares sleep in her bed.", "In winter, I let the hares sleep in my bed."),
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
    "Ada loved her.",
    "Ada never told her.",
    "Ada is teaching her to read.",
    "Ada would die for her.",
    "Ada betrayed them, and they hunt her still.",
    "Ada found her in the snow three winters ago.",
    "Ada loved her dearly.",
    "Ada gives her honey.",
    "Ada saw her work.",
    "Ada thinks the world about her turned.",
    "She's not very good at it, to be honest.",
    "If asked why, she'll shrug.",
    "Ada knows that she's called a witch.",
    "Ada's lost two hives.",
    "Ada's fond of tea.",
    "Ada's proud that she's free.",
    "Ada adores cats and despises dogs.",
    "Ada craves honey, loathes rain and yearns for the sea.",
    "Ada speaks the language of birds and gossips with them.",
    "Ada never steps over a broom, spits when she sees a magpie and always leaves a crumb.",
    "Ada keeps bees; despises wasps.",
    "Ada is kind yet dreads silence.",
    "Ada bakes bread and in winter sells honey.",
    "Ada enjoys songs and dances in the hall.",
    "Ada taught a blacksmith before she left.",
    "Ada and Bram's dog play.",
    "Tom rows for Miss Ada Lovelace.",
]

TEXTS = [
    ("Ilse", "Ilse was Ada's rival. Ada lost her hat.", ["Ilse was my rival.", None]),
    ("Wren", "Ada found the nest. Ada loves her laugh.", ["I found the nest.", None]),
    ("", "Wren is ten. Ada keeps her knife.", ["Wren is ten.", None]),
    ("", "Wren is ten. Ada hurt herself.", ["Wren is ten.", "I hurt myself."]),
    ("", "Wren is ten. She is small.", ["Wren is ten.", None]),
    ("", "Ada met a blacksmith. She mended her ring.", ["I met a blacksmith.", None]),
    ("", "Ada has a cat. She is grey.", ["I have a cat.", None]),
    ("", "Ada is forty. When she was young, Ilse stole a pie.", ["I am forty.", None]),
    ("", "Ada trusts in Wren. She is kind.", ["I trust in Wren.", None]),
    ("", "Ada is forty. The glade is old. She hums.", ["I am forty.", "The glade is old.", None]),
    ("Ada", "Ada is the keeper of the light. She has four hives. She's proud of them.",
     ["I am the keeper of the light.", "I have four hives.", "I'm proud of them."]),
    ("magic", "Ada isn't a powerful witch. Her magic is mostly herbs, salt, and patience.",
     ["I am not a powerful witch.", "My magic is mostly herbs, salt, and patience."]),
    ("", "Ada can heal wounds. Her magic weakens when she's far from home. After a great healing she sleeps.",
     ["I can heal wounds.", "My magic weakens when I'm far from home.", "After a great healing I sleep."]),
    ("", "Ada lives in Harrow. She was born there.", ["I live in Harrow.", "I was born there."]),
    ("", "Ada lost her brother. She still wears his ring.", ["I lost my brother.", "I still wear his ring."]),
    ("Dreams", "Ada dreams about the sea. She'd like to see it.", ["I dream about the sea.", "I'd like to see it."]),
    ("Ada's mother", "Ada's mother was Ruth Marsh. Ada learned knitting from her mother.",
     ["My mother was Ruth Marsh.", "I learned knitting from my mother."]),
    ("Tom", "Tom is the ferryman, and he is loud. Ada would never call Tom her friend where he could hear.",
     ["Tom is the ferryman, and he is loud.", "I would never call Tom my friend where he could hear."]),
    ("", "The Marigold sank. Ada was young then. Ada ate her first orange.",
     ["The Marigold sank.", "I was young then.", "I ate my first orange."]),
]  # fmt: skip


@pytest.mark.parametrize(("told", "expected"), CONVERTS)
def test_a_fact_is_told_in_the_first_person(told, expected):
    assert first_person(told, ADA, "she") == expected


@pytest.mark.parametrize("told", REFUSED)
def test_what_is_unclear_is_refused(told):
    assert first_person(told, ADA, "she") is None


@pytest.mark.parametrize(("title", "text", "expected"), TEXTS)
def test_a_pronoun_is_the_characters_where_nobody_else_was_spoken_of(title, text, expected):
    assert first_person_text(sentences(text), ADA, "she", title) == expected


def test_nobody_knows_whom_an_endless_sentence_speaks_of():
    assert first_person_text(["x" * 5000 + ".", "Ada lost her hat."], ADA, "she") == [None, None]


def test_they_is_the_character_where_nothing_in_the_plural_was_spoken_of():
    assert first_person_text(["Kit is a thief.", "They are ten.", "They work at night."], ["Kit"], "they") == [
        "I am a thief.", "I am ten.", "I work at night.",
    ]  # fmt: skip
    for before in ("Kit keeps bees.", "Kit has a family.", "Bees hum.", "Ilse is kind."):
        assert first_person_text([before, "They are grey."], ["Kit"], "they")[1] is None
    assert first_person_text(["Kit is ten.", "They are tall and are kind."], ["Kit"], "they")[1] is None


@given(st.lists(st.sampled_from(
    "Ada Ada's she She's her hers herself he they him and , but that when is was keeps keep sings bees Nell Nell's the "
    "a proud lost been got 's to with not never gives tells says Marsh king . ; ’ 'll".split()
), min_size=1, max_size=14), st.sampled_from(["she", "he", "they", ""]))  # fmt: skip
def test_what_is_told_speaks_of_the_character_in_no_other_person(words, pronouns):
    theirs = {"she": "she her hers herself", "he": "he him", "they": "they"}.get(pronouns, "she her hers he him they")
    for told in first_person_text([" ".join(words), "She keeps bees."], ADA, pronouns):
        left = {word for word in mark(told or "", ADA) if not word.isspace()}
        assert not left & {NAME, *theirs.split(), *theirs.title().split()}


@given(st.text(max_size=60))
def test_words_keep_every_character_and_any_text_is_told_or_refused(text):
    assert "".join(mark(text, [])) == text
    assert first_person_text([text, text], ADA, "she", text)


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


def test_grief_is_not_shouted():
    manner = Manner.of([f"I'm here, captain! Number {n}!" for n in range(30)])
    sad = "Col was my brother. The sea was quiet again on the day after Col was lost."
    assert manner.lend(sad, random.Random(0)) == sad
    assert manner.lend("I row. I'm afraid of geese.", random.Random(0)) == "I row. I'm afraid of geese."
    assert manner.lend("I got lost in Harrow.", random.Random(0)) == "I got lost in Harrow, captain!"
    quiet = manner.about("Col went out to fish, and a squall came, and Col did not come home.")
    assert quiet.lend("Col was my brother. I am a ferryman.", random.Random(0)) == "Col was my brother. I'm a ferryman."
    assert manner.about("Biscuit eats pies.") == manner


def test_too_few_lines_have_no_manner():
    manner = Manner.of(["Ahoy, captain!"] * 5)
    assert manner.lend("I am a ferryman.", random.Random(0)) == "I am a ferryman."
