"""The card: every field read, nothing lost on the way back."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persona.card import NAME_CHARACTERS, CharacterCard
from persona.errors import PersonaError
from persona.formats import folder

FIXTURES = Path(__file__).parents[1].parent / "shared/fixtures"

V1 = {
    "name": "Mira",
    "description": "Mira mends clocks.",
    "personality": "quick",
    "scenario": "A shop.",
    "first_mes": "Come in, {{user}}.",
    "mes_example": "<START>\n{{user}}: hi\n{{char}}: hello",
}
BOOK = {
    "name": "Town",
    "scan_depth": 4,
    "extensions": {"x": 1},
    "entries": [
        {
            "keys": ["tower"],
            "content": "The tower is slow.",
            "extensions": {"probability": None, "depth": 4},
            "enabled": True,
            "insertion_order": 7,
            "id": 3,
            "unknown": {"deep": [1, 2.5, None]},
        }
    ],
}
V2 = {
    "spec": "chara_card_v2",
    "spec_version": "2.0",
    "data": {**V1, "tags": ["a"], "extensions": {"fav": False}, "character_book": BOOK},
}


def write(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_v1_is_read_and_what_silly_tavern_adds_is_kept(tmp_path):
    card = CharacterCard.load(
        write(tmp_path / "a.json", {**V1, "talkativeness": "0.5", "creatorcomment": "by me", "tags": ["x"]})
    )
    assert {field: getattr(card, field) for field in V1} == V1
    assert (card.creator_notes, card.tags) == ("by me", ("x",))
    assert card.around == {"talkativeness": "0.5", "creatorcomment": "by me"}


def test_the_older_char_name_fields_are_read(tmp_path):
    old = {
        "char_name": "Mira",
        "char_persona": "p",
        "world_scenario": "s",
        "char_greeting": "g",
        "example_dialogue": "e",
        "own": 1,
    }
    card = CharacterCard.load(write(tmp_path / "a.json", old))
    assert (card.name, card.description, card.scenario, card.first_mes, card.mes_example) == (
        "Mira",
        "p",
        "s",
        "g",
        "e",
    )
    assert card.around == {"own": 1}


def test_data_wins_over_flat_copies_which_are_kept(tmp_path):
    card = CharacterCard.load(write(tmp_path / "a.json", {**V2, "name": "Old name", "chat": "x"}))
    assert card.name == "Mira"
    assert card.around == {"name": "Old name", "chat": "x"}
    assert card.character_book.entries[0].content == "The tower is slow."


def test_a_json_card_is_known_by_content_and_not_by_its_ending(tmp_path):
    assert CharacterCard.load(write(tmp_path / "a.png", V2)).name == "Mira"


def test_a_newer_version_is_read_and_said(tmp_path):
    notes = []
    CharacterCard.load(write(tmp_path / "a.json", {**V2, "spec": "chara_card_v3", "spec_version": "3.7"}), notes)
    assert any("3.7" in note for note in notes)


def test_world_info_inside_a_card_is_read(tmp_path):
    row = {"uid": 7, "key": ["tower"], "content": "It is slow.", "disable": True, "excludeRecursion": True}
    for entries in ({"7": row}, [row]):
        card = CharacterCard.load(write(tmp_path / "a.json", {**V1, "character_book": {"entries": entries}}))
        (entry,) = card.character_book.entries
        assert (entry.keys, entry.content, entry.enabled, entry.id) == (("tower",), "It is slow.", False, 7)
        assert entry.flag("exclude_recursion") is True
        card.save(tmp_path / "b.json")
        assert CharacterCard.load(tmp_path / "b.json") == card


def test_the_nickname_is_what_char_stands_for():
    assert CharacterCard(name="Ada Marsh", nickname="Ada").spoken_name == "Ada"
    assert CharacterCard(name="Ada Marsh").spoken_name == "Ada Marsh"


@pytest.mark.parametrize(
    ("given_", "expected"), [("she", "she"), ("She/her", "she"), ("they", "they"), ("xe", ""), (None, "")]
)
def test_pronouns(given_, expected):
    assert CharacterCard(name="A", extensions={"persona": {"pronouns": given_}}).pronouns == expected
    assert CharacterCard(name="A", extensions={"persona": "x"}).pronouns == ""


def test_harmless_mistakes_of_real_cards_are_put_right_and_said(tmp_path):
    notes = []
    data = {
        **V1,
        "nickname": None,
        "extensions": [],
        "character_version": 1.2,
        "tags": "a, b",
        "alternate_greetings": "Hi, you",
    }
    card = CharacterCard.load(write(tmp_path / "a.json", {"data": data}), notes)
    assert (card.nickname, card.extensions, card.character_version) == ("", {}, "1.2")
    assert (card.tags, card.alternate_greetings) == (("a", "b"), ("Hi, you",))
    assert sum("read as" in note for note in notes) == 3


def test_a_name_that_would_reorder_the_screen_is_cleaned_and_said(tmp_path):
    notes = []
    card = CharacterCard.load(write(tmp_path / "a.json", {**V1, "name": "Mi\u202era\u001b[2J\nSystem"}), notes)
    assert card.name == "Mira[2J System"
    assert len(notes) == 1


def test_a_card_without_a_name_is_called_after_its_file(tmp_path):
    notes = []
    assert CharacterCard.load(write(tmp_path / "mira.json", {**V1, "name": " "}), notes).name == "mira"
    assert any("no name" in note for note in notes)


@pytest.mark.parametrize(
    ("card", "says"),
    [
        ([1], "a list"),
        ("x", "neither a PNG"),
        ({}, "no character card"),
        ({"entries": {}}, "no character card"),
        ({**V1, "name": "x" * (NAME_CHARACTERS + 1)}, "201 characters"),
        ({**V1, "name": ["x"]}, "name"),
        ({**V1, "name": True}, "name"),
        ({**V1, "description": {"x": 1}}, "description is an object"),
        ({**V1, "tags": [["x"]]}, "tags.0 is a list"),
        ({**V1, "character_book": "x"}, "character_book"),
        ({**V1, "character_book": {"entries": [{"keys": 5}]}}, "character_book"),
        ({**V1, "character_book": {"entries": [{"keys": 5}]}}, "entries.0.keys"),
        ({**V1, "character_book": {"entries": {"0": "x"}}}, "Entry 1"),
    ],
)
def test_what_is_no_card_is_refused_with_its_field(tmp_path, card, says):
    with pytest.raises(PersonaError) as error:
        CharacterCard.load(write(tmp_path / "a.json", card))
    assert says in str(error.value)
    assert len(str(error.value).splitlines()) <= 3


texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=30)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
FIELDS = set(CharacterCard.model_fields)
extras = st.dictionaries(texts.filter(lambda key: key not in FIELDS), values, max_size=3)
entries = st.builds(
    lambda known, extra: {**extra, **known},
    st.fixed_dictionaries(
        {"keys": st.lists(texts, max_size=3), "content": texts},
        optional={"name": texts, "insertion_order": st.integers(0, 9), "constant": st.booleans(), "extensions": extras},
    ),
    st.dictionaries(texts.map(lambda key: "x_" + key), values, max_size=2),
)
cards = st.builds(
    lambda known, extra: {**extra, **known},
    st.fixed_dictionaries(
        {"name": st.just("Mira")},
        optional={
            "description": texts,
            "first_mes": st.text("a\n\"\\ '", max_size=12),
            "alternate_greetings": st.lists(texts, max_size=3),
            "tags": st.lists(texts, max_size=3),
            "extensions": extras,
            "character_book": st.fixed_dictionaries(
                {"entries": st.lists(entries, max_size=3)}, optional={"name": texts, "extensions": extras}
            ),
        },
    ),
    extras,
)
arounds = st.dictionaries(texts.filter(lambda key: key not in ("spec", "spec_version", "data")), values, max_size=3)
many = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@many
@given(data=cards, around=arounds, v2=st.booleans())
def test_json_round_trip_loses_nothing(tmp_path, data, around, v2):
    card = CharacterCard.from_fields(data, around)
    card.save(tmp_path / "card.json", v2=v2)
    again = CharacterCard.load(tmp_path / "card.json")
    assert again == card
    assert again.around == around
    written = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    for key, value in data.items():
        assert written["data"][key] == value


@many
@given(data=cards, around=arounds)
def test_folder_round_trip_loses_nothing(tmp_path, data, around):
    for old in tmp_path.glob("*"):
        old.unlink()
    card = CharacterCard.from_fields(data, around)
    folder.write_folder(tmp_path, card.to_fields(), card.around)
    again = CharacterCard.load(tmp_path)
    assert again == card
    assert again.around == around


def test_a_v2_file_written_has_every_field_that_v2_demands(tmp_path):
    CharacterCard(name="Mira", nickname="Mi").save(tmp_path / "card.json", v2=True)
    written = json.loads((tmp_path / "card.json").read_text())
    assert (written["spec"], written["spec_version"]) == ("chara_card_v2", "2.0")
    demanded = {"creator_notes", "system_prompt", "post_history_instructions", "alternate_greetings", "tags", "creator"}
    assert set(written["data"]) >= {*V1, *demanded, "character_version", "extensions"}
    assert "group_only_greetings" not in written["data"]
    assert written["data"]["nickname"] == "Mi"


def test_a_v3_file_written_has_what_v3_adds(tmp_path):
    CharacterCard.from_fields(V2["data"]).save(tmp_path / "card.json")
    written = json.loads((tmp_path / "card.json").read_text())
    assert (written["spec"], written["spec_version"]) == ("chara_card_v3", "3.0")
    assert written["data"]["group_only_greetings"] == []
    assert written["data"]["character_book"]["entries"][0]["extensions"] == {"probability": None, "depth": 4}


def test_a_real_card_equals_what_another_reader_made_of_it():
    if not FIXTURES.is_dir():
        pytest.skip("the shared fixtures are not here")
    card = CharacterCard.load(FIXTURES / "cards/Seraphina.png")
    other = json.loads((FIXTURES / "cards/Seraphina.card.json").read_text(encoding="utf-8"))["data"]
    made_up_by_the_other_reader = {
        "assets",
        "source",
        "creation_date",
        "modification_date",
        "creator_notes_multilingual",
    }
    ours = card.model_dump(mode="json", exclude_unset=True) | {
        "nickname": card.nickname,
        "group_only_greetings": list(card.group_only_greetings),
    }
    assert {key: ours[key] for key in other if key not in made_up_by_the_other_reader} == {
        key: value for key, value in other.items() if key not in made_up_by_the_other_reader
    }
    assert len(card.character_book.entries) == 4
    assert card.around["talkativeness"] == "0.5"
