"""Names become places: safe folders, the user's own before the samples, and an error that lists what there is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona.errors import PersonaError
from persona.paths import SHIPPED_CHARACTERS, find_character, slugify


@given(st.text(max_size=200))
def test_a_slug_is_a_safe_folder_name(name):
    slug = slugify(name)
    assert slug.replace("-", "").isalnum() and slug.isascii() and slug == slug.lower()
    assert len(slug) <= 60 and slug not in ("con", "nul") and slugify(slug) == slug


@pytest.mark.parametrize("name", ["", " ", "nobody", "../../etc/nobody", "a\0b", "con/../x", "*", "~no-such-user/x"])
def test_an_unknown_name_lists_the_known_ones(name, tmp_path):
    with pytest.raises(PersonaError, match="ada"):
        find_character(name, tmp_path)


def test_the_users_own_character_comes_before_a_sample(tmp_path):
    assert find_character("ada", tmp_path).card == SHIPPED_CHARACTERS / "ada"
    own = tmp_path / "characters" / "ada"
    own.mkdir(parents=True)
    assert find_character("ada", tmp_path).card == own


def test_a_run_without_a_folder_is_found_by_its_card(tmp_path):
    (tmp_path / "runs" / "richard").mkdir(parents=True)
    card = tmp_path / "runs" / "richard" / "card.json"
    card.write_text("{}")
    place = find_character("richard", tmp_path)
    assert (place.card, place.run) == (card, card.parent)


def test_a_path_means_its_card_and_an_adapter_the_card_inside(tmp_path):
    file = tmp_path / "My Card.png"
    file.write_bytes(b"")
    assert find_character(str(file), tmp_path).run == tmp_path / "runs" / "my-card"
    adapter = tmp_path / "elsewhere" / "mira" / "adapter"
    adapter.mkdir(parents=True)
    (adapter / "card.json").write_text("{}")
    place = find_character(str(adapter), tmp_path)
    assert (place.slug, place.card) == ("mira", adapter / "card.json")
    assert find_character("elsewhere/mira/adapter", Path(tmp_path)).slug == "mira"
