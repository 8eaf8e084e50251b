"""Chats and training files: every format in a small made-up example, broken records aside, hostile files refused."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.readers import chats, columnar, jsonlines, messages, table, tavern
from data.readers.jsonlines import Records, read_records
from data.source import CHARACTER, USER, Source
from data.speakers import count_speakers
from persona.conversation import Conversation, Message
from persona.errors import PersonaError

ROOT = Path(__file__).parents[1]
CORPORA = Path(__file__).parents[2] / "shared" / "corpora"


def lines(*rows):
    return read_records("\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode(), "file")


def whole(value):
    return read_records(json.dumps(value, indent=1).encode(), "file")


def said(source):
    return [[(u.speaker, u.text) for u in scene.utterances] for scene in source.scenes]


def detected(records):
    """The reader that the content asks for, in the order in which they are asked."""
    return next((reader for reader in (tavern, chats, messages) if reader.looks_like(records)), None)


def read(records, reader):
    assert detected(records) is reader
    return reader.read(records, "file")


def row(text="Hello."):
    return {"prompt": "Hi", "completion": text}


# --- records ---


def test_one_bad_line_in_5000_is_quarantined_and_reading_goes_on():
    texts = [json.dumps(row(f"Number {n}.")) for n in range(5_000)]
    texts[811] = texts[811][:-5]
    records = read_records("\r\n".join(texts).encode(), "talk.jsonl")
    assert [part.place for part in records.quarantined] == ["line 812"]
    assert "not JSON" in records.quarantined[0].reason
    source = read(records, messages)
    assert len(source.scenes) == 4_999 and source.quarantined == tuple(records.quarantined)
    assert source.scenes[811].utterances[0].place == "line 813, message 1"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ('{"prompt": "a", "prompt": "b"}', "twice"),
        ('{"prompt": NaN}', "NaN"),
        ('{"prompt": -Infinity}', "Infinity"),
        ('{"prompt": 1e400}', "1e400"),
        ('{"prompt": %s}' % ("9" * 5_000), "9999"),
        (r'{"prompt": "a\u0000b"}', "NUL"),
        (r'{"prompt": "a\ud800"}', "surrogate"),
        (r'{"a\udc00": 1}', "surrogate"),
        (r'{"prompt": "\\ud83d\ude00"}', "surrogate"),
        ("[" * 10_000 + "]" * 10_000, "nested"),
        ('{"a":' * 10_000 + "1" + "}" * 10_000, "nested"),
        ('{"prompt": "a', "not JSON"),
        ("nothing", "not JSON"),
        ('{"prompt": "a"} {', "not JSON"),
        (b'{"prompt": "\xed\xa0\x80"}', "not UTF-8"),
        (b'{"prompt": "caf\xe9"}', "not UTF-8"),
        (b'{"prompt": "a\0b"}', "not JSON"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_broken_line_is_quarantined_wherever_it_stands(broken, reason, first):
    good = [json.dumps(row("Café, naïve — 🌙"), ensure_ascii=False).encode()] * 3
    broken = broken if isinstance(broken, bytes) else broken.encode()
    records = read_records(b"\n".join([broken, *good] if first else [*good, broken]), "file")
    assert [number for number, _ in records.rows] == ([2, 3, 4] if first else [1, 2, 3])
    assert [part.place for part in records.quarantined] == ["line 1" if first else "line 4"]
    assert reason in records.quarantined[0].reason


def test_whole_characters_written_as_escapes_are_kept():
    (_, value), _ = lines(row()).rows[0], None
    assert value == row()
    text = r'{"prompt": "\ud83c\udf19 \\ud800 \\u0000", "completion": "b"}'
    records = read_records(f"{text}\n{text}".encode(), "file")
    assert records.rows[1][1]["prompt"] == "🌙 \\ud800 \\u0000" and not records.quarantined


def test_an_array_keeps_its_good_items_and_what_stands_before_it_breaks():
    good = json.dumps(row())
    records = read_records(f'[{good}, {{"a": NaN}},\n {good}, {{"a": 1, "a": 2}}]'.encode(), "file")
    assert [number for number, _ in records.rows] == [1, 3]
    assert [part.place for part in records.quarantined] == ["item 2", "item 4"]
    cut = read_records(f"[\n{good},\n{good},\n{good[:9]}".encode(), "file")
    assert len(cut.rows) == 2 and cut.quarantined[0].place == "item 3, line 4, column 10"
    assert read_records(b" [ ] ", "file").rows == []


def test_one_object_is_whole_however_it_is_written():
    for data in (b'{"a": 1}', b'\xef\xbb\xbf{\n"a":\n1}\n', '{"a": 1}'.encode("utf-16")):
        records = read_records(data, "file")
        assert records.whole == {"a": 1} and records.place(1) == ""
    with pytest.raises(PersonaError, match="not JSON") as caught:
        read_records(b'{\n"a": 1\n"b": 2}', "file.json")
    assert caught.value.where == "file.json, line 3, column 1"


def test_a_file_in_a_legacy_encoding_is_read_and_said():
    text = "\n".join(json.dumps(row(f"Un café très léger, numéro {n}."), ensure_ascii=False) for n in range(30))
    records = read_records(text.encode("cp1252"), "file")
    assert records.rows[29][1]["completion"] == "Un café très léger, numéro 29."
    assert "cp1252" in read(records, messages).notes[0]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b" \n" * 99, "empty"),
        (b'"a text"', "a text"),
        (b"12", "a number"),
        (b"[" * 100_000, "nested"),
        (b"[" + b"[]," * 2_510_000 + b"[]]", "values"),
        (b"nothing of the kind\n" * 30, "not JSON"),
        (b"x" * 3_000_000, "not JSON"),
        (b'{"a": "' * 300_000, "not JSON|nested"),
        (bytes(range(256)) * 1000, "JSON|text"),
        (b"\xff\xfe{\x00", "JSON"),
    ],
)
def test_what_holds_no_records_is_refused_in_little_time(data, what):
    start = time.process_time()
    with pytest.raises(PersonaError, match=what) as caught:
        read_records(data, "file")
    assert time.process_time() - start < 3
    assert "file" in caught.value.where and len(str(caught.value).splitlines()) <= 3


def test_too_large_files_lines_and_counts_are_refused(monkeypatch):
    data = "\n".join([json.dumps(row())] * 100).encode()
    monkeypatch.setattr(jsonlines, "FILE_BYTES", 1_000)
    with pytest.raises(PersonaError, match="bytes"):
        read_records(data, "file")
    monkeypatch.setattr(jsonlines, "FILE_BYTES", 10_000)
    monkeypatch.setattr(jsonlines, "WHOLE_BYTES", 1_000)
    assert len(read_records(data, "file").rows) == 100
    with pytest.raises(PersonaError, match="one JSON value"):
        read_records(b"[" + data.replace(b"\n", b",") + b"]", "file")
    monkeypatch.setattr(jsonlines, "MAX_VALUES", 200)
    with pytest.raises(PersonaError, match="200 values"):
        read_records(data, "file")
    monkeypatch.setattr(jsonlines, "JSON_BYTES", 60)
    records = read_records(b"\n".join([b"{}", json.dumps(row("x" * 60)).encode(), b"{}"]), "file")
    assert "bytes" in records.quarantined[0].reason and len(records.rows) == 2


def test_many_broken_lines_are_another_kind_of_file():
    with pytest.raises(PersonaError, match="1,001 of the first 1,003 lines"):
        read_records(b"{}\n{}\n" + b"{bad\n" * 100_000, "file")


@pytest.mark.parametrize(
    "mark",
    [
        {"source": "discord-api"},
        {"provenance": {"kind": "Discord"}},
        {"metadata": {"source": ["web", "discord"]}},
        {"source": "DiscordChatExporter 2.43"},
    ],
)
def test_a_record_that_says_discord_is_refused(mark):
    for records in (lambda r: lines(row(), r), lambda r: whole([row(), r]), whole):
        with pytest.raises(PersonaError, match="Developer Policy"):
            records(row() | mark)
    assert lines(row() | {"source": "an essay on discordant notes", "text": "discord"}, row()).rows


# --- SillyTavern ---

HEADER = {"user_name": "Tom", "character_name": "Mira", "create_date": "2024-6-12@10h22m33s123ms", "chat_metadata": {}}


def message(name, mes, **more):
    return {"name": name, "is_user": name == "Tom", "is_system": False, "mes": mes} | more


def test_a_tavern_chat_with_swipes():
    chat = lines(
        HEADER,
        message("Mira", " Good evening.\r\nSit down. ", swipes=["Good evening.\r\nSit down."], swipe_id=0),
        message("Tom", "Who are you?"),
        message("Mira", "I mend clocks.", swipes=["A cook.", "I mend clocks.", " ", "A cook.", "Nobody."], swipe_id=1),
        message("Mira", "I mend old clocks.", swipes=["I mend clocks.", "Nobody."], swipe_id=0),
        message("Mira", "", swipes=["One.", "Two."], swipe_id=1),
        message("Mira", "Three.", swipes=["One.", "Three."], swipe_id="1"),
        message("Tom", "   "),
    )
    source = read(chat, tavern)
    assert source.kind == "SillyTavern chat" and source.character == "Mira"
    assert said(source) == [
        [
            ("Mira", "Good evening.\nSit down."),
            ("Tom", "Who are you?"),
            ("Mira", "I mend clocks."),
            ("Mira", "I mend old clocks."),
            ("Mira", "Two."),
            ("Mira", "Three."),
        ]
    ]
    rejected = [u.rejected for u in source.scenes[0].utterances]
    assert rejected == [(), (), ("A cook.", "Nobody."), ("Nobody.",), ("One.",), ("One.",)]
    assert source.scenes[0].utterances[2].place == "line 4"
    assert source.notes == ["Left out: 1 empty messages."]


def test_macros_in_a_group_mean_whoever_speaks_and_the_person():
    chat = lines(
        message(
            "Mira",
            "You're late, {{user}}.",
            swipes=["{{char}} waits for {{user}}.", "You're late, {{user}}."],
            swipe_id=1,
        ),
        message("Corvin", "*{{char}} looks up.* Who is?"),
        message("Tom", "Me."),
    )
    source = read(chat, tavern)
    assert source.user == "Tom" and count_speakers(source.scenes, frozenset({"Tom"}))[-1].is_user
    assert said(source) == [[("Mira", "You're late, Tom."), ("Corvin", "*Corvin looks up.* Who is?"), ("Tom", "Me.")]]
    assert source.scenes[0].utterances[0].rejected == ("Mira waits for Tom.",)


def test_a_group_chat_without_header():
    chat = lines(
        message("Mira", "Who is there?", original_avatar="mira.png"),
        message("Narrator", "The door opens.", extra={"type": "narrator"}),
        message("Tom", "/help", is_system=True),
        message("Juno", "Only me.", original_avatar="juno.png", extra=None),
        message("System", "Joined.", extra={"isSmallSys": True}),
        message("Tom", "And me."),
    )
    source = read(chat, tavern)
    assert said(source) == [[("Mira", "Who is there?"), ("Juno", "Only me."), ("Tom", "And me.")]]
    assert source.character == ""
    assert source.notes == ["Left out: 1 narrator's messages, 2 hidden or system messages."]


def test_the_header_of_a_group_names_nobody_and_a_second_header_begins_a_scene():
    chat = lines(HEADER | {"character_name": "unused"}, message("Mira", "A."), HEADER, message("", "B."))
    source = read(chat, tavern)
    assert said(source) == [[("Mira", "A.")], [("Mira", "B.")]] and source.character == "Mira"


def test_texts_in_objects_as_chub_writes_them():
    chat = lines(
        {"user_name": "Tom"},
        message("Mira", {"message": "A."}, swipes=[{"message": "A."}, {"message": "B."}], swipe_id=0),
    )
    (scene,) = read(chat, tavern).scenes
    assert (scene.utterances[0].text, scene.utterances[0].rejected) == ("A.", ("B.",))


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ("2024-6-12@10h22m33s123ms", "2024-6-12@18h00m00s000ms"),
        ("2024-06-12 @10h 22m 33s 123ms", "2024-06-12 @18h 22m 33s 123ms"),
        ("June 12, 2024 10:22am", "June 12, 2024 6:22pm"),
        ("Jun 12, 2024 12:22am", "Jun 12, 2024 12:22pm"),
        ("2024-06-12T10:22:33.123Z", "2024-06-12T20:22:33+02:00"),
        (1718187753123, 1718216553123),
        ("1718187753", "1718216553"),
        (1718187753.5, "June 12, 2024 10:22pm"),
    ],
)
def test_hours_between_messages_begin_a_new_scene(first, later):
    chat = lines(message("Tom", "A.", send_date=first), message("Mira", "B.", send_date=first))
    assert len(read(chat, tavern).scenes) == 1
    chat = lines(message("Tom", "A.", send_date=first), message("Mira", "B.", send_date=later))
    assert len(read(chat, tavern).scenes) == 2


def test_a_date_that_is_none_never_fails_and_hides_no_pause():
    odd = [
        "soon",
        "2024-99-99@99h99m99s",
        "June 99, 2024 10:22am",
        "Foo 1, 2024 1:00am",
        [],
        {},
        True,
        10**39,
        "9" * 14,
    ]
    for date in odd:
        tavern.seconds_of(date)
    chat = lines(
        message("Tom", "A.", send_date="June 12, 2024 10:22am"),
        message("Mira", "B.", send_date="long ago"),
        message("Mira", "C.", send_date="June 13, 2024 10:22am"),
    )
    assert said(read(chat, tavern)) == [[("Tom", "A."), ("Mira", "B.")], [("Mira", "C.")]]


def test_a_broken_message_is_quarantined_and_ends_the_scene():
    rows = [json.dumps(message("Mira" if n % 2 else "Tom", f"{n}.")) for n in range(8)]
    rows[2], rows[5] = "{", json.dumps({"name": "Mira", "mes": 5})
    source = read(read_records("\n".join(rows).encode(), "file"), tavern)
    assert [len(scene.utterances) for scene in source.scenes] == [2, 2, 2]
    assert [part.place for part in source.quarantined] == ["line 3", "line 6"]
    named = lines(*[message("Tom", "A.")] * 3, message("x" * 101, "B."))
    assert "101 characters" in read(named, tavern).quarantined[0].reason
    long = lines(*[message("Tom", "A.")] * 3, message("Tom", "x" * 100_001))
    assert "100,001 characters" in read(long, tavern).quarantined[0].reason


def test_100_000_messages_take_some_seconds():
    rows = "\n".join(json.dumps(message("Tom", f"Wave {n}, “said”.", send_date=1718187753)) for n in range(20_000))
    start = time.process_time()
    source = read(read_records(rows.encode(), "file"), tavern)
    assert len(source.scenes[0].utterances) == 20_000
    assert time.process_time() - start < 6, "a fifth of the messages in a third of the time, for a busy machine"


# --- other programs ---


def test_oobabooga():
    source = read(
        whole({"internal": [["<|BEGIN-VISIBLE-CHAT|>", "Hello."], ["Hi", "Yes?"]], "visible": [["", "x"]]}), chats
    )
    assert said(source) == [[(CHARACTER, "Hello."), (USER, "Hi"), (CHARACTER, "Yes?")]]
    assert source.kind == "oobabooga chat"
    source = read(whole({"data_visible": [["Hi", "Yes?"], ["x"], ["Bye", "So long."]]}), chats)
    assert len(source.scenes) == 2 and source.quarantined[0].place == "message 2"


def test_agnai():
    source = read(
        whole({"name": "Mira", "messages": [{"msg": "Hello."}, {"msg": "Hi", "userId": "7"}, {"msg": None}]}), chats
    )
    assert said(source) == [[(CHARACTER, "Hello."), (USER, "Hi")]]
    assert source.quarantined[0].place == "message 3"


def test_cai_tools():
    def msgs(*texts):
        return {"msgs": [{"src": {"is_human": human, "name": name}, "text": text} for human, name, text in texts]}

    value = {"histories": {"histories": [msgs((False, "Mira", "A."), (True, None, "B.")), msgs((False, "Mira", "C."))]}}
    source = read(whole(value), chats)
    assert said(source) == [[("Mira", "A."), (USER, "B.")], [("Mira", "C.")]] and source.character == "Mira"


@pytest.mark.parametrize(
    ("prompt", "actions", "expected"),
    [
        ("A shop.\n\nTom: Hi", ["\n\nMira: Yes?\n", "Tom: Bye."], [("Tom", "Hi"), ("Mira", "Yes?"), ("Tom", "Bye.")]),
        ("", ["{{[INPUT]}}Hi{{[OUTPUT]}}Yes?", "{{[INPUT]}}Bye"], [(USER, "Hi"), (CHARACTER, "Yes?"), (USER, "Bye")]),
        ("\n### Instruction:\nHi\n", ["\n### Response:\nYes?"], [(USER, "Hi"), (CHARACTER, "Yes?")]),
    ],
)
def test_kobold_lite(prompt, actions, expected):
    assert said(read(whole({"gamestarted": True, "prompt": prompt, "actions": actions}), chats)) == [expected]


def test_pippa():
    record = {
        "bot_name": "Mira",
        "bot_greeting": "Good evening.",
        "bot_description": "Mends clocks.",
        "bot_definitions": "{{char}}: Tick.",
        "conversation": [{"message": "Hi", "is_human": True}, {"message": "Yes?", "is_human": False}],
    }
    source = read(lines(record, record | {"bot_greeting": "Hi"}), chats)
    assert said(source)[0] == [("Mira", "Good evening."), (USER, "Hi"), ("Mira", "Yes?")]
    assert said(source)[1] == [(USER, "Hi"), ("Mira", "Yes?")], "the chat begins with it already"
    assert source.character == "Mira"
    assert [(lore.title, lore.text) for lore in source.lore] == [("Mira", "Mends clocks.\n\n{{char}}: Tick.")]
    several = read(lines(record, record | {"bot_name": "Juno"}), chats)
    assert several.character == "" and said(several)[1][0] == ("Juno", "Good evening.")


def test_telegram():
    def sent(minute, **more):
        return {"type": "message", "date": f"2024-06-12T{10 + minute // 60}:{minute % 60:02}:00", "from": "Mira"} | more

    export = {
        "name": "Mira",
        "type": "personal_chat",
        "messages": [
            {"type": "service", "date": "2024-06-12T10:00:00", "text": "", "actor": "Tom"},
            sent(0, text="Look:"),
            sent(1, text=["At ", {"type": "link", "text": "this"}, "!"]),
            sent(2, text="Not mine", forwarded_from="Someone"),
            sent(3, text="", photo="x.jpg"),
            sent(4, text=7),
            sent(300, text="Later.", **{"from": None, "from_id": "user7"}),
        ],
    }
    source = read(whole(export), chats)
    assert said(source) == [[("Mira", "Look:"), ("Mira", "At this!")], [("user7", "Later.")]]
    assert source.notes == ["Left out: 1 service messages, 1 forwarded messages, 1 empty messages."]
    assert source.quarantined[0].place == "message 6" and source.character == ""
    assert said(read(whole({"chats": {"list": [export, export]}}), chats)) == said(source) * 2


def test_dialogues_of_a_book():
    talk = {
        "topic": "The clock",
        "dialogues": [
            {"character": "Mira", "message": "[He must not see it.] (turns) Good evening. [Not now.]"},
            {"character": "Environment", "message": "Rain."},
            {"character": "Tom", "message": "Hi"},
        ],
    }
    expected = [[("Mira", "(turns) Good evening."), ("Tom", "Hi")]]
    source = read(
        whole({"book": "x", "plots": [{"text": "…", "conversation": [talk]}, {"conversation": []}, talk]}), chats
    )
    assert said(source) == expected * 2 and source.scenes[0].title == "The clock"
    assert source.notes == ["Left out: 4 thoughts, 2 narrator's messages."]
    assert said(read(lines(talk, talk), chats)) == expected * 2


# --- training files ---

HI = [(USER, "Hi"), (CHARACTER, "Yes?")]


def openai(*turns):
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (openai(("user", "Hi"), ("assistant", "Yes?")), [HI]),
        (openai(("user", [{"type": "text", "text": "Hi"}, {"type": "image_url"}]), ("assistant", "Yes?")), [HI]),
        (openai(("user", "Hi"), ("assistant", None), ("tool", "4"), ("assistant", "Yes?")), [HI[:1], HI[1:]]),
        ({"messages": [{"role": "user", "name": "Tom", "content": "Hi"}]}, [[("Tom", "Hi")]]),
        ({"prompt": "Hi", "completion": "Yes?"}, [HI]),
        (
            {"prompt": [{"role": "user", "content": "Hi"}], "completion": [{"role": "assistant", "content": "Yes?"}]},
            [HI],
        ),
        (
            {"chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}], "rejected": []},
            [HI],
        ),
        (
            {"prompt": "Hi", **openai(("user", "Hi"), ("assistant", "Yes?")), "chosen": "No", "rejected": ""},
            [[*HI, (CHARACTER, "No")]],
        ),
        ({"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes?"}]}, [HI]),
        (
            {"conversations": [{"from": "user", "value": "Hi"}, {"from": "Mira", "value": "Yes?"}]},
            [[HI[0], ("Mira", "Yes?")]],
        ),
        (
            {
                "conversations": [{"from": "human", "value": "Hi"}],
                "chosen": {"from": "gpt", "value": "Yes?"},
                "rejected": {},
            },
            [HI],
        ),
        ({"instruction": "Hi", "input": "", "output": "Yes?"}, [HI]),
        ({"instruction": "Hi", "input": "there", "output": "Yes?"}, [[(USER, "Hi\nthere"), HI[1]]]),
        ({"instruction": "Hi", "output": "Yes?", "history": [["A", "B"]]}, [[(USER, "A"), (CHARACTER, "B"), *HI]]),
        ({"question": "Hi", "answer": "Yes?"}, [HI]),
        ({"input": "Hi", "output": "Yes?"}, [HI]),
        ({"user": "Hi", "assistant": "Yes?"}, [HI]),
        ({"conversation": [{"human": "Hi", "assistant": "Yes?"}]}, [HI]),
        ({"dialog": ["Hi", "Yes?", "Bye"]}, [[("A", "Hi"), ("B", "Yes?"), ("A", "Bye")]]),
        (
            {"turns": [{"speaker": "Tom", "text": "Hi"}, {"speaker": "assistant", "text": "Yes?"}]},
            [[("Tom", "Hi"), HI[1]]],
        ),
        ({"dialogue": "Tom: Hi\nMira: Yes?"}, [[("Tom", "Hi"), ("Mira", "Yes?")]]),
        ({"text": "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes?<|im_end|>"}, [HI]),
        ({"chosen": "\n\nHuman: Hi\n\nAssistant: Yes?", "rejected": "\n\nHuman: Hi\n\nAssistant: No."}, [HI]),
    ],
)
def test_training_formats(record, expected):
    source = read(lines(record, record), messages)
    assert said(source) == expected * 2 and not source.quarantined
    assert said(read(whole([record]), messages)) == expected


@pytest.mark.parametrize(
    ("chosen", "rejected"),
    [
        ("Yes?", "No."),
        ([{"role": "assistant", "content": "Yes?"}], [{"role": "assistant", "content": "No."}]),
        (
            [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}],
            [{"role": "assistant", "content": "No."}],
        ),
    ],
)
def test_a_preference_keeps_what_was_rejected(chosen, rejected):
    source = read(lines({"prompt": "Hi", "chosen": chosen, "rejected": rejected}), messages)
    assert said(source) == [HI] and source.scenes[0].utterances[1].rejected == ("No.",)


def test_an_answer_that_is_labelled_bad_is_set_aside():
    source = read(lines(row() | {"label": False}, row() | {"label": True}, row()), messages)
    assert len(source.scenes) == 2 and source.quarantined[0].place == "line 1"


def test_system_messages_are_the_systems_where_most_agree():
    mira = openai(("system", "You are Mira."), ("user", "Hi"), ("assistant", "Yes?"))
    assert read(lines(mira, mira), messages).system == "You are Mira."
    assert read(lines(mira, mira, row() | {"system": "You are Juno."}), messages).system == "You are Mira."
    source = read(lines(mira, row() | {"system": "You are Juno."}), messages)
    assert source.system == "" and source.notes == ["There are 2 different system messages."]
    late = read(lines(openai(("user", "Hi"), ("system", "Be kind."), ("assistant", "Yes?"))), messages)
    assert said(late) == [HI] and late.system == "" and "within a dialogue" in late.notes[0]


def test_our_own_rows_are_read():
    talk = (Message("user", "Hi", "Tom"), Message("assistant", "Yes?"))
    ours = Conversation(talk, "Mira", id="lines/1 The lamp", source="lines", scene="1 The lamp").to_row()
    source = read(lines(ours, ours), messages)
    assert said(source) == [[("Tom", "Hi"), ("Mira", "Yes?")]] * 2
    assert source.character == "Mira" and source.scenes[0].title == "1 The lamp"
    assert read(lines(ours, ours | {"character": "Juno"}), messages).character == ""


def test_a_broken_record_is_quarantined_as_a_whole():
    bad = [
        openai(("user", "Hi"), ("assistant", 5)),
        {"messages": [{"role": "user", "content": "Hi"}, "x"]},
        {"messages": [{"role": 5, "content": "Hi"}]},
        {"messages": [{"role": "user", "content": ""}]},
        {"other": 1},
        [1],
        None,
        "text",
    ]
    source = read(lines(*[openai(("user", "Hi"))] * 9, *bad), messages)
    assert len(source.scenes) == 9
    assert [part.place for part in source.quarantined] == [f"line {n}" for n in range(10, 18)]
    reasons = [part.reason for part in source.quarantined]
    assert reasons[0] == "Message 2 has a number instead of a text." and "other" in reasons[4]


def test_lines_of_a_script_in_records():
    rows = [{"character": "Mira", "line": "Hi", "scene": 1}, {"character": "Tom", "line": "Yes?", "scene": 1}]
    source = read(lines(*rows, {"character": "Mira", "line": "Bye", "scene": 2}, {"line": "x"}), messages)
    assert said(source) == [[("Mira", "Hi"), ("Tom", "Yes?")], [("Mira", "Bye")]]
    assert source.scenes[1].title == "2" and source.quarantined[0].place == "line 4"


def test_what_is_no_dialogue_is_nobodys():
    for value in ({"name": "Mira", "description": "x"}, {"entries": {}}, [1, 2], {"text": "A novel."}, {"title": "x"}):
        assert detected(whole(value) if isinstance(value, dict) else lines(value, value)) is None


# --- texts with marks ---

CHATML = """<|im_start|>system
You are Mira.<|im_end|>
<|im_start|>user
Hi<|im_end|>
<|im_start|>assistant
Yes?

Sit down.<|im_end|>
"""
LONG = [(USER, "Hi"), (CHARACTER, "Yes?\n\nSit down.")]


@pytest.mark.parametrize(
    "text",
    [
        CHATML,
        CHATML.replace("\n", "\r\n"),
        "<|system|>You are Mira.<|user|>Hi<|model|>Yes?\n\nSit down.",
        "<|system|>\nYou are Mira.</s>\n<|user|>\nHi</s>\n<|assistant|>\nYes?\n\nSit down.</s>",
        "<s>[INST] <<SYS>>\nYou are Mira.\n<</SYS>>\n\nHi [/INST] Yes?\n\nSit down. </s>",
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nYou are Mira.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nYes?\n\nSit down.<|eot_id|>",
    ],
)
def test_marked_texts(text):
    assert messages.looks_like_marked(text)
    source = messages.read_marked(text, "file")
    assert said(source) == [LONG] and source.system == "You are Mira."
    assert said(messages.read_marked(text + "\n" + text, "file")) == [LONG, LONG]


def test_turns_of_llama_2_alpaca_and_gemma():
    llama = "<s>[INST] Hi [/INST] Yes? </s><s>[INST] Bye [/INST] So long. </s>"
    assert said(messages.read_marked(llama, "x")) == [[*HI, (USER, "Bye"), (CHARACTER, "So long.")]]
    alpaca = "You are Mira.\n\n### Instruction:\nHi\n\n### Response:\nYes?"
    assert messages.looks_like_marked(alpaca) and said(messages.read_marked(alpaca, "x")) == [HI]
    assert messages.read_marked(alpaca, "x").system == "You are Mira."
    gemma = "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nYes?<end_of_turn>\n"
    assert messages.looks_like_marked(gemma) and said(messages.read_marked(gemma, "x")) == [HI]


def test_old_pygmalion():
    text = "Mira's Persona: Mends clocks.\nIs patient.\n<START>\nMira: Good evening.\nYou: Hi\n<START>\nYou: Bye\nMira: So long."
    assert messages.looks_like_marked(text)
    source = messages.read_marked(text, "file")
    assert said(source) == [[("Mira", "Good evening."), (USER, "Hi")], [(USER, "Bye"), ("Mira", "So long.")]]
    assert source.character == "Mira" and source.system == "Mends clocks.\nIs patient."


def test_prose_is_not_marked():
    for text in (
        "",
        "A novel.\n" * 999,
        "Tom: Hi\nMira: Yes?",
        "Write `<|im_start|>user\n` first.",
        "x" * 5_000 + CHATML,
    ):
        assert not messages.looks_like_marked(text)


@pytest.mark.parametrize(
    "part", ["<|im_start|>", "[INST]", "</s> ", "'s Persona:", "a's Persona:\n", "<", "[", "\n\nHuman:"]
)
def test_long_texts_of_half_marks_take_no_time(part):
    text = "<|im_start|>user\nHi" + part * 50_000
    start = time.process_time()
    messages.looks_like_marked(text)
    messages.read_marked(text, "x")
    assert time.process_time() - start < 3


# --- tables ---


def test_a_csv_file(tmp_path):
    file = tmp_path / "data"
    file.write_text('Question,Answer,Year\r\nHi,"Yes?\r\nSit ""down"".",1\r\n\r\nA,B\r\nBye,So long.,3\r\n', newline="")
    assert table.is_table(file)
    records = table.read_records(file, "data")
    assert said(read(records, messages)) == [
        [(USER, "Hi"), (CHARACTER, 'Yes?\nSit "down".')],
        [(USER, "Bye"), (CHARACTER, "So long.")],
    ]
    assert [part.place for part in records.quarantined] == ["row 5"]


def test_a_tsv_of_lines_and_json_in_cells(tmp_path):
    file = tmp_path / "data"
    file.write_text("character\tline\tscene\nMira\tHi\t1\nTom\tYes?\t1\n")
    assert said(read(table.read_records(file, "x"), messages)) == [[("Mira", "Hi"), ("Tom", "Yes?")]]
    file.write_text('id;messages\n1;"[{""role"": ""user"", ""content"": ""Hi""}]"\n2;"[{""role"": NaN}]"\n')
    records = table.read_records(file, "x")
    assert said(read(records, messages)) == [HI[:1]] and "NaN" in records.quarantined[0].reason


def test_texts_are_documents(tmp_path):
    file = tmp_path / "data"
    file.write_text("title,text\nOne,A novel.\n,Another.\nThree, \n")
    assert table.is_table(file) and table.read_records(file, "x").rows == []
    documents, broken = table.read_documents(file, "x")
    assert documents == [("One", "A novel."), ("row 3", "Another.")] and broken[0].place == "row 4"
    assert table.documents_of(lines({"text": "A novel."}, {"id": 7, "text": "B"}, 5), "x")[0] == [
        ("line 1", "A novel."),
        ("7", "B"),
    ]
    file.write_text("title,text\nThree, \n")
    with pytest.raises(PersonaError, match="has a text"):
        table.read_documents(file, "x")


def test_what_is_no_table(tmp_path):
    file = tmp_path / "data"
    for text in (
        "",
        "A novel.",
        "Hi, question, answer\n",
        "question\nHi\n",
        "x,y\n1,2\n",
        "text\nA\n",
        '{"question": "answer"}',
    ):
        file.write_text(text)
        assert not table.is_table(file)
    assert not table.is_table(tmp_path)


def parquet(file, columns, **how):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    write_table(pyarrow.table(columns), file, **how)
    return file


def test_a_parquet_file(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    turns = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes?"}]
    columns = {
        "conversations": [turns] * 100 + [None, []],
        "Character": pyarrow.array(["Mira"] * 102).dictionary_encode(),
        "image": pyarrow.array([b"\xff" * 10] * 102),
    }
    file = parquet(tmp_path / "data", columns, row_group_size=30)
    assert table.is_table(file)
    records = table.read_records(file, "x")
    assert len(records.rows) == 102 and "image" not in records.rows[0][1]
    source = read(records, messages)
    assert said(source) == [[(USER, "Hi"), ("Mira", "Yes?")]] * 100
    assert [part.place for part in source.quarantined] == ["row 101", "row 102"]


def test_columns_of_bytes_of_lists_and_of_marked_texts(tmp_path):
    file = parquet(tmp_path / "a", {"question": [b"Hi", b"\xff"], "answer": [b"Yes?"] * 2})
    records = table.read_records(file, "x")
    assert said(read(records, messages)) == [HI] and records.quarantined[0].place == "row 2"
    file = parquet(tmp_path / "b", {"conversations": [{"from": ["human", "gpt"], "value": ["Hi", "Yes?"]}]})
    assert said(read(table.read_records(file, "x"), messages)) == [HI]
    assert said(read(table.read_records(parquet(tmp_path / "c", {"text": [CHATML] * 3}), "x"), messages)) == [LONG] * 3
    file = parquet(tmp_path / "d", {"question": ["Hi", "H\0i"], "answer": ["Yes?"] * 2})
    assert "NUL" in table.read_records(file, "x").quarantined[0].reason


def test_a_table_of_discord_messages_is_refused(tmp_path):
    file = parquet(tmp_path / "a", {"text": ["A novel."], "source": ["discord"]})
    with pytest.raises(PersonaError, match="Developer Policy"):
        table.read_documents(file, "x")
    file = parquet(tmp_path / "b", {"question": ["Hi"], "answer": ["Yes?"], "provenance": [{"kind": "discord-api"}]})
    with pytest.raises(PersonaError, match="Developer Policy"):
        table.read_records(file, "x")


def test_a_small_file_with_much_text_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(columnar, "TABLE_TEXT_BYTES", 1_000_000)
    long = "x" * 10_000
    turns = [[{"role": "user", "content": long}] * 10] * 1000
    for columns in ({"text": [long] * 10_000}, {"messages": turns}, {"dialog": [[long] * 1000] * 10}):
        file = parquet(tmp_path / "data", columns)
        assert file.stat().st_size < 200_000
        with pytest.raises(PersonaError, match=r"text|bytes"):
            table.read_records(file, "x") if "text" not in columns else table.read_documents(file, "x")


def arrow(file, columns, stream=True):
    pyarrow = pytest.importorskip("pyarrow")
    content = pyarrow.table(columns)
    new = pyarrow.ipc.new_stream if stream else pyarrow.ipc.new_file
    with new(str(file), content.schema) as writer:
        writer.write_table(content)


@pytest.mark.parametrize("stream", [True, False])
def test_a_folder_that_datasets_wrote(tmp_path, stream):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        arrow(tmp_path / split / "data-0.arrow", {"question": ["Hi"], "answer": ["Yes?"]}, stream)
        arrow(tmp_path / split / "cache-1.arrow", {"question": ["x"], "answer": ["y"]}, stream)
        (tmp_path / split / "state.json").write_text('{"_data_files": [{"filename": "data-0.arrow"}]}')
    assert table.is_table(tmp_path / "train") and table.is_table(tmp_path / "train" / "data-0.arrow")
    assert said(read(table.read_records(tmp_path / "train", "x"), messages)) == [HI]
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    records = table.read_records(tmp_path, "x")
    assert [number for number, _ in records.rows] == [1, 2] and said(read(records, messages)) == [HI] * 2


@pytest.mark.parametrize(
    "state",
    ["", "[]", "{}", '{"_data_files": []}', '{"_data_files": 5}', '{"_data_files": [{"filename": "../x.arrow"}]}', '{"_data_files": [5]}',
     '{"_data_files": [{"filename": "none.arrow"}]}'],
)  # fmt: skip
def test_a_folder_that_leads_elsewhere_is_refused(tmp_path, state):
    (tmp_path / "x").mkdir()
    arrow(tmp_path / "x.arrow", {"question": ["Hi"], "answer": ["Yes?"]})
    (tmp_path / "x" / "state.json").write_text(state)
    with pytest.raises(PersonaError):
        table.read_records(tmp_path / "x", "x")


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_a_damaged_table_is_records_or_our_error(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    turns = [[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]] * 20
    file = folder / "damaged"
    kind = data.draw(st.sampled_from(["parquet", "stream", "file", "csv"]))
    if kind == "parquet":
        parquet(file, {"messages": turns, "title": ["x"] * 20})
    elif kind == "csv":
        file.write_text("question,answer\n" + 'Hi,"Yes?"\n' * 20)
    else:
        arrow(file, {"messages": turns, "title": ["x"] * 20}, kind == "stream")
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(content[: data.draw(st.integers(1, len(content)))] if data.draw(st.booleans()) else content)
    try:
        table.is_table(file)
        messages.read(table.read_records(file, "x"), "x")
        table.read_documents(file, "x")
    except PersonaError:
        pass


def test_the_shapes_of_the_corpora(tmp_path):
    turns = [{"speaker": "User 1", "text": "Hi"}, {"speaker": "User 2", "text": "Yes?"}]
    columns = {"id": ["a/1"], "turns": [turns], "persona": ["x"], "license": ["CC0"], "source": ["a"]}
    source = read(table.read_records(parquet(tmp_path / "a", columns), "x"), messages)
    assert said(source) == [[("User 1", "Hi"), ("User 2", "Yes?")]] and source.scenes[0].title == "a/1"
    novels = {"id": ["1"], "title": ["A clock"], "text": ["She said: “Hi.”\n" * 999], "license": ["CC0"]}
    file = parquet(tmp_path / "b", novels)
    assert table.read_records(file, "x").rows == []
    assert table.read_documents(file, "x") == ([("A clock", novels["text"][0])], [])


@pytest.mark.slow
@pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora are not here")
def test_the_corpora_are_read():
    records = table.read_records(CORPORA / "dialogues.parquet", "dialogues")
    source = read(records, messages)
    assert len(source.scenes) == len(records.rows) > 7_000 and not source.quarantined
    assert all(len(scene.utterances) > 1 for scene in source.scenes)
    assert table.read_records(CORPORA / "novels.parquet", "novels").rows == []
    documents, broken = table.read_documents(CORPORA / "novels.parquet", "novels")
    assert len(documents) == 187 and not broken and dict(documents)["bleak house"].startswith("CHAPTER I")


# --- anything ---

KEYS = st.sampled_from(
    "messages role content name conversations from value prompt completion chosen rejected instruction input output history "
    "mes swipes swipe_id is_user is_system send_date extra type character_name user_name internal visible msg userId "
    "histories msgs src is_human text bot_name bot_greeting conversation message actions chats list date dialogues character "
    "plots topic scenario turns speaker dialog system label source title line scene question answer metadata".split()
)
TEXTS = st.text(max_size=8) | st.sampled_from(
    [
        "user",
        "human",
        "gpt",
        "system",
        "tool",
        "message",
        "narrator",
        "Mira",
        "A: b\nC: d",
        CHATML,
        "[x",
        "2024-6-1@1h1m1s",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=6) | VALUES, max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_records_give_a_source_or_our_error(values):
    records = Records(list(enumerate(values, 1)))
    for reader in (tavern, chats, messages):
        reader.looks_like(records)
        try:
            source = reader.read(records, "x")
        except PersonaError:
            continue
        assert isinstance(source, Source)
        for utterance in (u for scene in source.scenes for u in scene.utterances):
            assert utterance.text == utterance.text.strip() != "" and utterance.speaker.strip()
            assert "\r\n" not in utterance.text and utterance.text not in utterance.rejected


@given(st.binary(max_size=80) | st.text('[]{}",:\\u0d8n \n1eNa', max_size=60).map(str.encode))
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_records_or_our_error(data):
    try:
        records = read_records(data, "file")
    except PersonaError as error:
        assert "file" in error.where and len(str(error).splitlines()) <= 3
    else:
        assert isinstance(records, Records)


@given(
    st.text(max_size=60)
    | st.lists(TEXTS | st.sampled_from(["<|user|>", "<|model|>", "[INST]", "</s>"]), max_size=6).map("".join)
)
@settings(max_examples=100, deadline=None)
def test_any_text_gives_a_source(text):
    messages.looks_like_marked(text)
    assert isinstance(messages.read_marked(text, "x"), Source)


def test_importing_the_readers_is_light():
    code = "import sys, data.readers.table; print({'pyarrow', 'datasets', 'torch'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"
