"""In novels every quotation is found where it stands, whichever its marks, and goes to whoever says it, or to nobody."""

import importlib.util
import json
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.novel.attribution import TRAINED_CONFIDENCE, attribute
from data.novel.paragraphs import find_layout
from data.novel.quotations import MAX_QUOTATIONS, find, quotations_in
from data.novel.turns import find_turns
from data.quotes import print_quotes
from data.readers.novel import ALONE_CHARACTERS, QUIET_CHARACTERS, looks_like_novel, read_novel
from persona.errors import PersonaError

PASSAGES = Path(__file__).parents[2] / "shared" / "fixtures" / "attribution"
BENCHMARK = Path(__file__).parent / "benchmarks" / "attribution.py"

LIGHTHOUSE = """CHAPTER I

The Lamp

Ada Penrose had kept the lamp for nine winters, and Ned Holt had been
her friend for eight of them. Ada Penrose was never late.

“You are late,” said Ada, without turning round. “The oil is
nearly gone, and so is the light.”

“I am always late,” Ned replied. “Have you eaten, Ada?”

“Not since noon.”

Ned put a basket on the table. Ada looked into it and laughed.

“Bread!” she cried.

Old Mrs. Trewin opened the door.

“Is there room for one more?” asked Mrs. Trewin.

“There is always room,” said Ada.

CHAPTER II

The Storm

The storm came at night. Ned Holt held the rope.

“Pull!” he shouted.

“I am pulling, Mr. Holt!” cried Mrs. Trewin.
"""


def spoken(text):
    return [(quote.text, quote.speaker) for quote in attribute(text) if quote.rule != "not speech"]


def speakers(text):
    return [speaker for _, speaker in spoken(text)]


@pytest.mark.parametrize(
    ("text", "quotations"),
    [
        ('"Yes," said Ada. "No."', ['"Yes,"', '"No."']),
        ("“Yes,” said Ada. “He cried ‘no’ twice.”", ["“Yes,”", "“He cried ‘no’ twice.”"]),
        ("‘It’s Bram’s boat,’ said Ada. ‘The boys’ oars aren’t.’", ["‘It’s Bram’s boat,’", "‘The boys’ oars aren’t.’"]),
        ("'Tis late,' said Ada.\n\n'I can't go, an' I won't,' said Bram.", ["'Tis late,'", "'I can't go, an' I won't,'"]),
        ("'It's the girls' boat,' said Bram.\n\n'No,' said Ada, ''tis mine.'", ["'It's the girls' boat,'", "'No,'", "''tis mine.'"]),
        ("«Yes», said Ada.\n\n«No», said Bram.\n\n«So be it», said Ada.", ["«Yes»", "«No»", "«So be it»"]),
        ("`Yes,' said Ada.\n\n`No,' said Bram.\n\n`So be it,' said Ada.", ["`Yes,'", "`No,'", "`So be it,'"]),
        ('"He said "no" to me," said Ada.', ['"He said "no" to me,"']),
        ("“First.\n\n“Second.”\n\nThe end.", ["“First.\n\n“Second.”"]),
        ("“It never ends.\n\nAda went home. She slept.\n\n“Yes,” he said.", ["“It never ends.", "“Yes,”"]),
        ("“ Of course , we ’ll go ,\nif you like , ” said he .\n“ Good . ”", ["“ Of course , we ’ll go ,\nif you like , ”", "“ Good . ”"]),
        ("' Who is it ? ' said Bram .\n' I do n't know , ' said Ada .", ["' Who is it ? '", "' I do n't know , '"]),
        ('"Who is there?\'\n\n"Bram."\n\n"Come in."', ['"Who is there?\'', '"Bram."', '"Come in."']),
        ("“He said, ‘Who is there?’\n\n“I ran.”", ["“He said, ‘Who is there?’\n\n“I ran.”"]),
        ("'There,' cried Ada, 'and as wet as ever!'\n\n'Is it far?' said Bram.", ["'There,'", "'and as wet as ever!'", "'Is it far?'"]),
        ("'It was,' said Ada.\n\nIt was so, 'twas said, in '98 and '99.\n\n'No,' said Bram.", ["'It was,'", "'No,'"]),
        (f"'We ate it {'all ' * 20}there' said Ada.\n\n'So we did,' said Bram.", [f"'We ate it {'all ' * 20}there'", "'So we did,'"]),
    ],
)  # fmt: skip
def test_every_kind_of_mark_is_understood(text, quotations):
    assert [quotation.text for quotation in find(text)] == quotations


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from(list("\"'“”‘’«»`´ \n\r\t.,!?-—_abcAI*")), max_size=120))
def test_quotations_stand_where_they_say_and_apart(text):
    found = find(text)
    assert all(text[quote.start : quote.end] == quote.text for quote in found)
    assert all(one.end <= other.start for one, other in pairwise(found))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            '“ ” " said asked Ada Bram Mr. Mrs. Holt the old man he she I , . ! ? my his wife King Mary Professor poor Old Dr. came voice \n \n\n to and -- of'.split(" ")
        ),
        max_size=60,
    ).map(" ".join)
)  # fmt: skip
def test_any_words_give_speakers(text):
    for quote in attribute(text):
        assert text[quote.start : quote.end] == quote.text
        assert 0 <= quote.confidence <= 1
        assert quote.trained == (quote.confidence >= TRAINED_CONFIDENCE)
        assert quote.speaker or not quote.trained


@pytest.mark.parametrize(
    ("tagged", "speaker"),
    [
        ("“Come in,” said Ada.", "Ada"),
        ("“Come in,” Ada said gently.", "Ada"),
        ("“Come in!” cried poor old Mr. Holt.", "Mr. Holt"),
        ("Ada took off her hat and said: “Come in.”", "Ada"),
        ("“Come in,” said the White Heron.", "White Heron"),
        ("“Come in,” said the old man, rising.", "the old man"),
        ("“Come in,” said Ada's brother Bram.", "Bram"),
        ("“Come in,” came Ada's voice.", "Ada"),
        ("“Come in,” said I.", "I"),
    ],
)
def test_a_tag_names_the_speaker(tagged, speaker):
    assert speakers(tagged) == [speaker]


def test_names_titles_and_full_names_are_one_person():
    text = "Mr. Bram Holt came in. “No,” said Holt.\n\n“Yes,” said Mr. Holt.\n\n“Why?” said Bram Holt. Bram Holt sat."
    assert set(speakers(text)) == {"Bram Holt"}
    both = "“No,” said Mr. Holt.\n\n“Yes,” said Mrs. Holt."
    assert speakers(both) == ["Mr. Holt", "Mrs. Holt"]


def test_a_paragraph_has_one_speaker_and_alternation_goes_on():
    found = speakers(LIGHTHOUSE)
    assert found[:5] == ["Ada Penrose", "Ada Penrose", "Ned Holt", "Ned Holt", "Ada Penrose"]
    assert found[5:] == ["Ada Penrose", "Mrs. Trewin", "Ada Penrose", "Ned Holt", "Mrs. Trewin"]


def test_the_one_who_is_addressed_does_not_speak():
    text = "Ada and Tom sat down.\n\n“Well, Ada, what now?” he said.\n\n“Home, Tom.”\n\n“Ada!” Ada gave no answer."
    assert "Ada" not in [speaker for said, speaker in spoken(text) if "Ada" in said]
    assert spoken(text)[0][1] == "Tom"


def test_two_quotations_side_by_side_are_two_speakers():
    assert speakers("Ada met Tom. “Are you well?” “I am,” said Tom. Ada laughed.") == ["", "Tom"]


INTRODUCED = "Ada and Ned mended a net. Ada was tired. Ned was not.\n\n"


def rules(text):
    return [(quote.speaker, quote.rule, quote.trained) for quote in attribute(text) if quote.rule != "not speech"]


def test_turns_are_counted_between_two_that_are_told():
    talk = "“Is it much?” asked Ada.\n\n“Enough.”\n\n“And the rope?”\n\n“In the shed,” said Ned."
    assert rules(INTRODUCED + talk)[1:3] == [("Ned", "turns, between", True), ("Ada", "turns, between", True)]


def test_turns_of_two_are_counted_after_one_that_is_told():
    talk = "“Is it much?” asked Ada.\n\n“Enough,” said Ned.\n\n“And the rope?”\n\n“In the shed.”"
    assert rules(INTRODUCED + talk)[2:] == [("Ada", "turns, two", True), ("Ned", "turns, two", True)]


@pytest.mark.parametrize(
    "broken",
    [
        "“Is it much?” asked Ada.\n\n“Enough,” said Ned.\n\n“Did Ada ask that?”\n\n“She did.”",
        "“Is it much?” asked Ada.\n\n“Enough,” said Ned.\n\n“Here, Ned.”\n\n“Well?”\n\n“Look, Ned!”\n\n“At what?”\n\n“Well, Ada?”",
    ],
)
def test_turns_that_contradict_the_count_are_not_trained(broken):
    assert not [speaker for speaker, rule, trained in rules(INTRODUCED + broken) if trained and rule == "turns, two"]


@pytest.mark.parametrize(
    ("said", "called"),
    [
        ("“Come here, Ned!”", [("Ned",)]),
        ("“Ned, if you please, sit down.”", [("Ned",)]),
        ("“No--Ned!”", [("Ned",)]),
        ("“Dr. Hill, who is it?”", []),
        ("“Mr. Holt, is it you?”", [("Mr.", "Holt")]),
        ("“We met the doctor--Hill, if I remember right.”", []),
        ("“And Ned, where is he?”", []),
        ("“Bram, Ada's brother, is a man of sense.”", []),
        ("“This is Rear-Admiral Holt, who served here.”", []),
        ("“My niece, Ada, has left me.”", []),
        ("“This is my friend and colleague, Ned.”", []),
    ],
)
def test_who_is_spoken_of_is_not_spoken_to(said, called):
    layout = find_layout(said)
    turns, _ = find_turns(said, quotations_in(said, layout), layout)
    assert [name for name in turns[0].called if name != ("Dr.", "Hill")] == called


def test_an_answer_is_sure_where_the_one_who_is_called_is_there():
    there = "Ned and Ada came in. Bram sat.\n\n“Where were you, Ned?” asked Ada.\n\n“At sea.”"
    assert rules(there)[1] == ("Ned", "answer", True)
    absent = f"Ned had gone. {'It rained. ' * 300}\n\n“I think of you, Ned,” said Ada.\n\n“Nonsense.”"
    assert rules(absent)[1][1:] == ("answer, far", False)
    another = "Ned sat by Ada.\n\n“Ned!” cried Ada. Bram stepped forward in the dark.\n\n“He sleeps.”"
    assert not rules(another)[1][2]


def test_the_narrator_answers_rather_than_somebody_who_was_only_named():
    told = "“Come, Tom,” said Ada.\n\n“I come,” I said.\n\n" * 3 + "It rained.\n\n" * 5
    asked = "Ada looked up at old Mr. Lowe.\n\n“Is it late?” asked Ada.\n\n“I think so.”"
    assert speakers(told + asked)[-1] == "Tom"


def test_somebody_without_a_name_makes_a_pronoun_unsure():
    known = "The light was kept by Ned.\n\nNed rose and shut the door.\n\n“Be it so,” said he."
    assert rules(known)[0] == ("Ned", "pronoun, only", True)
    rival = "The light was kept by Ned.\n\nNed shut the door. The prisoner turned to the wall.\n\n“Be it so,” said he."
    assert not rules(rival)[0][2]


def test_long_narration_before_a_quotation_makes_its_pronoun_unsure():
    talk = "Ned waited.\n\n“Hush!” said Ned.\n\n“Who is it?” asked Ada.\n\n"
    entering = f"The door opened. {'The lamp smoked and the rain beat down. ' * 8}"
    assert rules(talk + "“Wait,” said he.")[2] == ("Ned", "pronoun, only", True)
    assert not rules(f"{talk}{entering}“I am late,” said he.")[2][2]


@pytest.mark.parametrize(
    "tagged",
    [
        "“It is late,” thought Ada, “and cold.”",
        "“It is late,” said Ada to herself.",
        "“Is it late?” Ada asked herself.",
        "“It is late,” said Ada, to herself.",
        "Ada shut the door and said to herself: “It is late.”",
    ],
)
def test_thoughts_have_their_speaker_and_are_never_trained(tagged):
    found = attribute(f"Ada kept the lamp.\n\n{tagged}")
    assert {(quote.speaker, quote.rule, quote.trained) for quote in found} == {("Ada", "thought", False)}
    assert rules("Ada kept the lamp.\n\n“It is late,” mused Ada aloud.")[0][2]


@pytest.mark.parametrize(
    ("paragraph", "found"),
    [
        ("“So it is,” said Ada, who agreed to all that Bram said; “there is none here.”", ["Ada", "Ada"]),
        ("Bram heard an exclamation of “Oh dear!” from Ada, and Bram said, “Who is it?”", ["Ada", "Bram"]),
        ("“Come back!” Ada called after it; and the others joined her with loud voices, “Yes, come!”", ["Ada", ""]),
        ("“No,” said Ada, while Bram stood by; “and never again.”", ["Ada", "Ada"]),
        ("“We will!” they both cried. “Come, Ada!”", ["", ""]),
        ("“I went far,” said Ada (and Bram said, “No,” to himself, then) “and farther.”", ["Ada", "Bram", "Ada"]),
        ("“I went far--” (“No,” said Bram)--“and farther.”", ["", "Bram", ""]),
    ],
)
def test_every_piece_of_a_paragraph_goes_to_whoever_says_it(paragraph, found):
    assert speakers(f"Ada and Bram came.\n\n“Well?” asked Bram.\n\n{paragraph}")[1:] == found


def test_a_thing_that_speaks_is_nobody_with_a_gender():
    text = "Ned read the letter. He held it to the lamp.\n\n“Come at once,” it said.\n\n“Why?” asked Ned."
    assert speakers(text) == ["", "Ned"]
    beast = "The Heron sat. “No,” said the Heron.\n\nThe Heron rose.\n\n“Yes,” it said.\n\n“Why?” asked Ada."
    assert speakers(beast)[1] == "Heron"


def test_places_and_exclamations_are_no_people():
    text = (
        "“Good God!” cried Ned. “Penrose Hall, Ada, and Victoria Street!”\n\nADA\n\nAda’s Evidence came late.\n\n"
        "“Penrose Hall, Ned, is far.”\n\n“Good God, Ada!”\n\n“Penrose Hall, too,” said Ada.\n\n“Far.”"
    )
    assert set(speakers(text)) <= {"Ned", "Ada", ""}


def test_relations_and_titles_find_their_people():
    text = "Dr. Hill and Mrs. Hill were at home. Mr. Lowe was there.\n\n“Is it bad?” asked Mr. Lowe.\n\n“No,” said the doctor."
    assert speakers(text)[1] == "Dr. Hill"
    married = "Mr. Lowe lived with Mrs. Lowe.\n\n“My dear Mr. Lowe,” said his wife, “you dream.”"
    assert speakers(married) == ["Mrs. Lowe", "Mrs. Lowe"]


TOLD = "“Well, Tom,” said Ada.\n\n“I am cold,” I said.\n\n“Then sit, Tom,” said Bram.\n\n“Gladly,” said I.\n\n"


def test_the_narrator_is_i_until_the_others_name_them():
    found = attribute("“I am cold,” I said.\n\n“Then sit,” said Ada.\n\n“Gladly,” said I.")
    assert [(quote.speaker, quote.trained) for quote in found] == [("I", False), ("Ada", True), ("I", False)]
    named = attribute(TOLD * 3)
    assert [quote.speaker for quote in named][:4] == ["Ada", "Tom", "Bram", "Tom"]
    assert all(quote.trained for quote in named)
    two = "“I am cold, Joe,” said Ada.\n\n“So am I,” said I.\n\n"
    assert {quote.speaker for quote in attribute(TOLD * 3 + two * 5) if "am I" in quote.text} == {"I"}


def test_titles_and_single_words_are_no_speech():
    found = attribute("He read the “Evening Star” at the “Anchor” daily.\n\n“It is dull,” said Ada.")
    assert [quote.rule == "not speech" for quote in found] == [True, True, False]
    assert not found[0].trained


def test_sentences_on_lines_of_their_own_are_read_like_paragraphs():
    text = "“ You are late , ” said Ada .\n“ I am , ” Bram answered .\n“ Why ? ”\nasked Ada .\nBram said nothing .\n"
    assert speakers(text) == ["Ada", "Bram", "Ada"]


def test_offsets_hold_with_windows_line_ends_and_in_gutenberg_files():
    windows = LIGHTHOUSE.replace("\n", "\r\n")
    assert [windows[q.start : q.end] for q in attribute(windows)] == [q.text for q in attribute(windows)]
    assert [q.speaker for q in attribute(windows)] == [q.speaker for q in attribute(LIGHTHOUSE)]
    book = (
        f"“Free,” said the title page.\n*** START OF THE PROJECT GUTENBERG EBOOK THE LAMP ***\n\n{LIGHTHOUSE}\n\n"
        "*** END OF THE PROJECT GUTENBERG EBOOK THE LAMP ***\n“As is,” said the licence.\n"
    )
    found = attribute(book)
    assert [q.text for q in found] == [q.text for q in attribute(LIGHTHOUSE)]
    assert all(book[q.start : q.end] == q.text for q in found)
    assert read_novel(book, "lamp.txt").licence


def test_a_novel_becomes_scenes_of_whole_speeches():
    source = read_novel(LIGHTHOUSE, "lamp.txt")
    assert [scene.title for scene in source.scenes] == ["CHAPTER I", "CHAPTER II"]
    first, second = source.scenes[0].utterances[:2]
    assert first.text == "You are late. The oil is nearly gone, and so is the light."
    assert (first.speaker, first.rule) == ("Ada Penrose", "name")
    start, end = (int(n.replace(",", "")) for n in first.place.removeprefix("characters ").split("-"))
    assert LIGHTHOUSE[start:end].startswith("“You are late") and LIGHTHOUSE[start:end].endswith("the light.”")
    assert second.text == "I am always late. Have you eaten, Ada?"
    assert source.kind == "novel" and source.notes


def test_long_narration_cuts_scenes_and_unknown_speakers_stay():
    text = f"“Yes,” said Ada.\n\n{'It rained. ' * (QUIET_CHARACTERS // 10)}\n\n“No,” said Bram.\n\n“They _all_ sing,” they cried."
    scenes = read_novel(text, "rain.txt").scenes
    assert [[u.speaker for u in scene.utterances] for scene in scenes] == [["Ada"], ["Bram", ""]]
    assert scenes[1].utterances[1].text == "They all sing."
    with pytest.raises(PersonaError, match="No quotation"):
        read_novel("It rained.", "rain.txt")


def test_thoughts_stand_in_no_scene_and_end_a_speech():
    text = "“Sit,” said Bram.\n\n“Gladly,” said Ada. “He is rude,” thought Ada. Ada smiled. “Well?” she said.\n\n“Oh,” thought Bram."
    said = [utterance.text for scene in read_novel(text, "lamp.txt").scenes for utterance in scene.utterances]
    assert said == ["Sit.", "Gladly.", "Well?"]


def test_half_a_sentence_is_not_trained():
    text = "“No,” said Ada.\n\nThe boat, which Ada called “the finest in the whole wide and windy west of the world.”\n\n“Yes,” said Ada."
    halves = [u for scene in read_novel(text, "lamp.txt").scenes for u in scene.utterances if u.text[0].islower()]
    assert [(half.rule, half.confidence < TRAINED_CONFIDENCE) for half in halves] == [("half a sentence", True)]


def test_chapters_with_a_number_and_a_title_are_headings():
    text = "I. The Lamp\n\n“Yes,” said Ada.\n\nII. Mrs. TREWIN'S STORM.\n\n“No,” said Bram.\n\nI. e. it was cold.\n\n“So,” said Ada."
    for book in (text, text.replace("\n", "\r\n")):
        scenes = read_novel(f"Title\r\n\r\n{book}" if "\r" in book else f"Title\n\n{book}", "lamp.txt").scenes
        assert [(scene.title, len(scene.utterances)) for scene in scenes] == [
            ("I. The Lamp", 1),
            ("II. Mrs. TREWIN'S STORM.", 2),
        ]


def test_a_speaker_who_goes_on_after_a_paragraph_of_narration_begins_a_scene():
    quiet = "Ada went up to the lamp. " * (ALONE_CHARACTERS // 20)
    text = f"“Yes,” said Ada.\n\n{quiet}\n\n“No,” said Ada.\n\nShe sat.\n\n“So,” said Ada.\n\n{quiet}\n\n“Well?” said Bram."
    said = [[u.text for u in scene.utterances] for scene in read_novel(text, "lamp.txt").scenes]
    assert said == [["Yes."], ["No.", "So.", "Well?"]]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("“I must thank you,” said Ada, “for calling.”", "I must thank you for calling."),
        ("“I fear,” said Ada, “that Bram is late.”", "I fear that Bram is late."),
        ("“I fear, sir,” said Ada, “that Bram is late.”", "I fear, sir, that Bram is late."),
        ("“Come,” said Ada, “and see.”", "Come, and see."),
        ("“Tell me,” said Ada, “is it late?”", "Tell me, is it late?"),
        ("“He was here,” said Ada; “he is gone.”", "He was here; he is gone."),
        ("“Very good,” said Ada, “--where is it?”", "Very good--where is it?"),
        ("“Yes,” said Ada. “No.”", "Yes. No."),
    ],
)
def test_the_marks_of_a_speech_that_is_interrupted(written, said):
    assert read_novel(f"“Well?” said Bram.\n\n{written}", "lamp.txt").scenes[0].utterances[1].text == said


def test_novels_are_told_from_scripts_and_pages():
    assert looks_like_novel(LIGHTHOUSE)
    assert not looks_like_novel("ADA: “Yes,” said Bram, said he.\nBRAM: “No,” said Ada.\n" * 5)
    assert not looks_like_novel("# Lamp\n\nThe “Long Lamp” burns oil. It is “old”, and “dear” to all.\n" * 20)
    assert not looks_like_novel("")


def test_the_command_prints_one_object_a_line(tmp_path, capsys):
    file = tmp_path / "lamp.txt"
    file.write_bytes(b"\xef\xbb\xbf" + LIGHTHOUSE.replace("\n", "\r\n").encode())
    print_quotes(file, as_json=True)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    text = file.read_bytes().decode("utf-8-sig")
    assert all(list(row) == ["start", "end", "text", "speaker", "confidence", "rule", "trained"] for row in rows)
    assert [text[row["start"] : row["end"]] for row in rows] == [row["text"] for row in rows]
    print_quotes(file, as_json=False)
    shown = capsys.readouterr().out
    assert "Mrs. Trewin" in shown and all(len(line) <= 80 for line in shown.splitlines())


def test_files_that_are_no_novels_are_refused_with_a_sentence(tmp_path, capsys):
    with pytest.raises(PersonaError, match="no file"):
        print_quotes(tmp_path / "none.txt", as_json=True)
    (tmp_path / "bare.txt").write_text("It rained.")
    with pytest.raises(PersonaError, match="No quotation"):
        print_quotes(tmp_path / "bare.txt", as_json=False)
    print_quotes(tmp_path / "bare.txt", as_json=True)
    assert capsys.readouterr().out == ""
    with pytest.raises(PersonaError, match="quotations"):
        attribute('"a" ' * (MAX_QUOTATIONS + 1))


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "“-",
            "Ab ",
            "'A ",
            "“A ",
            "Oh, my dear ",
            "\n ",
            "_",
            "said ",
            "Mr. A. ",
            "*** START OF THE PROJECT GUTENBERG ",
        ),
        *("x, 'and ", "\n\n'x, 'and y", "Ned, who the ", "Ned, ", "\n\n“Ned!'", "”\n\n“Ned,” said Ada. “", "I.  "),
    ],
)
def test_time_grows_with_the_text_and_no_faster(piece):
    began = time.process_time()
    attribute("“" + piece * (200_000 // len(piece)) + "”")
    assert time.process_time() - began < 3


def test_the_passages_of_litbank():
    if not PASSAGES.is_dir():
        pytest.skip("the annotated passages are not there")
    spec = importlib.util.spec_from_file_location("attribution_benchmark", BENCHMARK)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    judged, found, matched = benchmark.judge(PASSAGES)
    precision, share = benchmark.tier(judged)
    assert precision >= 0.9 and share >= 0.2
    assert matched / found > 0.9 and sum(right for *_, right in judged) / len(judged) > 0.5
