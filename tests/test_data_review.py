"""The review: doubtful lines go out as a table, judgements come back by id, and nothing is deleted by itself."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.__main__ import main
from data.inputs import Input
from data.review import (
    Edit,
    Item,
    apply_to_rows,
    apply_to_sources,
    doubtful_lines,
    improbable_rows,
    read_review,
    write_review,
)
from data.source import Scene, Source, Utterance
from data.sources import Voice
from persona.card import CharacterCard
from persona.conversation import Conversation, Message
from persona.errors import PersonaError
from persona.paths import Place

VOICE = Voice(frozenset({"holmes"}))
LINES = (
    Utterance("Watson", "Who is it?", "line 1"),
    Utterance("Holmes", "A client.", "line 2", 0.97, "name beside verb"),
    Utterance("Watson", "Where?", "line 3"),
    Utterance("Holmes", "On the stairs.", "line 4", 0.55, "alternation"),
    Utterance("Holmes", "Or not.", "line 5", 0.70, "pronoun"),
)
SOURCE = Source("novel", "n.txt", (Scene(LINES),))
GIVEN = Input(Place("holmes", Path("c"), Path("r")), CharacterCard(name="Holmes"), (), (), (SOURCE,), VOICE.labels)


def table(run, decisions, texts=None):
    rows = list(csv.DictReader(io.StringIO((run / "review.tsv").read_text()), delimiter="\t"))
    for row in rows:
        row["decision"] = decisions.get(row["id"], "")
        row["text"] = (texts or {}).get(row["id"], row["text"])
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys(), delimiter="\t")
    writer.writeheader()
    writer.writerows(rows)
    (run / "review.tsv").write_text(out.getvalue())


def test_doubtful_lines_are_listed_with_what_was_said_before():
    items = doubtful_lines(GIVEN, VOICE)
    assert [(i.id, i.text, i.before) for i in items] == [
        ("n.txt/1/5", "Or not.", "Holmes: On the stairs."),
        ("n.txt/1/4", "On the stairs.", "Watson: Where?"),
    ]
    assert items[0].reason == "0.70 pronoun"


def test_a_row_of_several_sequences_is_listed_once_by_its_own_id_with_its_worst_loss(tmp_path):
    def talk(id, reply, **fields):
        return Conversation((Message("user", "Why?", "Tom"), Message("assistant", reply)), "Ada", id=id, **fields)

    opening = (Message("user", "Where?", "Tom"), Message("assistant", "Out  there."))
    replies = {"c/2+1+1": "Out there."}
    rows = [
        talk("lines/1", "No.\u2028Never."),
        Conversation((*opening, Message("user", "So?", "Tom"), Message("assistant", "Yes.")), "Ada", id="c/2+1"),
        talk("lore/1", "Oil.", origin="lore"),
        talk("lines/1~typos", "On.", notes={"parent": "lines/1"}),
    ]
    losses = {
        "lines/1": 2.0,
        "lines/1+1": 5.0,
        "c/2+1": 3.0,
        "c/2+1+1": 4.0,
        "lore/1+1": 9.0,
        "lines/1~typos": 8.0,
        "gone": 7.0,
    }
    (tmp_path / "dataset").mkdir()
    dumped = [json.dumps(row.to_row(), ensure_ascii=False) for row in rows]
    (tmp_path / "dataset/train.jsonl").write_text("\n".join(dumped) + "\n", encoding="utf-8")
    (tmp_path / "row_losses.jsonl").write_text(
        "".join(
            json.dumps({"id": id, "loss": loss, "reply": replies.get(id, "?")}) + "\n" for id, loss in losses.items()
        )
    )
    given = Input(Place("ada", Path("c"), tmp_path), CharacterCard(name="Ada"), (), (), (), frozenset())
    assert improbable_rows(given) == [
        Item("lines/1", "loss 5.00", "No.\u2028Never.", "Tom: Why?"),
        Item("c/2+1@1", "loss 4.00", "Out  there.", "Tom: Where?"),
    ]


def test_judgements_come_back_and_earlier_ones_stay(tmp_path):
    assert write_review(tmp_path, doubtful_lines(GIVEN, VOICE)) == 2
    table(tmp_path, {"n.txt/1/4": "fix", "n.txt/1/5": "drop"}, {"n.txt/1/4": "On our stairs."})
    assert write_review(tmp_path, [*doubtful_lines(GIVEN, VOICE), Item("new", "", "x")]) == 1
    edits = read_review(tmp_path)
    assert edits == {"n.txt/1/4": Edit("fix", "On our stairs."), "n.txt/1/5": Edit("drop", "Or not.")}
    (source,) = apply_to_sources([SOURCE], edits, VOICE)
    lines = source.scenes[0].utterances
    assert lines[3].text == "On our stairs." and VOICE.trains(lines[3]) and not VOICE.has(lines[4])
    assert lines[:3] == LINES[:3]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), min_size=1, max_size=60))
def test_any_text_survives_the_table(tmp_path_factory, text):
    run = tmp_path_factory.mktemp("run")
    write_review(run, [Item("a", "", text)])
    table(run, {"a": "keep"})
    assert read_review(run)["a"].text == text.strip()


@pytest.mark.parametrize("formula", ["=1+1", "+cmd", "-2", "@sum", "'quoted"])
def test_no_cell_is_a_formula(tmp_path, formula):
    write_review(tmp_path, [Item("a", "", formula)])
    assert f"\t'{formula}" in (tmp_path / "review.tsv").read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id\tdecision\ttext\na\tmaybe\tx\n", "row 2"),
        ("id\tdecision\ttext\na\tfix\t \n", "A fix has no text"),
        ("a,b,c\n", "no columns"),
    ],
)
def test_a_table_that_cannot_be_read_says_where(tmp_path, text, said):
    (tmp_path / "review.tsv").write_text(text)
    with pytest.raises(PersonaError, match=said):
        read_review(tmp_path)


def test_rows_are_judged_by_their_id():
    rows = [
        Conversation((Message("user", "Hm?"), Message("assistant", f"Line {n}.")), "Ada", id=f"lore/{n}")
        for n in range(3)
    ]
    kept, dropped = apply_to_rows(rows, {"lore/0": Edit("drop"), "lore/1": Edit("fix", "Better.")})
    assert [r.replies for r in kept] == [("Better.",), ("Line 2.",)]
    assert [(r.id, reason) for r, reason in dropped] == [("lore/0", "dropped in the review")]


def test_a_reply_within_a_row_is_judged_by_its_place():
    talk = (
        Message("user", "Hm?"),
        Message("assistant", "Garbld"),
        Message("user", "Hm?"),
        Message("assistant", "Yes."),
    )
    rows = [Conversation(talk, "Ada", id=f"lines/{n}") for n in range(4)]
    edits = {"lines/0@1": Edit("fix", "Garbled."), "lines/1@1": Edit("drop"), "lines/2@0": Edit("fix", "?")}
    edits |= {"lines/3@1": Edit("fix", "Mended."), "lines/3": Edit("fix", "No.")}
    kept, dropped = apply_to_rows(rows, edits)
    assert [r.replies for r in kept] == [("Garbled.", "Yes."), ("Garbld", "Yes."), ("Mended.", "No.")]
    assert [r.id for r, _ in dropped] == ["lines/1"]


def test_a_source_is_forgotten_and_stays_forgotten(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "characters/mira"
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text('name = "Mira"\nfirst_mes = "Come in."\n')
    (folder / "lines.md").write_text("\n---\n".join(f"Tom: Question {n}?\nMira: My answer is {n}." for n in range(12)))
    talk = "\n".join(f"Nell: What about the number {n}?\nMira: I have counted {n} of them." for n in range(30))
    (folder / "chat.txt").write_text(talk)
    assert main(["mira"]) == 0
    assert "counted" in Path("runs/mira/dataset/train.jsonl").read_text()
    assert main(["forget", "chat.txt"]) == 0 and "built again without chat.txt" in capsys.readouterr().out
    for force in ([], ["--force"]):
        main(["mira", *force])
        report = json.loads(Path("runs/mira/dataset/report.json").read_text())
        assert "counted" not in Path("runs/mira/dataset/train.jsonl").read_text()
        assert "chat.txt" not in report["inputs"]
    assert main(["forget", "card.toml"]) == 2 and "is the character itself" in capsys.readouterr().err
    assert main(["forget", "lines.md"]) == 0
    assert "My answer" not in Path("runs/mira/dataset/train.jsonl").read_text()
    assert main(["forget", "chat.txt"]) == 2 and "No dataset was built from 'chat.txt'" in capsys.readouterr().err


def test_a_dataset_with_no_other_source_is_deleted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("play.txt").write_text("\n".join(f"TOM: What of {n}?\nNELL: I have counted {n} of them." for n in range(30)))
    assert main(["play.txt", "--as", "Nell"]) == 0
    assert main(["forget", "play.txt"]) == 0 and "is deleted" in capsys.readouterr().out
    assert not Path("runs/nell/dataset").exists()
