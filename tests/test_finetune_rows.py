import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune import inputs
from finetune.encoded import on_disk
from finetune.progress import counted
from finetune.rows import digest_of, encode_rows, plan_epoch, read_split, trained_tokens
from finetune.samples import QUESTIONS, sample_prompts
from finetune.settings import FinetuneSettings
from persona.base import Base
from persona.card import CharacterCard
from persona.conversation import Conversation, Message
from persona.errors import PersonaError
from persona.prompt import Example

ADA = CharacterCard(name="Ada", description="Ada keeps the lamp.")


def row(*messages, **values):
    return Conversation(tuple(Message(*m) for m in messages), "Ada", **values)


def write(folder, split, *rows):
    folder.mkdir(exist_ok=True)
    (folder / f"{split}.jsonl").write_text("".join(json.dumps(r.to_row()) + "\n" for r in rows), encoding="utf-8")


def test_rows_come_back_as_they_were_written(tmp_path):
    rows = [
        row(("user", "Who are you?", "Tom"), ("assistant", "Ada.\u2028Yes."), id="a"),
        row(("assistant", "Come in."), id="b"),
    ]
    write(tmp_path, "train", *rows)
    assert list(read_split(tmp_path, "train", "ada")) == rows
    assert list(read_split(tmp_path, "test", "ada")) == []


def test_a_missing_dataset_says_what_to_type(tmp_path):
    with pytest.raises(PersonaError, match="python -m data mira"):
        list(read_split(tmp_path, "train", "mira"))


def test_a_broken_line_is_named(tmp_path):
    write(tmp_path, "train", row(("assistant", "Yes."), id="a"))
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write('{"messages": [\n')
    with pytest.raises(PersonaError, match=r"train\.jsonl, line 2"):
        list(read_split(tmp_path, "train", "ada"))


@pytest.mark.parametrize(
    "provenance",
    [{"source": "discord-export.json"}, {"notes": {"platform": "Discord"}}, {"notes": {"discord": "general"}}],
)
def test_text_from_discord_is_refused(tmp_path, provenance):
    write(tmp_path, "train", row(("assistant", "Yes."), id="from-there", **provenance))
    with pytest.raises(PersonaError, match=r"(?s)from-there.*Developer Policy"):
        list(read_split(tmp_path, "train", "ada"))


def test_a_lore_entry_may_be_about_discord(tmp_path):
    write(
        tmp_path, "train", row(("assistant", "She threw an apple."), id="a", notes={"entry": "The goddess of discord"})
    )
    assert len(list(read_split(tmp_path, "train", "ada"))) == 1


def test_replies_are_trained_and_nothing_else():
    template = Base.resolve().template()
    talk = row(("user", "Is it lit?"), ("assistant", "It is lit."), ("user", "Good."), ("assistant", "Tea?"), id="a")
    (example,), skipped, notes = encode_rows([talk], ADA, template)
    assert not skipped and not notes
    trained = [i for i, label in zip(example.ids, example.labels, strict=True) if label != -100]
    assert trained == [
        *template.text_ids("It is lit."),
        *template.end_of_turn,
        *template.text_ids("Tea?"),
        *template.end_of_turn,
    ]
    assert trained_tokens(example) == len(trained)


def test_a_row_that_trains_nothing_stops_the_run_with_its_id():
    fine, silent = row(("assistant", "Yes."), id="fine"), row(("user", "Hello?"), id="silent-row")
    with pytest.raises(PersonaError, match="silent-row"):
        encode_rows([fine, silent], ADA, Base.resolve().template())


def test_a_reply_that_does_not_fit_is_left_out_and_said():
    template = Base.resolve().template(context=256)
    long = " ".join(["lamp"] * 400)
    talk = row(("user", "Hi"), ("assistant", "Hello."), ("user", "Go on"), ("assistant", long), id="long-row")
    examples, skipped, _ = encode_rows([talk], ADA, template)
    assert len(examples) == 1
    assert len(skipped) == 1 and skipped[0].startswith("long-row: ")
    with pytest.raises(PersonaError, match="only-long"):
        encode_rows([row(("user", "Go on"), ("assistant", long), id="only-long")], ADA, template)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=120), st.integers(1, 30), st.integers(0, 3))
def test_an_epoch_holds_every_row_once_in_whole_steps(lengths, rows_per_step, epoch):
    def plan():
        return plan_epoch(lengths, seed=1, epoch=epoch, rows_per_step=rows_per_step)

    steps = plan()
    assert steps == plan()
    assert sorted(row for step in steps for row in step) == list(range(len(lengths)))
    sizes = sorted(map(len, steps))
    assert sizes[1:] == [rows_per_step] * (len(steps) - 1) and 0 < sizes[0] <= rows_per_step


def test_rows_of_a_step_are_alike():
    steps = plan_epoch([number % 4 for number in range(64)], seed=0, epoch=0, rows_per_step=16)
    assert all(len({row % 4 for row in step}) == 1 for step in steps)


def test_epochs_and_seeds_differ():
    def plan(seed, epoch):
        return plan_epoch(range(1, 65), seed=seed, epoch=epoch, rows_per_step=8)

    assert len({json.dumps(p) for p in (plan(0, 0), plan(0, 1), plan(1, 0))}) == 3


def test_the_digest_sees_ids_labels_and_groups():
    a, b = Example("a", (1, 2), (-100, 2)), Example("a", (1, 2), (1, 2))
    assert len({digest_of([a], []), digest_of([b], []), digest_of([], [a]), digest_of([a, a], [])}) == 4
    assert digest_of([a], []) == digest_of([Example("a", (1, 2), (-100, 2))], [])
    assert digest_of([a], []) == digest_of(on_disk([a]), on_disk([]))


def test_the_digest_of_the_same_rows_stays_what_it_was():
    a, b = Example("a", (1, 2), (-100, 2)), Example("ü+1", (7, 8, 9), (-100, 8, 9))
    assert digest_of([a, b], [], [b]) == "7bcfc7d1333bc672bf731b1a985e9ce9771896dbd16a0a553c9ff55915048a51"


def test_what_prompts_lost_is_counted_in_rows():
    chatty = ADA.model_copy(update={"description": "Ada counts every goose. " * 200, "character_book": None})
    talks = [row(("user", "Hi"), ("assistant", "Ho."), ("user", "Hi"), ("assistant", "Hm."), id=i) for i in "ab"]
    _, _, notes = encode_rows(talks, chatty, Base.resolve().template())
    assert [count for note, count in notes.items() if "was cut" in note] == [2]


@pytest.mark.parametrize("line", [b"\xff\xfe", b"{", b"[]", b'{"messages": [], "seed": null}'])
def test_a_line_that_cannot_be_read_is_named(tmp_path, line):
    write(tmp_path, "train", row(("assistant", "Yes."), id="a"))
    with (tmp_path / "train.jsonl").open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(PersonaError, match="line 2"):
        list(read_split(tmp_path, "train", "ada"))


@pytest.mark.parametrize(
    ("source", "refused"), [("discord_log.txt", True), ("Discord: x", True), ("discordia.txt", False)]
)
def test_only_discord_is_discord(tmp_path, source, refused):
    write(tmp_path, "train", row(("assistant", "Yes."), id="a", source=source))
    if refused:
        with pytest.raises(PersonaError, match="Developer Policy"):
            list(read_split(tmp_path, "train", "ada"))
    else:
        assert len(list(read_split(tmp_path, "train", "ada"))) == 1


def test_rows_are_encoded_while_they_are_read(monkeypatch):
    written = []
    really = on_disk

    def told(examples):
        return really(written.append(example.id) or example for example in examples)

    monkeypatch.setattr("finetune.rows.on_disk", told)

    def rows():
        for id in "abc":
            assert "".join(written) == "abc"[: "abc".index(id)], "one is on disk before the next is read"
            yield row(("user", "Hi"), ("assistant", "Ho."), id=id)

    examples, _, _ = encode_rows(rows(), ADA, Base.resolve().template())
    assert [example.id for example in examples] == ["a", "b", "c"]


def test_every_row_is_looked_at_before_one_is_encoded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = tmp_path / "runs" / "ada" / "dataset"
    dataset.mkdir(parents=True)
    write(dataset, "train", row(("user", "Hi"), ("assistant", "Yes."), id="a"))
    write(dataset, "test", row(("assistant", "Yes."), id="b", source="discord.txt"))
    monkeypatch.setattr(inputs, "encode_rows", lambda *_: pytest.fail("a row was encoded"))
    with pytest.raises(PersonaError, match="Developer Policy"):
        inputs.read_inputs("ada", FinetuneSettings())


def test_no_more_held_out_rows_are_read_than_are_asked():
    read = []

    def rows():
        for number in range(50):
            read.append(number)
            yield row(("user", f"Is lamp {number // 2} lit?", "Tom"), ("assistant", "It is."), id=str(number))

    asked = sample_prompts(rows(), ADA, Base.resolve().template())
    assert [words for words, _ in asked] == ["Who are you?", *(f"Is lamp {number} lit?" for number in range(3))]
    assert len(asked) == QUESTIONS and len(read) == 5


def test_rows_that_take_long_are_counted_aloud(monkeypatch, capsys):
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr("finetune.progress.time.monotonic", lambda: next(clock))
    assert list(counted("abcdefgh", 8, "reading", mute=False)) == list("abcdefgh")
    said = capsys.readouterr().out.splitlines()
    assert 0 < len(said) < 8 and all(re.fullmatch(r"reading: \d of 8", line) for line in said)
    assert list(counted("abcdefgh", 8, "reading", mute=True)) and not capsys.readouterr().out
