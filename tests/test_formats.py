"""The formats that characters come in: PNG, CHARX, JSON, TOML, lore.md, lines.md, and the folder that an import makes."""

import base64
import contextlib
import json
import os
import struct
import time
import tomllib
import unicodedata
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.card import CharacterCard
from persona.commands import main
from persona.commands.new import shown_name
from persona.errors import PersonaError
from persona.formats import folder
from persona.formats.json import read_json
from persona.formats.lore import read_lore, write_lore
from persona.formats.text import decode_text, printable
from persona.formats.toml import fits, write_toml

FIXTURES = Path(__file__).parents[1].parent / "shared/fixtures"
CARD = {
    "spec": "chara_card_v2",
    "spec_version": "2.0",
    "data": {"name": "Mira", "description": "Mends clocks.", "extensions": {"a": 1}},
}


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture(*chunks, before=()):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0\0\0"))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + pixels + b"".join(chunks) + chunk(b"IEND", b"")


def encoded(name="Mira", **fields):
    return base64.b64encode(json.dumps({**CARD, "data": {**CARD["data"], "name": name, **fields}}).encode())


def text_chunk(keyword=b"chara", text=None):
    return chunk(b"tEXt", keyword + b"\0" + (text or encoded()))


def read(tmp_path, png, notes=None):
    (tmp_path / "card.png").write_bytes(png)
    return CharacterCard.load(tmp_path / "card.png", notes)


# PNG


@pytest.mark.parametrize(
    "card",
    [
        text_chunk(),
        text_chunk(b"Chara"),
        text_chunk(b"ccv3"),
        chunk(b"zTXt", b"chara\0\0" + zlib.compress(encoded())),
        chunk(b"iTXt", b"chara\0\0\0\0\0" + encoded()),
        chunk(b"iTXt", b"chara\0\1\0en\0Figur\0" + zlib.compress(encoded())),
        text_chunk(text=base64.b64decode(encoded())),
        text_chunk(text=encoded().rstrip(b"=")),
    ],
    ids=["tEXt", "Chara", "ccv3", "zTXt", "iTXt", "iTXt compressed", "plain JSON", "no padding"],
)
def test_a_card_is_found_in_every_text_chunk_before_and_after_the_pixels(tmp_path, card):
    assert read(tmp_path, picture(card)).name == "Mira"
    assert read(tmp_path, picture(before=[card])).name == "Mira"


def test_an_animated_picture_is_read(tmp_path):
    frames = [chunk(b"acTL", struct.pack(">II", 1, 0)), chunk(b"fcTL", b"\0" * 26)]
    assert read(tmp_path, picture(text_chunk(), before=frames)).name == "Mira"


def test_ccv3_wins_over_chara_and_the_choice_is_said(tmp_path):
    notes = []
    card = read(tmp_path, picture(text_chunk(b"chara", encoded("Old")), text_chunk(b"ccv3", encoded("New"))), notes)
    assert card.name == "New"
    assert any("ccv3" in note for note in notes)


def test_of_two_different_cards_the_first_is_read_and_it_is_said(tmp_path):
    notes = []
    assert read(tmp_path, picture(text_chunk(), text_chunk(text=encoded("Other"))), notes).name == "Mira"
    assert any("2 different" in note for note in notes)
    notes.clear()
    read(tmp_path, picture(text_chunk(), text_chunk()), notes)
    assert notes == []


def test_other_texts_and_what_follows_the_end_are_not_read(tmp_path):
    with pytest.raises(PersonaError, match="no character card"):
        read(tmp_path, picture(text_chunk(b"Comment")) + text_chunk())


def broken_checksum():
    whole = text_chunk()
    return whole[:-1] + bytes([whole[-1] ^ 1])


@pytest.mark.parametrize(
    ("png", "says"),
    [
        (picture(broken_checksum()), "checksum"),
        (picture(text_chunk())[:-20], "cut off"),
        (picture(text_chunk(text=b"%%%")), "base64"),
        (picture(chunk(b"zTXt", b"chara\0\0" + zlib.compress(encoded())[:-9])), "cut off"),
        (picture(chunk(b"zTXt", b"chara\0\0nonsense")), "damaged"),
        (picture(chunk(b"zTXt", b"chara\0\7x")), "unknown way"),
        (picture(text_chunk(text=base64.b64encode(b"{"))), "not JSON"),
    ],
)
def test_damage_is_named(tmp_path, png, says):
    with pytest.raises(PersonaError, match=says):
        read(tmp_path, png)


def test_a_huge_claimed_size_costs_nothing_because_pixels_are_not_decoded(tmp_path):
    png = picture(text_chunk()).replace(struct.pack(">II", 1, 1), struct.pack(">II", 60_000, 60_000), 1)
    assert read(tmp_path, png).name == "Mira"


def test_a_card_is_written_into_a_picture_in_the_place_of_the_old_one(tmp_path):
    (tmp_path / "old.png").write_bytes(
        picture(text_chunk(b"Comment", b"kept"), before=[chunk(b"zTXt", b"CHARA\0\0" + zlib.compress(encoded("Old")))])
    )
    card = CharacterCard.from_fields({"name": "Nova", "description": "é 🌙", "own": [1, None]}, {"chat": "x"})
    card.save(tmp_path / "new.png", picture=tmp_path / "old.png")
    notes = []
    again = CharacterCard.load(tmp_path / "new.png", notes)
    assert (again, again.around) == (card, {"chat": "x"})
    written = (tmp_path / "new.png").read_bytes()
    assert b"CHARA\0" not in written and b"Comment\0kept" in written
    assert written.count(b"tEXtchara\0") == written.count(b"tEXtccv3\0") == 1
    card.save(tmp_path / "new.png")
    assert (tmp_path / "new.png").read_bytes() == written


def test_a_card_cannot_be_written_into_a_picture_that_is_not_there(tmp_path):
    with pytest.raises(PersonaError, match="no file"):
        CharacterCard(name="Mira").save(tmp_path / "none.png")
    assert list(tmp_path.iterdir()) == []


# CHARX


def archive(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


def test_charx_is_read_by_content_and_what_stays_out_is_counted(tmp_path):
    notes = []
    path = archive(tmp_path / "card.bin", ("assets/icon/images/main.png", b"x"), ("card.json", json.dumps(CARD)))
    assert CharacterCard.load(path, notes).name == "Mira"
    assert any(note.startswith("1 other file") for note in notes)


@pytest.mark.parametrize(
    "name", ["../x", "a/../x", "/x", "C:/x", "C:x", "a\\..\\x", "a/./x", "a//x", "a:b", "x.", "a./x", "x ", "a\nb"]
)
def test_an_unsafe_name_refuses_the_whole_archive(tmp_path, name):
    with pytest.raises(PersonaError, match="unsafe name"):
        CharacterCard.load(archive(tmp_path / "a.charx", ("card.json", json.dumps(CARD)), (name, b"")))


def test_folders_and_dots_inside_names_are_allowed(tmp_path):
    path = archive(
        tmp_path / "a.charx",
        ("assets/", b""),
        ("assets/a.b..c.png", b""),
        (".hidden", b""),
        ("card.json", json.dumps(CARD)),
    )
    assert CharacterCard.load(path).name == "Mira"


# JSON


def test_valid_json_is_read_as_python_reads_it():
    value = {"a": [1, -2.5, True, None, "é 🌙 \ud83c\udf19"], "\\ud800": '\\"[{'}
    value["a"][4] = "é 🌙 \U0001f319"
    assert read_json(json.dumps(value).encode(), "x") == value


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"  \n ", "empty"),
        (b'{"a": 1,\n  "b": }', "line 2, column 8"),
        (b'{"a": NaN}', "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[-Infinity]", "-Infinity"),
        (b"[1e400]", "1e400"),
        (b"[" + b"9" * 5000 + b"]", "5,000 digits"),
        (b'{"a": 1, "a": 2}', "'a' stands twice"),
        (b"\n" + b"[" * 65 + b"]" * 65, "line 2, column 65"),
        (b'{"a": "\\u0000"}', "line 1, column 8"),
        (b'["\\ud800"]', "lone surrogate"),
        (b'["\\ud800\\u0041"]', "lone surrogate"),
        (b'["\\udc00"]', "lone surrogate"),
        (b'["\\ud83c", "\\udf19"]', "lone surrogate"),
        (b'["\xed\xa0\x80"]', "lone surrogate"),
        (b'["a\0b"]', "line 1, column 4"),
        (b'{"a": [1]', "line 1, column"),
        (b'{"a": "' + b'\\"' * 3_000_000, "unterminated string"),
        (b'"' * 7_000_000, "line 1, column"),
        (b'["' + b"\\\\" * 3_000_000 + b'\\ud800"]', "lone surrogate"),
        (b"[" + b"1," * 600_000 + b"1]", "500,000 values"),
        (b"[" + b"[[]]," * 200_000 + b"1]", "500,000 values"),
        (b'["' + b"x" * 9_000_000 + b'"]', "9,000,004 bytes"),
        ('["a"]'.encode("utf-16")[:-1], "UTF-16"),
        ('["\U0001f319"]'.encode("utf-16-le")[:6], "UTF-16"),
    ],
)
def test_what_would_choke_later_is_refused_with_its_place(data, says):
    with pytest.raises(PersonaError) as error:
        read_json(data, "x.json")
    assert says in str(error.value)
    assert "x.json" in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_other_unicode_is_read_and_said(encoding):
    notes = []
    assert read_json('{"name": "Zoë"}'.encode(encoding), "x", notes) == {"name": "Zoë"}
    assert len(notes) == 1 and "UTF" in notes[0]


def test_a_legacy_encoding_is_a_guess_and_said():
    notes = []
    text = "Le café était fermé à cause de la fête, et Zoë rêvait d'une crème brûlée près de la forêt."
    assert decode_text(text.encode("cp1252"), "x", notes) == text
    assert "guess" in notes[0]


@given(st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_bytes_raise_anything_but_our_error(data):
    with contextlib.suppress(PersonaError):
        read_json(data, "x")


# TOML


values = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(blacklist_categories=["Cs"])), inner, max_size=4)
    ),
)


@given(st.dictionaries(st.text(st.characters(blacklist_categories=["Cs"])), values, max_size=5))
@settings(deadline=None)
def test_toml_written_reads_back(table):
    assert fits(table)
    assert tomllib.loads(write_toml(table)) == table


@pytest.mark.parametrize("text", ['a\n"""', '"\n"', "a\n\\", "\n", "\r\n", 'x\n""""', "a\n\\u0041\x7f\t"])
def test_hard_texts_read_back(text):
    assert tomllib.loads(write_toml({"a": text, "b": [text], "c": {"d": [{"e": text}]}})) == {
        "a": text,
        "b": [text],
        "c": {"d": [{"e": text}]},
    }


def test_what_toml_cannot_hold():
    assert not fits(None) and not fits([{"a": None}]) and not fits(2**63)
    assert fits(-(2**63)) and fits({"a": [True, 1.5]})


# lore.md


LORE = """# Mira

<!-- ## not an entry
-->
## the shop
keys: shop, where do you live
secondary_keys: mill lane
constant: yes
priority: 7

Mira keeps a shop.
Note: keys: are only read above.

### A smaller heading
stays.

## Pip
A mouse.
"""


def test_lore_is_read():
    assert read_lore(LORE, "lore.md") == [
        {
            "name": "the shop",
            "keys": ["shop", "where do you live"],
            "secondary_keys": ["mill lane"],
            "selective": True,
            "constant": True,
            "priority": 7,
            "content": "Mira keeps a shop.\nNote: keys: are only read above.\n\n### A smaller heading\nstays.",
            "insertion_order": 1,
            "use_regex": False,
        },
        {"name": "Pip", "keys": ["Pip"], "content": "A mouse.", "insertion_order": 2, "use_regex": False},
    ]


def test_empty_keys_fall_back_to_the_heading():
    for line in ("keys:", "keys: , ,", "Keys :  "):
        (entry,) = read_lore(f"## the shop\n{line}\nMira keeps it.\n", "lore.md")
        assert (entry["keys"], entry["content"]) == (["the shop"], "Mira keeps it.")


def test_an_entry_without_keys_survives_the_way_into_a_folder(tmp_path):
    card = CharacterCard.from_fields(
        {"name": "Mira", "character_book": {"entries": [{"keys": [], "content": "x", "constant": True, "name": "A"}]}}
    )
    folder.write_folder(tmp_path, card.to_fields(), {})
    assert CharacterCard.load(tmp_path) == card


def test_lore_written_reads_back():
    entries = read_lore(LORE, "lore.md")
    assert read_lore(write_lore(entries, "Mira"), "lore.md") == entries


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Mira keeps a shop.\n## Shop\n", "line 1"),
        ("## Shop\nconstant: maybe\n", "line 2"),
        ("## Shop\n\npriority: high\n", "line 3"),
        ("<!--\n\n-->\n## Shop\npriority: \n", "line 5"),
    ],
)
def test_lore_that_cannot_be_read_names_its_line(text, says):
    with pytest.raises(PersonaError, match=says):
        read_lore(text, "lore.md")


# lines.md and scripts


def test_scenes_titles_and_turns():
    text = """<!-- Tom: not a line -->
## First
Ada: Come in.
  Mind the steps.

They are wet.
**Tom (softly):** Hello: it is me.
---
Mrs. Pell: Hello.
## Second
{{char}}: Yes.
<START>
<USER>: No.
- Tom: A list.
Jean- Luc: A name.
> **Tom** (loud): A quotation.
* * *
张三：你好
"""
    scenes = folder.parse_scenes(text, "lines.md")
    assert [(scene.title, scene.turns) for scene in scenes] == [
        ("First", (("Ada", "Come in.\nMind the steps.\n\nThey are wet."), ("Tom", "(softly) Hello: it is me."))),
        ("", (("Mrs. Pell", "Hello."),)),
        ("Second", (("{{char}}", "Yes."),)),
        ("", (("<USER>", "No."), ("Tom", "A list."), ("Jean- Luc", "A name."), ("Tom", "(loud) A quotation."))),
        ("", (("张三", "你好"),)),
    ]


def test_a_sentence_with_a_colon_is_no_speaker():
    text = "Ada: Listen.\nand then he said: no\nThis is a long way of saying it: no.\nAt 12:30 it rained.\nShe asked, softly: why?"
    assert [name for name, _ in folder.parse_scenes(text, "x")[0].turns] == ["Ada"]


def test_a_play_with_names_on_their_own_lines():
    text = "ACT I\n\nFirst Citizen:\nHear me:\nspeak.\n\nSenators, &C:\nSpeak.\n\nALL:\n\nTom:\nNo: never.\n"
    (scene,) = folder.parse_scenes(text, "x")
    assert scene.title == "ACT I"
    assert scene.turns == (("First Citizen", "Hear me:\nspeak."), ("Senators, &C", "Speak."), ("Tom", "No: never."))


@pytest.mark.parametrize(
    "line",
    ["Tom" + " " * 200_000 + "x", "-" + " -" * 100_000 + "x", "*" * 200_000 + ":", "(" * 200_000 + ":", "#" * 200_000],
)
def test_hostile_lines_take_linear_time(line):
    start = time.process_time()
    folder.parse_scenes(f"Ada: Hello.\n{line}", "x")
    assert time.process_time() - start < 1


def test_no_lines_are_no_scenes(tmp_path):
    assert folder.read_scenes(tmp_path) == ()
    (tmp_path / "lines.md").write_text("<!-- nothing yet -->\n---\n", encoding="utf-8")
    assert folder.read_scenes(tmp_path) == ()


def test_a_real_script_is_read():
    if not FIXTURES.is_dir():
        pytest.skip("the shared fixtures are not here")
    scenes = folder.read_scenes(FIXTURES / "scripts/tinyshakespeare.txt")
    turns = [turn for scene in scenes for turn in scene.turns]
    assert len(turns) == 7097
    assert turns[0] == ("First Citizen", "Before we proceed any further, hear me speak.")


# What a terminal would obey


@given(st.text(max_size=40))
def test_printable_text_moves_no_cursor_and_hides_nothing(text):
    shown = printable(text)
    assert all(c in "\t\n" or unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp") for c in shown)
    assert not BIDI.intersection(shown)
    shown.encode("utf-8")
    if not BIDI.intersection(text) and all(c.isprintable() or c in "\t\n" for c in text):
        assert shown == text


BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def test_control_characters_are_shown_by_their_codes():
    given_ = "a\tb\n\x1b]0;x\x07\r\x7f\x9b1m\u202e\u2028\udc80 é 🌙 👩\u200d🚀"
    assert printable(given_) == "a\tb\n\\x1b]0;x\\x07\\r\\x7f\\x9b1m\\u202e\\u2028\\udc80 é 🌙 👩\u200d🚀"


ESCAPES = "\x1b[31m\x1b]0;evil\x07\x9b2J\u202e\r"
STRANGERS = [
    {"name": f"Mi{ESCAPES}ra", "description": "x", "tags": ESCAPES, "creator": 5},
    {"name": "Mira", ESCAPES: 1, "description": {ESCAPES: 1}},
    {"name": "Mira", "description": "x", "tags": [{ESCAPES: 1}]},
    {"name": "Mira", "description": "x", "character_book": {"entries": [{"keys": [{ESCAPES: 1}]}]}},
    {"name": "Mira", "description": "x", "character_book": {"entries": {ESCAPES: 5}}},
    {
        "name": "Mira",
        "description": "x",
        "character_book": {"entries": {ESCAPES: {"key": [ESCAPES], "order": ESCAPES}}},
    },
    {"entries": {ESCAPES: {"key": [ESCAPES], "content": ESCAPES, "order": ESCAPES}}},
    {"spec": ESCAPES, "spec_version": ESCAPES, "data": {"name": "Mira"}},
    {"spec": "chara_card_v3", "spec_version": f"9{ESCAPES}", "data": {"name": "Mira"}},
]


@pytest.mark.parametrize("card", STRANGERS)
def test_import_prints_no_control_character_of_a_stranger(here, card, capsys):
    (here / f"card{ESCAPES}.json").write_text(json.dumps(card), encoding="utf-8")
    (here / "card.json").write_text(
        json.dumps(card)[:-1] + f', "{json.dumps(ESCAPES)[1:-1]}": 1, "x": 1, "x": 2}}', encoding="utf-8"
    )
    main(["import", "card.json"])
    main(["import", f"card{ESCAPES}.json", "--to", "x"])
    said = capsys.readouterr()
    assert printable(said.out) == said.out
    assert printable(said.err.replace(ESCAPES, "")) == said.err.replace(ESCAPES, "")


# The folder and the commands


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("name = Mira", "line 1"),
        ('name = "Mira"\nborn = 2001-01-01', "2001-01-01"),
        ('name = "Mira"\nx = nan', "nan"),
        ('name = "Mi\\u0000ra"', "NUL"),
        ('name = "Mira"\nx = ' + "9" * 5000, "too long"),
        ('name = "Mira"\nx = ' + "[" * 3000 + "]" * 3000, "deep"),
        ('name = "Mira"\nname = "Mira"', "TOML"),
    ],
)
def test_a_card_toml_that_cannot_be_read_is_named(tmp_path, toml, says):
    (tmp_path / "card.toml").write_text(toml, encoding="utf-8")
    with pytest.raises(PersonaError) as error:
        CharacterCard.load(tmp_path)
    assert says in str(error.value) and "card.toml" in str(error.value)


def test_a_folder_without_a_card_says_what_to_type(tmp_path):
    with pytest.raises(PersonaError, match="persona new"):
        CharacterCard.load(tmp_path)


def test_simple_lore_is_written_as_lore_md_and_rich_lore_as_json(tmp_path):
    simple = {"name": "Mira", "character_book": {"entries": read_lore(LORE, "x")}}
    folder.write_folder(tmp_path / "a", simple, {})
    assert sorted(file.name for file in (tmp_path / "a").iterdir()) == ["card.toml", "lore.md"]
    simple["character_book"]["scan_depth"] = 3
    folder.write_folder(tmp_path / "b", simple, {})
    assert sorted(file.name for file in (tmp_path / "b").iterdir()) == ["card.toml", "lorebook.json"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_import_makes_a_folder_that_is_the_same_card(here, capsys):
    (here / "card.json").write_text(json.dumps({**CARD, "chat": "x"}), encoding="utf-8")
    assert main(["import", "card.json"]) == 0
    said = capsys.readouterr().out
    assert "Mira, from card.json" in said and "persona build mira" in said
    imported = CharacterCard.load(here / "characters/mira")
    source = CharacterCard.load(here / "card.json")
    assert (imported, imported.around) == (source, source.around)
    assert "Mira: Come in." in (here / "characters/mira/lines.md").read_text(encoding="utf-8")
    assert folder.read_scenes(here / "characters/mira") == ()


def test_import_replaces_a_character_only_with_force_and_keeps_its_lines(here, capsys):
    (here / "card.json").write_text(json.dumps(CARD), encoding="utf-8")
    main(["new", "mira"])
    assert main(["import", "card.json"]) == 2
    assert "--force" in capsys.readouterr().err
    lines = (here / "characters/mira/lines.md").read_text(encoding="utf-8")
    assert main(["import", "card.json", "--force"]) == 0
    assert CharacterCard.load(here / "characters/mira").description == "Mends clocks."
    assert (here / "characters/mira/lines.md").read_text(encoding="utf-8") == lines
    assert not (here / "characters/mira/lore.md").exists()
    assert [file.name for file in (here / "characters").iterdir()] == ["mira"]


def test_import_never_replaces_a_folder_that_is_no_character(here, capsys):
    (here / "card.json").write_text(json.dumps(CARD), encoding="utf-8")
    (here / "home").mkdir()
    (here / "home/thesis.txt").write_text("x", encoding="utf-8")
    assert main(["import", "card.json", "--to", "home", "--force"]) == 2
    assert [file.name for file in (here / "home").iterdir()] == ["thesis.txt"]
    assert main(["import", "card.json", "--to", "card.json"]) == 2


def test_a_lorebook_is_added_to_a_character_once(here, capsys):
    world = {
        "entries": {
            "0": {"uid": 0, "key": ["bridge"], "content": "The bridge is out.", "excludeRecursion": True, "order": 9}
        }
    }
    (here / "world.json").write_text(json.dumps(world), encoding="utf-8")
    assert main(["import", "world.json"]) == 2
    assert "characters/NAME" in capsys.readouterr().err
    main(["new", "mira"])
    for _ in range(2):
        assert main(["import", "world.json", "--to", "characters/mira"]) == 0
    book = CharacterCard.load(here / "characters/mira").character_book
    bridge, *rest = book.entries
    assert (bridge.content, bridge.insertion_order, bridge.extensions["exclude_recursion"]) == (
        "The bridge is out.",
        9,
        True,
    )
    assert [entry.name for entry in rest] == ["the shop", "the tower clock", "Pip"]


def test_a_real_card_is_imported_whole(here):
    if not FIXTURES.is_dir():
        pytest.skip("the shared fixtures are not here")
    assert main(["import", str(FIXTURES / "cards/Seraphina.png"), "--to", "deep/seraphina"]) == 0
    card, source = CharacterCard.load(here / "deep/seraphina"), CharacterCard.load(FIXTURES / "cards/Seraphina.png")
    assert (card, card.around) == (source, source.around)
    assert main(["import", str(FIXTURES / "lorebooks/Eldoria.json"), "--to", "deep/seraphina"]) == 0
    world = json.loads((FIXTURES / "lorebooks/Eldoria.json").read_text(encoding="utf-8"))
    assert len(CharacterCard.load(here / "deep/seraphina").character_book.entries) == 4 + len(world["entries"])


def test_new_writes_a_character_that_loads_and_does_not_overwrite(here, capsys):
    assert main(["new", "mira"]) == 0
    assert "fictional" in capsys.readouterr().out
    card = CharacterCard.load(here / "characters/mira")
    assert (card.name, card.pronouns) == ("Mira", "they")
    assert len(card.character_book.entries) == 3
    scenes = folder.read_scenes(here / "characters/mira")
    assert len(scenes) == 4 and all("Mira" in dict(scene.turns) for scene in scenes)
    assert "$" not in "".join(file.read_text(encoding="utf-8") for file in (here / "characters/mira").iterdir())
    assert main(["new", "mira"]) == 2


def test_import_into_the_working_folder_fills_it_and_leaves_it_where_it_is(here, monkeypatch, capsys):
    (here / "card.json").write_text(json.dumps(CARD), encoding="utf-8")
    (here / "mira").mkdir()
    (here / "link").symlink_to("mira")
    before = (here / "mira").stat().st_ino
    monkeypatch.chdir(here / "mira")
    assert main(["import", "../card.json", "--to", "."]) == 0
    assert sorted(os.listdir()) == ["card.toml", "lines.md"]
    assert "persona build ." in capsys.readouterr().out
    assert (here / "mira").stat().st_ino == before
    assert CharacterCard.load(".").name == "Mira"
    assert sorted(path.name for path in here.iterdir()) == ["card.json", "link", "mira"]
    for to in (".", "..", "../link", "../mira"):
        assert main(["import", "../card.json", "--to", to, "--force"]) == 2
    assert sorted(os.listdir()) == ["card.toml", "lines.md"]
    assert f"cd {here}, then the same with --to mira" in capsys.readouterr().err


def test_import_fills_an_empty_folder_whole_or_not_at_all(here, monkeypatch, capsys):
    (here / "card.json").write_text(json.dumps(CARD), encoding="utf-8")
    (here / "mira").mkdir()
    moves = os.replace

    def fail_at_last(source, target):
        if str(target) == str(here / "mira/card.toml"):
            raise PermissionError(13, "Permission denied")
        moves(source, target)

    monkeypatch.setattr(os, "replace", fail_at_last)
    assert main(["import", "card.json", "--to", "mira"]) == 2
    assert "Permission denied" in capsys.readouterr().err
    assert list((here / "mira").iterdir()) == []
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert main(["import", "card.json", "--to", "mira"]) == 0


def test_a_folder_that_cannot_be_written_is_named(here, capsys):
    (here / "card.json").write_text(json.dumps(CARD), encoding="utf-8")
    (here / "loop").symlink_to("loop")
    for to in ("loop", "card.json/x", "x" * 300):
        assert main(["import", "card.json", "--to", to]) == 2
        assert to in capsys.readouterr().err


def test_a_character_that_stands_before_a_sample_is_said(here, capsys):
    main(["new", "Ada"])
    assert "no longer the sample" in capsys.readouterr().out
    (here / "card.json").write_text(json.dumps({**CARD, "data": {**CARD["data"], "name": "Ada"}}), encoding="utf-8")
    main(["import", "card.json", "--force"])
    assert "no longer the sample" in capsys.readouterr().out
    main(["import", "card.json", "--to", "elsewhere/ada"])
    main(["new", "Adam"])
    assert "sample" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["", " ", "☃", '"""', "-_-", "\u202e", "...", "\u0301"])
def test_a_name_without_letters_is_refused(here, name, capsys):
    assert main(["new", "--", name]) == 2
    said = capsys.readouterr().err
    assert repr(name) in said and "persona new Mira" in said and len(said.splitlines()) <= 4
    assert list(here.iterdir()) == []


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=60))
@settings(deadline=None)
def test_a_new_characters_name_is_safe_in_every_file(name):
    shown = shown_name(f"A{name}")
    assert folder.parse_scenes(f"{shown}: hello", "x")[0].turns == ((shown, "hello"),)


@pytest.mark.parametrize(
    "name", ["../../etc", "con", "-rf", "a/b", '"a"', "\u202egnp", "$NAME", "x" * 5000, "Zoë", "北京", "a: b\n# c"]
)
def test_new_turns_a_hostile_name_into_a_folder_beside_the_others(here, name):
    assert main(["new", "--", name]) == 0
    (made,) = (here / "characters").iterdir()
    assert [path.name for path in here.iterdir()] == ["characters"]
    assert made.name == made.name.lower() and CharacterCard.load(made).name
