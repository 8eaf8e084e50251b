"""What a character is called, and what is somebody else's name."""

import pytest

from data.names import first_name, names_of, pronouns_of
from data.rows import RowMaker
from persona.card import CharacterCard
from persona.formats.folder import parse_scenes


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("Mira", "Mira"),
        ("Mira Vale", "Mira"),
        ("The Raven", ""),
        ("Mr. Crane", ""),
        ("Mr Crane", ""),
        ("LADY ANNE", ""),
        ("Duke Vincentio", ""),
        ("Old Jory", ""),
        ("Captain Ulmer", ""),
        ("J. Smith", ""),
        ("Queen", "Queen"),
    ],
)
def test_a_title_is_no_first_name(name, first):
    assert first_name(CharacterCard(name=name)) == first


def test_a_first_name_that_another_speaker_bears_is_not_the_characters():
    card = CharacterCard(name="Tom Jones")
    both = parse_scenes("Tom Jones: One.\nTom: Two.\nTom Jones: Three.", "t")
    alone = parse_scenes("Nell: One.\nTom: Two.", "t")
    assert first_name(card, both) == "" and first_name(card, alone) == "Tom"
    row = RowMaker(card, 0, both).dialogue(both[0].turns, source="lines", scene="1", origin="real")
    assert row.replies == ("One.", "Three.")
    row = RowMaker(card, 0, alone).dialogue(alone[0].turns, source="lines", scene="1", origin="real")
    assert row.replies == ("Two.",)


def test_prose_uses_the_name_without_its_title():
    card = CharacterCard(name="Mira", description="Mira Vale tends a garden.")
    assert names_of(card, "Mira") == ("Mira", "Mira Vale")
    assert names_of(CharacterCard(name="The Raven"), "") == ("The Raven", "the Raven")
    assert names_of(CharacterCard(name="Lady Anne"), "") == ("Anne", "Lady Anne")


def test_pronouns_are_found():
    assert pronouns_of(CharacterCard(name="X", extensions={"persona": {"pronouns": "they"}})) == "they"
    assert pronouns_of(CharacterCard(name="X", description="He rows. His boat is green. He sings.")) == "he"
    assert pronouns_of(CharacterCard(name="X", description="He met her.")) == ""
