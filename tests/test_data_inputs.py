"""What people bring: every format is known by its content, and becomes rows of one character, or one clear sentence."""

import json
import zipfile
from pathlib import Path

import pytest

from data.__main__ import main
from data.detect import is_card, read_sources
from persona.card import CharacterCard
from persona.conversation import Conversation
from persona.errors import PersonaError

SHARED = Path(__file__).parents[2] / "shared"
PLAY = "\n\n".join(f"TOM.\nWhat of the number {n}?\n\nNELL.\nI have counted {n} of them." for n in range(1, 31))
NOVEL = "\n\n".join(
    f"“What of the number {n}?” asked Tom, and he looked at the door.\n\n“I have counted {n} of them,” said Nell. “It took me all\nday.”"
    for n in range(1, 41)
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(name, splits=("train",)):
    lines = [line for s in splits for line in Path(f"runs/{name}/dataset/{s}.jsonl").read_text().splitlines()]
    return [Conversation.from_row(json.loads(line)) for line in lines]


def talk(n, ask="user", answer="assistant"):
    return [
        {"role": ask, "content": f"What of the number {n}?"},
        {"role": answer, "content": f"I have counted {n} of them."},
    ]


def jsonl(file, values):
    Path(file).write_text("".join(json.dumps(value) + "\n" for value in values))


def tavern(file):
    messages = [{"user_name": "Tom", "character_name": "Nell", "create_date": "2024-6-12@10h22m33s123ms"}]
    for n in range(30):
        messages.append({"name": "Tom", "is_user": True, "is_system": False, "mes": f"What of the number {n}?"})
        said = [f"I have counted {n} of them.", f"Not {n}, surely."]
        messages.append({"name": "Nell", "is_user": False, "mes": said[0], "swipes": said, "swipe_id": 0})
    jsonl(file, messages)


def sharegpt(file):
    jsonl(
        file,
        [
            {"conversations": [{"from": "human", "value": t[0]["content"]}, {"from": "gpt", "value": t[1]["content"]}]}
            for t in map(talk, range(30))
        ],
    )


def openai(file):
    jsonl(file, [{"messages": talk(n)} for n in range(30)])


def alpaca(file):
    Path(file).write_text(
        json.dumps(
            [{"instruction": a["content"], "input": "", "output": b["content"]} for a, b in map(talk, range(30))]
        )
    )


def parquet(file):
    from datasets import Dataset

    Dataset.from_list([{"messages": talk(n)} for n in range(30)]).to_parquet(file)


WRITERS = {
    "play": lambda file: Path(file).write_text(PLAY),
    "novel": lambda file: Path(file).write_text(NOVEL),
    "script": lambda file: Path(file).write_text(PLAY.replace(".\n", ": ")),
    "tavern": tavern,
    "sharegpt": sharegpt,
    "openai": openai,
    "alpaca": alpaca,
    "parquet": parquet,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_becomes_rows_whatever_the_file_is_called(here, kind, capsys):
    WRITERS[kind]("thing.dat")
    assert main(["thing.dat", "--as", "Nell"]) == 0, capsys.readouterr().err
    real = [row for row in rows("nell") if row.is_real]
    assert len(real) >= 3 and {row.character for row in real} == {"Nell"}
    replies = [reply for row in real for reply in row.replies]
    assert all("I have counted" in reply for reply in replies)
    assert all(row.messages[0].role == "user" for row in real)
    assert CharacterCard.load("runs/nell/card.json").name == "Nell"
    assert Path("runs/nell/dataset/report.html").stat().st_size > 1000


def test_without_a_name_the_speakers_are_listed(here, capsys):
    WRITERS["play"]("play.txt")
    assert main(["play.txt"]) == 2
    said = capsys.readouterr().err
    assert "NELL" in said and "TOM" in said and "30" in said and '--as "Nell"' in said
    assert not Path("runs").exists()


def test_a_chat_that_names_its_character_needs_no_name(here):
    tavern("chat.jsonl")
    assert main(["chat.jsonl"]) == 0 and rows("nell")


def test_roles_alone_need_a_name(here, capsys):
    openai("rows.jsonl")
    assert main(["rows.jsonl"]) == 2 and '--as "NAME"' in capsys.readouterr().err


def test_a_folder_of_everything_is_one_character(here):
    folder = Path("things")
    folder.mkdir()
    tavern("things/chat.jsonl")
    (folder / "play.txt").write_text(PLAY.replace("counted", "weighed").replace("number", "sack"))
    (folder / "world.md").write_text("# The world\n\n## The mill\nNell lives in the mill. The mill has two wheels.\n")
    assert main(["things", "--as", "Nell"]) == 0
    assert {"chat.jsonl", "play.txt"} <= {row.source for row in rows("nell", ("train", "validation", "test"))}
    book = CharacterCard.load("runs/nell/card.json").character_book
    assert "The mill" in {entry.name for entry in book.entries}


def test_a_card_among_chats_is_the_character(here):
    folder = Path("things")
    folder.mkdir()
    tavern("things/chat.jsonl")
    card = {
        "spec": "chara_card_v2",
        "spec_version": "2.0",
        "data": {"name": "Nell", "description": "Nell keeps a mill."},
    }
    (folder / "nell.json").write_text(json.dumps(card))
    assert is_card(folder / "nell.json") and main(["things"]) == 0
    assert CharacterCard.load("runs/nell/card.json").description == "Nell keeps a mill."
    assert any(row.source == "chat.jsonl" for row in rows("nell"))


def test_what_lies_in_a_characters_folder_is_read_too(here):
    folder = Path("characters/nell")
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text('name = "Nell"\nfirst_mes = "Come in."\n')
    (folder / "world.json").write_text(
        json.dumps({"entries": {"0": {"key": ["mill"], "comment": "The mill", "content": "Nell keeps a mill."}}})
    )
    tavern(folder / "chat.jsonl")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"rubbish")
    assert main(["nell"]) == 0
    assert {"chat.jsonl", "lore"} <= {row.source for row in rows("nell")}
    report = json.loads(Path("runs/nell/dataset/report.json").read_text())
    assert {"card.toml", "world.json", "chat.jsonl"} == set(report["inputs"])


@pytest.mark.parametrize("name", ["discord.json", "chat.json"])
def test_discord_messages_are_refused_with_the_reason(here, name, capsys):
    export = {"guild": {"id": "1"}, "channel": {"id": "2", "type": "GuildTextChat"}, "messages": [{"content": "hi"}]}
    Path(name).write_text(json.dumps(export))
    assert main([name, "--as", "Nell"]) == 2
    assert "Developer Policy" in capsys.readouterr().err


def test_one_bad_line_in_thousands_is_set_aside(here):
    openai("rows.jsonl")
    lines = Path("rows.jsonl").read_text().splitlines()
    lines[7] = '{"messages": [{"role": '
    Path("rows.jsonl").write_text("\n".join(lines))
    assert main(["rows.jsonl", "--as", "Nell"]) == 0
    report = json.loads(Path("runs/nell/dataset/report.json").read_text())
    assert [(name, "8" in place) for name, place, _ in report["quarantined"]] == [("rows.jsonl", True)]


def test_nothing_to_train_on_stops_with_the_counts_of_every_filter(here, capsys):
    jsonl(
        "rows.jsonl",
        [
            {
                "messages": [
                    {"role": "user", "content": "Hi."},
                    {"role": "assistant", "content": "As an AI language model, I cannot."},
                ]
            }
        ]
        * 9,
    )
    assert main(["rows.jsonl", "--as", "Nell"]) == 2
    assert "talks like an assistant: 9" in capsys.readouterr().err


def test_the_same_input_gives_the_same_bytes(here):
    made = []
    for _ in range(2):
        tavern("chat.jsonl")
        main(["chat.jsonl", "--force"])
        folder = Path("runs/nell/dataset")
        made.append({f.relative_to(folder): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()})
    assert made[0] == made[1]


def test_personal_data_is_hidden_and_counted(here):
    jsonl(
        "rows.jsonl",
        [
            {
                "messages": [
                    {"role": "user", "content": f"Number {n}?"},
                    {"role": "assistant", "content": f"Write to nell{n}@example.org about the mill, and soon."},
                ]
            }
            for n in range(30)
        ],
    )
    assert main(["rows.jsonl", "--as", "Nell"]) == 0
    assert "example.org" not in Path("runs/nell/dataset/train.jsonl").read_text()
    assert sum(json.loads(Path("runs/nell/dataset/report.json").read_text())["personal"].values()) == 30


def test_words_of_the_users_choice_leave_a_row_out(here):
    openai("rows.jsonl")
    Path("words.txt").write_text("number 5\n")
    assert main(["rows.jsonl", "--as", "Nell", "--block", "words.txt"]) == 0
    assert "number 5?" not in "".join(
        Path(f"runs/nell/dataset/{s}.jsonl").read_text() for s in ("train", "validation", "test")
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\x01\x02", b"{}", b"[1, 2]", b"PK\x03\x04rubbish", b"\x89PNG\r\n\x1a\nrubbish", b"PAR1rubbishPAR1"],
)
def test_rubbish_is_one_sentence(here, content, capsys):
    Path("thing").write_bytes(content)
    assert main(["thing", "--as", "Nell"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("data: ") and "Traceback" not in said


def test_an_archive_that_is_no_card_says_so(here):
    with zipfile.ZipFile("thing", "w") as archive:
        archive.writestr("a.txt", "text")
    with pytest.raises(PersonaError):
        read_sources(Path("thing"), [])


@pytest.mark.parametrize("speaker", ["KING RICHARD III", "juliet"])
def test_shakespeare_comes_straight_in(here, speaker):
    play = SHARED / "fixtures/scripts/tinyshakespeare.txt"
    if not play.is_file():
        pytest.skip("the plays are not here")
    assert main([str(play), "--as", speaker]) == 0
