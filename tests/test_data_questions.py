"""Synthetic rows: questions about lore, identity, the unknown and small talk, with the card's own answers."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import questions as ask
from data.answers import answer_rows, is_older_world
from data.facts import fact_questions
from data.filters import normalised
from data.lore import entries_called, lore_rows, title_questions
from data.rows import RowMaker
from data.split import HELD_OUT_QUESTION
from data.telling import Answer, as_said, is_prose, lore_answers
from data.topics import proper_words, topic_of
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


def card_of(*entries, **fields):
    """Mira with other lore: each entry a title, a text, and keys if they are not the title."""
    book = [{"name": name, "keys": keys or [name], "content": content} for name, content, *keys in entries]
    made = CharacterCard(name="Mira", character_book={"entries": book}, **fields)
    return CARD.model_copy(update={"character_book": made.character_book, **fields})


def rows_of(card, replies=(), seed=0):
    return list(lore_rows(card, replies, RowMaker(card, seed)))


def trained(rows):
    return [r for r in rows if HELD_OUT_QUESTION not in r.notes]


def said(*arguments, **more):
    return [answer.text for answer in lore_answers(*arguments, **more)]


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


def test_a_quarter_of_the_questions_goes_without_lore_and_none_comes_twice():
    content = "Mira keeps one of the things. Mira likes some of the others. Mira paints the whole lot in spring."
    rows = rows_of(card_of(*((f"the thing{n}", content, f"thing{n}") for n in range(100))))
    asked = [r for r in trained(rows) if r.origin == "lore"]
    assert len(asked) == 300 and 50 < sum(not r.lore for r in asked) < 110
    questions = [normalised(r.messages[0].content) for r in rows if r.origin == "lore"]
    assert len(set(questions)) == len(questions)


def test_one_answer_is_asked_for_once_told_once_and_asked_for_otherwise_in_the_test():
    rows = rows_of(card_of(("the pond", "Mira keeps frogs in a pond.", "pond")))
    assert Counter(r.origin for r in trained(rows)) == {"lore": 1, "telling": 1}
    (held_out,) = [r for r in rows if HELD_OUT_QUESTION in r.notes]
    assert normalised(held_out.messages[0].content) not in {normalised(r.messages[0].content) for r in trained(rows)}
    assert {r.replies for r in rows} == {("I keep frogs in a pond.",)}


def test_a_held_out_question_is_trained_nowhere_in_the_book():
    rows = rows_of(card_of(*((f"pond {n}", "Mira lives in a mill by the pond.", f"pond {n}") for n in range(9))))
    asked = Counter(normalised(r.messages[0].content) for r in rows if r.origin == "lore")
    assert max(asked.values()) == 1 and any("where" in question for question in asked)


def test_a_fact_about_oneself_is_told_unasked_too():
    told = [r for r in rows_of(card_of(("the pond", "Mira keeps frogs in a pond."))) if r.origin == "telling"]
    assert [r.replies for r in told] == [("I keep frogs in a pond.",)] and not told[0].lore


def test_what_is_told_unasked_mostly_answers_somebody():
    rows = rows_of(card_of(*((f"pond{n}", f"Mira keeps {n} frogs in a pond.") for n in range(50))))
    told = [r for r in rows if r.origin == "telling"]
    assert len(told) == 50 and sum(r.messages[0].role == "assistant" for r in told) == 10
    openers = {normalised(opener) for opener in ask.OPENERS}
    assert all(normalised(r.messages[0].content) in openers for r in told if r.messages[0].role == "user")


@pytest.mark.parametrize(
    "content",
    [
        "Mira cannot swim in any water. Mira thinks it is a secret, but everybody knows it.",
        "Mira was asked to marry a miller. Mira would never speak of it.",
        "Mira was frightened by the flood. Mira says so only when someone asks kindly.",
    ],
)
def test_a_secret_is_not_told_unasked(content):
    assert {r.origin for r in rows_of(card_of(("water", content)))} == {"lore"}


def test_a_bare_fact_is_not_told_unasked():
    assert {r.origin for r in rows_of(card_of(("marriage", "Mira never married.")))} == {"lore"}


def topic(title, prose, pronouns="she", elsewhere=""):
    return topic_of(title, prose, ("Mira",), pronouns, proper_words([prose, elsewhere]))


@pytest.mark.parametrize(
    ("title", "prose", "asked"),
    [
        ("Fear", "Mira fears that one day nobody will come to her glade.", "fear"),
        ("Iron", "Iron burns Mira's skin.", "iron"),
        ("The Glade", "The glade is a clearing. Nobody but Mira can open the glade.", "the glade"),
        ("The mountains", "The mountains once touched the sky.", "the mountains"),
        ("Daily Routine", "Mira rises before her frogs do.", "daily routine"),
        ("Age", "Mira is over 300 years old.", "your age"),
        ("Mira's garden", "Mira tends a walled garden.", "your garden"),
        ("Lake Myrren", "Lake Myrren was clear. She swam in it.", "Lake Myrren"),
        ("the Long Storm", "The Long Storm came eleven winters ago.", "the Long Storm"),
        ("The Long Storm", "The Long Storm came eleven winters ago.", "the Long Storm"),
        ("The Blue Anchor", "Old Jory runs The Blue Anchor.", "The Blue Anchor"),
        ("Eldoria", "The woods of Eldoria are old.", "Eldoria"),
        ("eldoria", "The woods of Eldoria are old.", "Eldoria"),
        ("entry 3", "Mira tends a garden.", ""),
        ("char_info (v2)", "Mira tends a garden.", ""),
    ],
)
def test_a_title_is_written_as_in_the_middle_of_a_sentence(title, prose, asked):
    found = topic(title, prose)
    assert found.text == asked and found.forms is not ask.ABOUT_PERSON


@pytest.mark.parametrize(
    ("title", "prose", "pronouns"),
    [
        ("Nell Harrow", "Nell Harrow is Mira's aunt. Mira visits her on Sundays.", "she"),
        ("Orrin", "Orrin is an old woodcutter who brings bread.", "she"),
        ("Joan", "Mira has a younger sister, Joan, who makes hats.", "she"),
        ("Thistle", "Thistle is a young fox with three legs.", "she"),
        ("Wren", "Wren is ten. Mira is teaching her to read.", "she"),
        ("Mrs. Pell", "Mrs. Pell bakes plum pies.", "he"),
        ("Button the cat", "Mira has a one-eyed grey cat named Button.", "she"),
    ],
)
def test_somebody_is_asked_for_as_a_person(title, prose, pronouns):
    assert topic(title, prose, pronouns).forms is ask.ABOUT_PERSON


def test_a_pronoun_tells_a_person_only_where_it_is_not_the_characters_own():
    prose, elsewhere = "Col took his boat out at dawn.", "Mira waited for Col."
    assert topic("Col", prose, "she", elsewhere).forms is ask.ABOUT_PERSON
    assert topic("Col", prose, "he", elsewhere).forms is ask.ABOUT_THING
    assert topic("Col", prose, "she").text == "col", "no sentence shows that it is a name"


def test_an_answer_never_begins_in_the_middle():
    names = ("Mira",)
    assert said("Mira tends a garden. It has nine beds. Mira waters all of the roses.", names, "she") == [
        "I tend a garden. It has nine beds.",
        "I water all of the roses.",
    ]
    assert said("She hums. It is a song.", names, "she") == []
    assert said("It is a song. Mira hums.", names, "she") == []
    assert said("[Mira: tall, quiet]", names, "she") == []
    assert said("Mira hums so loudly that frogs leave.", names, "she") == ["I hum so loudly that frogs leave."], (
        "the first sentence of an entry has none before it to lean on"
    )
    assert "I like the tailor, but not his stairs." not in said(
        "Mira was asked once, by a tailor from the town. Mira likes the tailor, but not his stairs.", names, "she"
    ), "the tailor must have been introduced"


def test_answers_hold_every_sentence_and_none_begins_more_than_two():
    prose = (
        "Mira loves pies. Plum pie is best by far. Mira believes that a pie without a lid is only a plate with hopes."
    )
    answers = lore_answers(prose, ("Mira",), "she", "pies")
    told = ["I love pies.", "Plum pie is best by far.", "A pie without a lid is only a plate with hopes."]
    assert answers[0].said == tuple(told[:2]) and answers[1].said == (told[2],)
    assert len({answer.text for answer in answers}) == len(answers)
    assert {sentence for answer in answers for sentence in answer.said} == set(told)
    assert max(Counter(answer.said[0] for answer in answers).values()) == 2


SENTENCES = st.sampled_from(
    [
        "Mira keeps seven frogs.", "It has nine beds.", "She hums all day.", "The town fears the flood.",
        "Mira met a tailor once.", "Mira likes the tailor and his hat.", "Then Mira goes home.", "Tall, quiet.",
    ]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(SENTENCES, max_size=8, unique=True))
def test_whatever_an_entry_says_its_answers_keep_the_order_and_begin_at_most_twice_alike(prose):
    answers = lore_answers(" ".join(prose), ("Mira",), "she", "the frogs")
    assert all(n <= 2 for n in Counter(answer.said[0] for answer in answers).values())
    assert len({answer.text for answer in answers}) == len(answers)
    assert all(not re.match(r"(?:It|She|Then)\b", answer.text) and "Tall" not in answer.text for answer in answers)


def test_an_answer_about_somebody_begins_with_the_entry_or_names_them():
    prose = "Mr. Crane likes forms. Bram fills in forms for the barrels. Bram met Mr. Crane once in the rain."
    answers = lore_answers(prose, ("Bram",), "he", "Mr. Crane", strict=True)
    assert [(a.text, a.on_topic) for a in answers][:2] == [
        ("Mr. Crane likes forms. I fill in forms for the barrels.", True),
        ("I met Mr. Crane once in the rain.", True),
    ]
    assert all(a.on_topic != a.text.startswith("I fill in") for a in answers)
    about_self = said("Mira is 30. Mira tends the garden.", ("Mira", "Mira Vale"), "she", "Mira")
    assert "I tend the garden." in about_self


def test_what_the_character_denies_is_not_told():
    prose = "Mira plays chess on Fridays. Ada has won 112 games and Mira has won 9. Mira says 10."
    assert not any("112" in text for text in said(prose, ("Mira",), "she", "chess"))
    assert any("112" in text for text in said(prose.replace("Mira says 10.", ""), ("Mira",), "she", "chess"))


@pytest.mark.parametrize(
    "line",
    [
        "Likes: rain, honey cakes, riddles.",
        "Gender: female.",
        "Favourite food: fish, because it is good.",
        "Tall, freckled, kind.",
        "Blue eyes, red hair, worn boots.",
        "A patched coat.",
    ],
)
def test_lists_are_not_spoken(line):
    assert not is_prose(line) and said(line, ("Mira",), "she") == []


@pytest.mark.parametrize(
    "sentence",
    [
        "Iron burns the skin.",
        "Only one of them rhymes.",
        "Wrens are the worst liars.",
        "Nothing with ill intent can cross the ring.",
        "In winter few travelers come.",
        "Rolling hills reach the sea.",
        "It's cold.",
    ],
)
def test_a_sentence_with_a_verb_is_spoken(sentence):
    assert is_prose(sentence)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("I say the crumbs are for later.", "The crumbs are for later."),
        ("I think it is a secret, but everybody knows it.", "I think it is a secret, but everybody knows it."),
        ("I believe the boat is dry, although it leaks.", "I believe the boat is dry, although it leaks."),
        ("I say the boat is dry, but it leaks.", None),
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


def test_she_is_the_character_only_where_nobody_else_was_spoken_of():
    (first, *_) = lore_answers("Mira is the gardener. She has nine beds, and she's proud of them.", ("Mira",), "she")
    assert first.text == "I am the gardener. I have nine beds, and I'm proud of them."
    answers = lore_answers("Wren is ten. Mira is teaching her to read. She keeps a frog.", ("Mira",), "she", "Wren")
    assert [answer.text for answer in answers] == ["Wren is ten."]


def test_an_entry_about_grief_is_answered_quietly():
    content = "Col was Mira's brother. Col did not come home. Mira has a garden."
    book = {"entries": [{"name": "Col", "keys": ["col"], "content": content}]}
    card = CARD.model_copy(update={"character_book": CharacterCard(name="x", character_book=book).character_book})
    loud = [f"I'm here, captain! Number {n}!" for n in range(30)]
    said = [row.replies[0] for row in lore_rows(card, loud, RowMaker(card, 0))]
    assert said and not any("!" in reply or "captain" in reply for reply in said)


def test_what_others_say_stays_reported():
    assert said("Bram says ten games are his.", ("Ada",), "she", "draughts") == ["Bram says ten games are his."]


def test_a_key_that_is_a_question_is_asked_where_the_answer_fits_it():
    entry = LoreEntry(name="the garden", keys=("where do you work", "who are you", "what (a|the) garden"), content="x")
    found = topic("the garden", "x")
    asked = title_questions(Answer(("I work in a walled garden.",)), entry, found)
    assert "Where do you work?" in asked and "Who are you?" not in asked
    assert not any("|" in question for question in asked)
    assert not {"Where do you work?", "Who are you?"} & {*title_questions(Answer(("I am 58.",)), entry, found)}
    assert "Who are you?" in title_questions(Answer(("I am the gardener of Vale.",)), entry, found)


@pytest.mark.parametrize(
    ("question", "answer", "fits"),
    [
        ("What do you think of Mrs. Pell?", "Mrs. Pell is the baker in Saltby.", False),
        ("What do you think of Mrs. Pell?", "I trust Mrs. Pell with the keys.", True),
        ("How do you know Mrs. Pell?", "Mrs. Pell is the baker in Saltby. I get a pie.", False),
        ("How do you know Mrs. Pell?", "Mrs. Pell is my aunt.", True),
        ("Who is Mrs. Pell?", "Mrs. Pell is the baker in Saltby.", True),
        ("Who is Mrs. Pell?", "Mrs. Pell was the baker in Saltby.", False),
        ("Who was Mrs. Pell?", "Mrs. Pell was the baker in Saltby.", True),
        ("Who is Mrs. Pell?", "I get a pie on my birthday.", False),
        ("Where is Mrs. Pell?", "Mrs. Pell is the baker.", False),
        ("What is Mrs. Pell like?", "I get a pie from Mrs. Pell.", False),
        ("How old are you?", "I am tall.", False),
        ("How old are you?", "I am 58.", True),
        ("Tell me about Mrs. Pell.", "I get a pie on my birthday.", True),
    ],
)
def test_an_answer_fits_the_form_of_its_question(question, answer, fits):
    assert ask.fits(question, answer, "Mrs. Pell") == fits


def test_who_knows_somebody_says_yes_in_its_own_word():
    card = card_of(("Nell", "Nell is a niece of the miller.", "Nell"), pronouns="she")
    rows = [r for seed in range(12) for r in rows_of(card, ["Aye, friend.", "Aye. Sit down.", "Yes."], seed)]
    answers = {r.replies[0] for r in rows if normalised(r.messages[0].content) == "do you know nell"}
    assert answers == {"Aye. Nell is a niece of the miller."}


ASKED = [
    ("I clean the lamp at noon.", "When do you clean the lamp?"),
    ("I light the lamp every day at dusk and put it out at dawn.", "When do you light the lamp?"),
    ("When a friend is sad, I stop joking.", "When do you stop joking?"),
    ("The Marigold struck the Needles forty years ago.", "When did the Marigold strike the Needles?"),
    ("I was born in February, in the snow.", "When were you born?"),
    ("I was born in Saltby on a Friday.", "Where were you born?"),
    ("I sleep for five hours after dawn.", "When do you sleep?"),
    ("I sleep for five hours after dawn.", "How long do you sleep?"),
    ("I have kept the light for thirty-one years.", "How long have you kept the light?"),
    ("I go to Saltby once a year, for the fair.", "How often do you go to Saltby?"),
    ("The lighthouse on Gull Rock has 97 steps.", "How many steps does the lighthouse on Gull Rock have?"),
    ("I live in a white stone lighthouse with 97 steps.", "How many steps does your lighthouse have?"),
    ("I get forty jars of honey in a good summer.", "How many jars of honey do you get in a good summer?"),
    ("I can tie eleven knots with my eyes shut.", "How many knots can you tie with your eyes shut?"),
    ("I have won 112 games and Bram has won nine.", "How many games have you won?"),
    ("I counted 2520 turns.", "How many turns did you count?"),
    ("I'm 44 years old.", "How old are you?"),
    ("I like snow on the sea, because it makes no noise.", "Why do you like snow on the sea?"),
    ("My favourite colour is grey, because it suits me.", "Why is your favourite colour grey?"),
    ("My favourite colour is grey.", "What is your favourite colour?"),
    ("I live on Gull Rock, a small island.", "Where do you live?"),
    ("I keep a map of Gull Rock on the kitchen wall.", "Where do you keep a map of Gull Rock?"),
    ("I have a one-eyed grey cat named Button.", "What is your cat called?"),
    ("Amos Marsh was my father.", "Who was your father?"),
    ("The Merry Gull is my boat.", "What is your boat called?"),
    ("I am afraid of geese.", "What are you afraid of?"),
    ("I eat cold pie for breakfast.", "What do you eat for breakfast?"),
    ("Tom counts 98 steps, because he counts the doorstep.", "Why does Tom count 98 steps?"),
]


@pytest.mark.parametrize(("fact", "question"), ASKED)
def test_a_fact_is_asked_for(fact, question):
    asked = fact_questions(fact, {"Tom", "Gull"})
    assert question in asked and len(set(asked)) == len(asked)


def test_a_fact_is_asked_for_indirectly_too():
    assert fact_questions("I clean the lamp at noon.")[1:] == [
        "Can you tell me when you clean the lamp?",
        "Tell me when you clean the lamp.",
    ]


@pytest.mark.parametrize(
    "fact",
    [
        "I never sleep at night.",
        "I like it when the lamp is lit.",
        "I paint it again every spring.",
        "I know one thing.",
        "They have forty verses.",
        "I keep away from them at night.",
        "Ilse was my rival at school.",
        "I play a harp carved by Orrin.",
        "The tailor asked, and I said no.",
        "I love the moment when the light comes on, and nothing else.",
        "Wil's boats are his, because they were built in a hurry.",
        "Boats sail at dusk.",
        "I.",
    ],
)
def test_nothing_is_asked_where_that_is_unsafe(fact):
    wrong = ("when", "why", "where", "how", "school", "carved")
    assert not [q for q in fact_questions(fact, {"Wil"}) if any(ask.has_word(word, q) for word in wrong)]


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=60), st.sampled_from([fact for fact, _ in ASKED]), st.integers(0, 60))
def test_any_text_gives_questions_that_speak_to_somebody(text, fact, place):
    for question in fact_questions(fact[:place] + text + fact[place:]):
        assert question[-1] in "?." and not re.search(
            r"\b(?:I|my|me)\b", question.replace("tell me", "").replace("Tell me", "")
        )


def test_facts_are_asked_for_in_training_and_in_the_test():
    facts = [(f"pond{n}", f"Mira feeds the frogs of pond{n} at dusk. The town likes Mira's frogs.") for n in range(30)]
    rows = [r for r in rows_of(card_of(*facts)) if r.origin == "lore" and "when" in r.messages[0].content.lower()]
    held_out = [r for r in rows if HELD_OUT_QUESTION in r.notes]
    assert held_out and len(rows) - len(held_out) > 10
    assert all("at dusk" in r.replies[0].split(". ")[0] for r in rows)


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


def unknown_of(*answers, **fields):
    card = CARD.model_copy(update={"extensions": {"persona": {**OWN, "unknown": list(answers)}}, **fields})
    return [r for n in range(20) for r in answer_rows(card, [], RowMaker(card, n)) if r.origin == "unknown"]


OLD = "Mira tends the castle garden and fears the dragon."


@pytest.mark.parametrize(
    ("description", "asked"),
    [
        (OLD, True),
        ("Mira tends a garden.", False),
        (f"{OLD} Mira repairs the radio.", False),
        (f"{OLD} Mira reads the newspaper.", False),
        ("Mira owns a lantern.", False),
    ],
)
def test_modern_things_are_unknown_in_an_older_world_alone(description, asked):
    rows = unknown_of(*OWN["unknown"], description=description)
    questions = {r.messages[0].content.lower() for r in rows}
    assert any(thing in q for q in questions for thing in ask.MODERN_THINGS) == asked == is_older_world(description)
    assert any(word in q for q in questions for word in ask.NONSENSE_WORDS)
    assert not any("the video game" in q for q in questions)


def test_no_is_an_answer_to_yes_or_no_alone():
    rows = unknown_of("No, I have not met with that.", *OWN["unknown"])
    asked = {r.messages[0].content.split()[0].lower() for r in rows if r.replies[0].startswith("No, I")}
    assert asked and asked <= {"do", "have", "may"}
    asked = {r.messages[0].content.split()[0].lower() for r in rows if r.replies[0].startswith("No idea")}
    assert asked and not asked & {"do", "have", "may"}, "nobody has no idea of what is in the own pocket"


def test_no_deflection_is_learnt_by_rote():
    counts = Counter(r.replies[0] for r in answer_rows(CARD, [], RowMaker(CARD, 0)) if r.origin == "unknown")
    assert counts == dict.fromkeys(OWN["unknown"], 2)


def test_a_card_without_answers_says_little_and_nothing_false():
    card = CharacterCard(name="Sera")
    rows = list(answer_rows(card, ['*waves* "Hi."'] * 3, RowMaker(card, 0)))
    assert len(rows) == 3 and all(r.replies[0].startswith('"') for r in rows)
    assert any("AI" in r.replies[0] and "Sera" in r.replies[0] for r in rows)
    assert len(list(answer_rows(card, ["Hi."] * 30, RowMaker(card, 0)))) == 8


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
