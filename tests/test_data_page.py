"""The look at a dataset: a page that no stranger's text can break, one terminal screen, its card, and its upload."""

import base64
import hashlib
import html
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import huggingface_hub
import pytest
import yaml
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.utils import filter_repo_objects
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from data import hub, lengths
from data.dataset_card import dataset_card
from data.hub import push_to_hub
from data.lengths import marked
from data.look import HELD_OUT_LINES, LEAKS, Covered, Look, headline
from data.page import page
from data.page_screen import one_screen
from data.split import Split, leakage
from persona.base import Base
from persona.card import CharacterCard
from persona.conversation import Conversation, Message
from persona.errors import PersonaError
from persona.formats.text import CONTROLS, printable
from persona.prompt import encode

BASE = Base.resolve()
MIRA = CharacterCard(name="Mira", description="Mira tends a walled garden.")
HOSTILE = [
    "<script>alert(1)</script>",
    "</style></title><img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)' autofocus='",
    "abc \u202egnp.exe \u2066x",
    "\x1b[2J\x07\x00\r",
    "---\nlicense: mit\n---\n- x: [",
    "a | b `c` ${d} {e} %s\\",
    "\u2028\u2029\ufffe\uffff\x7f\x85",
    "&lt;b&gt; &#x3c;",
]
VOID = {"meta", "br", "hr"}
TAGS = set(
    "html head title style body header h1 h2 h3 p ul ol li b aside nav a main section article div table thead tbody tr "
    "th td span svg rect line figure details summary code pre bdi ins".split()
)

hostile = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40))


def row(reply="I water it at dusk.", question="Who waters the garden?", origin="real", **fields):
    messages = (Message("user", question, fields.pop("asks", None)), Message("assistant", reply))
    return Conversation(messages, "Mira", **{"id": reply, "origin": origin, "source": "lines", "scene": "1", **fields})


def look(**fields):
    plain = {
        "character": MIRA,
        "rows": {"train": [row()], "validation": [], "test": []},
        "dropped": [],
        "steps": [("read", 3), ("kept", 1)],
        "speakers": [("Mira", 1), ("Tom", 1)],
        "sources": [{"name": "lines.md", "kind": "script", "licence": "MIT", "sha256": "ab" * 32, "lines": "2"}],
        "quarantined": [],
        "silent_entries": [],
        "entries": [],
        "personal": {},
        "near_duplicates": [],
        "leakage": {},
        "notes": [],
    }
    return Look(**{**plain, **fields})


class Checked(HTMLParser):
    """Fails on a tag that is not the page's own, on one that is not closed, and on any attribute that acts."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.text = [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert tag in TAGS | VOID, tag
        for name, value in attributes:
            assert not name.startswith("on") and name not in ("style", "src"), (name, value)
            assert name != "href" or re.fullmatch(r"#[a-z]+", value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in {"rect", "line"}
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            return
        assert not CONTROLS.search(data)
        self.text += data


def printed(renderable, width=80):
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(renderable)
    return out.getvalue()


def hostile_look(texts):
    """A look with a stranger's text in every place that takes one."""
    a, b, c, d = texts
    rows = [row(reply=a or "Hm.", question=b, asks=c[:20], source=d, scene=a, id=b, notes={"entry": c, d: a})]
    return look(
        character=MIRA.model_copy(update={"name": a, "description": b}),
        rows={"train": rows, "validation": rows, "test": []},
        dropped=[(rows[0], c), (rows[0], d)],
        steps=[(a, 3), (b, 0)],
        speakers=[(b, 4)],
        sources=[dict.fromkeys(("name", "kind", "licence", "sha256", "lines", "language"), c)],
        quarantined=[(a, b, c)],
        silent_entries=[d],
        entries=[a, d, c],
        personal={b: 2},
        near_duplicates=[(c, d)],
        leakage={a: 1},
        notes=[b, d],
    )


@given(st.lists(hostile, min_size=4, max_size=4))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_text_breaks_the_page_the_screen_or_the_card(texts):
    given_look = hostile_look(texts)
    read = Checked(page(given_look))
    for text in texts:
        assert printable(text) in read.text
    screen = printed(one_screen(given_look, "mira"))
    assert not CONTROLS.search(screen) and screen.count("\n") <= 23
    front, body = re.fullmatch(r"---\n(.*?\n)---\n(.*)", dataset_card(given_look), re.DOTALL).groups()
    fields = yaml.safe_load(front)
    assert fields["pretty_name"] == f"Dialogues of {printable(texts[0])}"
    assert fields["license"] in ("unknown", "other")
    assert fields["configs"][0]["data_files"] == [{"split": s, "path": f"{s}.jsonl"} for s in ("train", "validation")]
    assert not re.search(r"(?<!\\)<(?!/?(?:bdi)\b)[a-z!/]", re.sub(r"`[^`\n]*`", "", body))


def test_surrogates_in_what_was_not_read_do_not_stop_the_page():
    text = page(look(quarantined=[("chat.jsonl", "line 3", "a lone \ud800")], dropped=[(row(), "why \udfff")]))
    assert "a lone \\ud800" in text and text.encode()


def test_the_page_needs_nothing_and_allows_nothing():
    text = page(look())
    assert "http" not in text.replace("http-equiv", "") and "<script" not in text and "url(" not in text
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert text == page(look())


def part(text, anchor):
    """A section of the page."""
    return re.search(rf'<section id="{anchor}">.*?</section>', text, re.DOTALL)[0]


def copy_of(parent):
    return replace(parent, id=f"{parent.id}~typos", notes={"parent": parent.id, "change": "typos"})


# Left out ------------------------------------------------------------------------------------------------------------


def test_every_reason_has_its_count_at_most_three_examples_and_the_number_of_the_others():
    dropped = [(row(f"Reply {n}."), "too long") for n in range(10)] + [(row("Hm?"), "duplicate")]
    text = part(page(look(dropped=dropped)), "dropped")
    assert text.index("<b>10</b>") < text.index("<b>1</b>")
    assert [f"Reply {n}." in text for n in range(10)].count(True) == 3
    assert text.count("and 7 more") == 1 == text.count("more</p>")


def talk(*turns):
    """A row of turns, the user's and Mira's by turns."""
    roles = ("user", "assistant")
    messages = tuple(Message(roles[n % 2], said, None if n % 2 else "Tom") for n, said in enumerate(turns))
    return Conversation(messages, "Mira")


@pytest.mark.parametrize(
    ("guilty", "reason", "shown"),
    [
        ("", "empty message", "(nothing)"),
        ("Sit. \nTom: I will not!", "speaks for the user", "Tom: I will not!"),
        ("[insert name] is here.", "placeholder left over", "[insert name]"),
        (" ".join(f"and word {n}" for n in range(300)) + ", and then the", "reply is cut off", "299, and then the"),
        ("Собака лает на чужих людей.", "another script", "Собака"),
        ("I water it at dusk.", "reply is held out", "I water it at dusk."),
    ],
)
def test_the_turn_that_a_dialogue_was_left_out_for_is_on_the_page(guilty, reason, shown):
    turns = [f"Turn {n} of a long talk." for n in range(16)]
    turns[3] = guilty
    rows = {"train": [row(f"Line {n} of Mira.") for n in range(9)], "validation": [row()], "test": []}
    text = part(page(look(rows=rows, dropped=[(talk(*turns), reason)])), "dropped")
    (blamed,) = re.findall(r'<p class="own blamed">.*?</p>', text, re.DOTALL)
    assert shown in blamed
    assert "Turn 2 of" in text and "… 2 turns<" in text and "… 12 turns<" in text and "Turn 15 of" not in text


def test_a_dialogue_that_was_left_out_as_a_whole_blames_no_turn():
    text = part(page(look(dropped=[(talk(*(f"Turn {n}." for n in range(14))), "near duplicate")])), "dropped")
    assert "blamed" not in text and "… 2 turns<" in text and "Turn 2." in text and "Turn 13." in text


# Counts --------------------------------------------------------------------------------------------------------------


def counted_look(**fields):
    """Of 9 lines of Mira's 4 are trained, one of them twice and one in a copy, 2 held out, 2 left out with a reason."""
    parent = row("At dusk.", id="parent")
    train = [
        parent,
        copy_of(parent),
        row("Yes."),
        row("Yes!", id="again"),
        row("No."),
        row("I am Mira.", origin="identity"),
    ]
    rows = {"train": train, "validation": [row("Not I.")], "test": [row("Nor he.")]}
    fields = {"dropped": [(row("Hm."), "duplicate"), (row("Mm."), "too long")], **fields}
    return look(rows=rows, speakers=[("Tom", 20), ("MIRA", 7), ("{{char}}", 2)], steps=[("rows made", 8)], **fields)


def test_first_of_all_stands_what_became_of_the_characters_lines():
    given_look = counted_look()
    lines = given_look.real_lines
    assert (lines.found, lines.trained, lines.held_out, lines.left_out) == (9, 4, 2, 3)
    assert (lines.different, lines.without_dialogue) == (3, 1)
    assert headline(given_look) == (
        "Mira has 9 lines in 1 source: 4 trained, 2 held out to test with, 3 left out. To train on there are 6 dialogues "
        "with 6 replies: 4 real lines, 1 in copies with the user's side varied, 1 written from card and lore."
    )
    figures = re.search(r'<ul class="figures">.*?</ul>', page(given_look))[0]
    assert re.findall(r"<b>(\d+)</b>", figures) == ["9", "4", "2", "3"]
    assert "trained, 3 different" in figures and "left out, 1 of them as doubtful" in figures
    screen = printed(one_screen(given_look, "mira"))
    assert screen.splitlines()[0] == "own lines: 9 in the sources, 4 trained, 2 held out, 3 left out"
    assert "next: to keep or drop 1 doubtful line: python -m data review mira" in screen


def test_lines_on_the_card_and_lines_under_other_names_are_the_characters_too():
    rows = {"train": [row("Hello.", origin="greeting", source="greeting"), row("Aye.", source="play.txt")]}
    given_look = look(rows=rows, speakers=[("Tom", 3), ("THE GARDENER", 5)], labels=frozenset({"the gardener"}))
    assert given_look.real_lines.found == 6 and given_look.real_lines.left_out == 4


def test_every_column_has_its_unit_and_adds_up_and_copies_are_apart():
    given_look = counted_look()
    assert list(given_look.kinds.items()) == [
        ("real", [(4, 4), (1, 1), (1, 1)]),
        ("copy", [(1, 1), (0, 0), (0, 0)]),
        ("identity", [(1, 1), (0, 0), (0, 0)]),
    ]
    for split, total in enumerate(given_look.totals):
        assert total == tuple(sum(kind[split][unit] for kind in given_look.kinds.values()) for unit in (0, 1))
    screen = printed(one_screen(given_look, "mira"))
    assert re.search(r"dialogues replies +dialogues replies +dialogues replies\n", screen)
    assert re.search(r"copies, user side varied +1 +1 +0 +0 +0 +0\n", screen)
    assert re.search(r"all +6 +6 +1 +1 +1 +1\n", screen)
    table = Checked(part(page(given_look), "kinds")).text
    assert table.count("dialogues") == table.count("replies") == 3 and "copies, user side varied" in table
    assert "| train: dialogues | train: replies |" in dataset_card(given_look)


def test_the_steps_begin_before_anything_was_left_out():
    assert counted_look().whole_road == [("found in the sources, or written", 9), ("rows made", 8)]
    assert counted_look(dropped=[(row(), "duplicate")]).whole_road == [("rows made", 8)]


def test_what_is_held_out_is_no_alarm_and_what_leaks_is():
    assert set(leakage(Split())) == {HELD_OUT_LINES, *LEAKS}
    rows = {"train": [row()], "validation": [row("Not I.")], "test": [row("Nor he.")]}
    well = look(rows=rows, leakage={HELD_OUT_LINES: 2, **dict.fromkeys(LEAKS, 0)})
    said = "none of them trained, none sharing 8 words in a row with a trained one"
    assert f"2 real replies held out: {said}." in Checked(page(well)).text and "alarm" not in part(
        page(well), "leakage"
    )
    assert f"held out: {said}\n" in printed(one_screen(well, "mira")) and said in dataset_card(well)
    leaking = look(rows=rows, leakage={HELD_OUT_LINES: 2, **dict.fromkeys(LEAKS, 0), "also trained": 1})
    assert '<span class="alarm"><bdi>1 of them trained</bdi></span>, ' in part(page(leaking), "leakage")
    assert "held out: 1 of them trained, none sharing" in printed(one_screen(leaking, "mira"))


def test_a_dataset_without_held_out_lines_says_so():
    text = Checked(page(look(leakage={HELD_OUT_LINES: 0, **dict.fromkeys(LEAKS, 0)}))).text
    assert "No real reply is held out" in text


def test_the_character_stands_first_among_the_speakers():
    table = Checked(
        part(page(look(speakers=[(f"Guest {n}", 90 - n) for n in range(50)] + [("Mira", 3)])), "speakers")
    ).text
    assert table.index("Mira, the character") < table.index("Guest 0")


def test_the_lines_of_lines_md_are_those_that_no_other_source_has():
    sources = [
        {"name": name, "lines": lines} for name, lines in (("card.toml", ""), ("lines.md", ""), ("a.txt", "1,000"))
    ]
    given_look = look(sources=sources, speakers=[("Mira", 700), ("Tom", 334)])
    assert [given_look.lines_of(source) for source in sources] == ["", "34", "1,000"]
    assert "34" in part(page(given_look), "sources") and "| 34 |" in dataset_card(given_look)


# Samples -------------------------------------------------------------------------------------------------------------


def test_samples_are_of_every_kind_one_of_each_first_and_the_same_each_time():
    kinds = ["real"] * 40 + ["lore"] * 20 + ["identity"] * 3 + ["greeting"]
    rows = [row(f"Reply {n}.", origin=kind) for n, kind in enumerate(kinds)]
    given_look = look(rows={"train": rows, "validation": [row("Held out.")], "test": []})
    samples = given_look.samples()
    assert len(samples) == 12 == len({r.id for r in samples}) and {r.origin for r in samples[:4]} == set(kinds)
    assert samples == given_look.samples() and "Held out." not in [r.id for r in samples]


def test_no_copy_stands_beside_its_parent():
    rows = [row(f"Reply {n}.") for n in range(3)]
    samples = look(rows={"train": [*rows, *map(copy_of, rows)]}).samples()
    assert len({r.notes.get("parent", r.id) for r in samples}) == len(samples) == 3


def test_a_row_that_is_learnt_in_two_texts_says_why():
    turns = [
        ("Who waters it?", None),
        ("I do.", None),
        ("When?", "Tom"),
        ("At dusk.", None),
        ("Why?", "Ann"),
        ("For it.", None),
    ]
    messages = tuple(Message(("user", "assistant")[n % 2], said, name) for n, (said, name) in enumerate(turns))
    two = Conversation(messages, "Mira", id="two")
    assert len(marked(two, MIRA, BASE)) == 2
    text = page(look(rows={"train": [two]}))
    assert "<hr" not in text and part(text, "samples").count("somebody else joins") == 1
    assert "somebody else joins" not in page(look())


def test_lore_is_spoken_of_only_where_there_is_any():
    assert "lore" not in Checked(part(page(look()), "samples")).text
    rows = {"train": [row(), row("No.", lore=False)]}
    text = part(page(look(rows=rows, entries=["the well"])), "samples")
    assert "train, lore is looked up" in text and "train, lore is not looked up" in text


# Lore ----------------------------------------------------------------------------------------------------------------


def test_coverage_counts_trained_rows_and_the_sentences_in_them_and_names_the_other_entries():
    contents = {
        "the wall": "Mira mended the wall in spring. The wall is made of round stones. Nobody climbs over it.",
        "the gate": "The gate is blue.",
        "the well": "The well is dry.",
    }
    entries = [{"name": name, "keys": [name], "content": content} for name, content in contents.items()]
    mira = CharacterCard.model_validate({**MIRA.model_dump(), "character_book": {"entries": entries}})
    wall = row(
        "I mended the wall in spring. The wall is made of round stones!", origin="lore", notes={"entry": "the wall"}
    )
    gate = row("The gate is blue.", origin="lore", notes={"entry": "the gate"})
    given_look = look(
        character=mira, rows={"train": [wall], "test": [gate]}, entries=list(contents), silent_entries=["the well"]
    )
    assert given_look.coverage == {
        "the wall": Covered(trained=1, held_out=0, told=2, sentences=3),
        "the gate": Covered(trained=0, held_out=1, told=0, sentences=1),
        "the well": Covered(trained=0, held_out=0, told=0, sentences=1),
    }
    text = Checked(part(page(given_look), "lore")).text
    assert "1 of 3 entries have trained rows; by their words, these tell 2 of the 5 sentences of the lore." in text
    assert "No row was made of 1 entry" in text and "1 entry only held out" in text and "2 of 3 sentences" in text
    assert "lore: 1 of 3 entries trained, 1 held out, 1 without rows: the well" in printed(
        one_screen(given_look, "mira")
    )


def test_an_empty_dataset_can_be_looked_at():
    nothing = look(rows={"train": [], "validation": [], "test": []}, sources=[], steps=[], speakers=[])
    Checked(page(nothing))
    assert "no row to measure" in printed(one_screen(nothing, "mira"))
    assert "configs" not in yaml.safe_load(dataset_card(nothing).split("---\n")[1])


def test_the_screen_says_what_to_do_next():
    few = printed(one_screen(look(silent_entries=["the well"], entries=["the well"]), "mira"))
    assert "write more dialogue: 1 real reply" in few and "persona train mira" in few
    enough = look(rows={"train": [row(f"Reply {n}.") for n in range(20)]})
    assert "write more" not in printed(one_screen(enough, "mira"))


def test_a_full_screen_leaves_a_line_for_the_prompt():
    kinds = ["real", "greeting", "example", "lore", "identity", "unknown", "smalltalk", "telling", "teacher"]
    rows = [row(f"Reply {kind}.", origin=kind) for kind in kinds]
    full = look(
        rows={"train": rows, "validation": rows, "test": rows},
        dropped=[(row(), f"reason {n} " * 20) for n in range(9)],
        silent_entries=["the well"] * 50,
        entries=["the well"] * 50,
        quarantined=[("chat.jsonl", "line 1", "x" * 300)] * 9,
        personal=dict.fromkeys("abcdefghijklmnopqrstuvwxyz", 3),
        leakage=dict.fromkeys(LEAKS, 3),
        notes=["A long note. " * 20] * 9,
        character=MIRA.model_copy(
            update={"name": "Mira of the long name " * 5, "description": "It is a garden. " * 900}
        ),
    )
    lines = printed(one_screen(full, "mira")).splitlines()
    assert len(lines) <= 23 and max(map(len, lines)) <= 80
    assert any("are cut: the card is too long for its half of the context" in line for line in lines)


def test_the_screen_gives_the_reason_before_a_long_name():
    quarantined = [("The Marrow - 2025-06-12@20h14m03s and more.jsonl", "line 24", "This is not JSON.")]
    assert "1 place, first: This is not JSON. (line 24 of The" in printed(
        one_screen(look(quarantined=quarantined), "mira")
    )


def test_a_card_over_its_half_of_the_context_is_said_on_the_screen():
    long = look(character=MIRA.model_copy(update={"description": "Mira tends a walled garden. " * 200}))
    screen = printed(one_screen(long, "mira"))
    assert "1 of 1 prompts are cut: the card is too long for its half of the context" in screen
    assert "next: persona show mira says what is cut" in screen and "of 2,048" not in screen
    assert "cut" not in printed(one_screen(look(), "mira"))


# Lengths and marks ---------------------------------------------------------------------------------------------------


def test_pieces_are_the_text_that_the_model_reads_and_what_is_trained_is_the_replies():
    turns = [("user", "Wer bist du? 🌱"), ("assistant", "Mira. 🌻🏴‍☠️ Ünd du?"), ("user", "Tom."), ("assistant", "Gut.")]
    talk = Conversation(tuple(Message(*turn) for turn in turns), "Mira", id="x")
    template = BASE.template()
    (pieces,) = marked(talk, MIRA, BASE)
    (example,) = encode(talk, MIRA, template)
    assert "".join(p.text for p in pieces) == template.tokenizer.decode(example.ids, skip_special_tokens=False)
    said = "".join(p.text for p in pieces if p.trained)
    assert said == "Mira. 🌻🏴‍☠️ Ünd du?<|end|>Gut.<|end|>"
    assert not any("\ufffd" in p.text for p in pieces)


def test_lengths_are_those_of_training_and_a_sample_says_so(monkeypatch):
    rows = [row(f"I water it {'and water it ' * n}at dusk.") for n in range(30)]
    template = BASE.template()
    exact = [len(encode(r, MIRA, template)[0].ids) for r in rows]
    measured = lengths.lengths(rows, MIRA, BASE)
    assert list(measured.tokens) == exact and not measured.altered
    assert (measured.quantile(0), measured.quantile(0.5), measured.quantile(1)) == (exact[0], exact[15], exact[-1])
    monkeypatch.setattr(lengths, "MOST_MEASURED", 10)
    part = lengths.lengths(rows, MIRA, BASE)
    assert len(part.tokens) == 10 and part.rows == 30 and set(part.tokens) <= set(exact)
    assert "a sample of 10 of 30 rows" in page(look(rows={"train": rows}))


def test_the_commonest_reasons_come_in_one_order(monkeypatch):
    reasons = [f"reason {n}" for n in range(20)]
    monkeypatch.setattr(lengths, "_measure", lambda *_: (9, set(reasons)))
    assert lengths.lengths([row()], MIRA, BASE).notes == tuple((reason, 1) for reason in sorted(reasons)[:5])


def test_what_does_not_fit_is_beyond_the_cut_line():
    turns = [Message("user" if n % 2 == 0 else "assistant", f"Turn {n}. " * 60) for n in range(20)]
    long = Conversation(tuple(turns), "Mira", id="long")
    endless = row("word " * 5_000)
    measured = lengths.lengths([row(), long, endless], MIRA, BASE)
    assert measured.beyond == measured.altered == 2 and measured.notes
    text = Checked(page(look(rows={"train": [long, endless]}))).text
    assert "2 rows beyond it" in text and "No reply fits the context." in text


# The card ------------------------------------------------------------------------------------------------------------


def test_the_card_says_what_the_hub_asks_and_what_people_ask():
    text = dataset_card(look(dropped=[(row(), "too long")], personal={"e-mail": 2}))
    fields = yaml.safe_load(text.split("---\n")[1])
    assert fields["license"] == "mit" and fields["task_categories"] == ["text-generation"]
    assert fields["size_categories"] == ["n<1K"] and "language" not in fields
    for said in ("fictional character", "agreed", "Discord are never in it", "`lines.md`", "ab" * 32, "e-mail: 2"):
        assert said in text, said


@pytest.mark.parametrize(
    ("licences", "said"),
    [(["mit", "MIT"], "mit"), (["mit", ""], "unknown"), (["mit", "cc-by-4.0"], "other"), (["Mine: all"], "other")],
)
def test_licences_are_never_made_up(licences, said):
    sources = [{"name": "a", "licence": licence} for licence in licences]
    assert yaml.safe_load(dataset_card(look(sources=sources)).split("---\n")[1])["license"] == said


def test_the_language_of_rows_that_rules_wrote_is_english():
    german = [{"name": "a", "language": "de"}, {"name": "b", "language": "x: [y"}]
    rows = {"train": [row(), row("I am Mira.", origin="identity")]}
    assert yaml.safe_load(dataset_card(look(sources=german, rows=rows)).split("---\n")[1])["language"] == ["de", "en"]


# The Hub -------------------------------------------------------------------------------------------------------------


class Address(str):
    repo_id = "tom/mira"


class FakeApi:
    """Records what would be uploaded; `private` is what the repository is, `error` what the Hub answers."""

    private, error = True, None
    calls = ()

    def create_repo(self, repo, **options):
        if self.error:
            raise self.error
        FakeApi.calls = [("create", repo, options)]
        return Address("https://hub/datasets/tom/mira")

    def dataset_info(self, repo):
        return SimpleNamespace(private=self.private)

    def upload_folder(self, **options):
        FakeApi.calls.append(("upload", options.pop("repo_id"), options))


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """A finished dataset folder, and a Hub that is not there."""
    for name in ("train.jsonl", "test.jsonl", "README.md", "report.json", "report.html", "rendered/train.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_secret")
    monkeypatch.setattr(FakeApi, "calls", [])
    return tmp_path


def test_rows_and_card_are_uploaded_and_nothing_else(dataset):
    assert push_to_hub(dataset, "mira") == "https://hub/datasets/tom/mira"
    (_, repo, made), (_, target, sent) = FakeApi.calls
    assert repo == "mira" and target == "tom/mira"
    assert made == {"repo_type": "dataset", "private": True, "exist_ok": True}
    files = [f.relative_to(dataset).as_posix() for f in dataset.rglob("*") if f.is_file()]
    allowed = filter_repo_objects(files, allow_patterns=sent["allow_patterns"])
    assert sorted(allowed) == ["README.md", "test.jsonl", "train.jsonl"]


def test_private_rows_do_not_go_to_a_public_place(dataset, monkeypatch):
    monkeypatch.setattr(FakeApi, "private", False)
    with pytest.raises(PersonaError, match="is public"):
        push_to_hub(dataset, "tom/mira")
    assert [call[0] for call in FakeApi.calls] == ["create"]
    push_to_hub(dataset, "tom/mira", private=False)
    assert [call[0] for call in FakeApi.calls] == ["create", "upload"]


def answer(status):
    import httpx2

    request = httpx2.Request("POST", "https://hub/api", headers={"authorization": "Bearer hf_secret"})
    return HfHubHTTPError(f"{status} with hf_secret", response=httpx2.Response(status, request=request))


def no_network():
    import httpx2

    return httpx2.ConnectError("hf_secret: name or service not known")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (lambda: answer(403), "does not let this token write"),
        (lambda: answer(401), "does not let this token write"),
        (lambda: answer(500), r"refused the upload to 'tom/mira' \(status 500\)"),
        (no_network, "cannot be reached"),
        (lambda: OfflineModeIsEnabled("offline, hf_secret"), "cannot be reached"),
        (lambda: HFValidationError("hf_secret"), "is no name for a dataset"),
        (lambda: ValueError("Invalid metadata hf_secret"), "does not accept the dataset card"),
    ],
)
def test_what_goes_wrong_is_said_in_plain_words_without_the_token(dataset, monkeypatch, error, said):
    monkeypatch.setattr(FakeApi, "error", error())
    with pytest.raises(PersonaError, match=said) as raised:
        push_to_hub(dataset, "tom/mira")
    assert raised.value.fix and "hf_secret" not in str(raised.value)


def test_without_a_token_or_a_card_nothing_is_asked(dataset, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(PersonaError, match="no token"):
        push_to_hub(dataset, "tom/mira")
    (dataset / hub.CARD_FILE).unlink()
    with pytest.raises(PersonaError, match=r"no README\.md to upload"):
        push_to_hub(dataset, "tom/mira")
    assert not FakeApi.calls


def test_two_looks_share_no_lengths():
    one = look()
    assert one.lengths.rows == 1 and replace(one, rows={"train": []}).lengths.rows == 0
