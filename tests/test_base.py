"""A base's name: what is none is refused in a sentence that says what to type, whoever finds it out."""

import pytest

from persona.base import Base
from persona.errors import PersonaError


@pytest.mark.parametrize(
    "name", ["nonsense", "a b/c", "a--b/c", "a/b.git", "-a/b", "a/b/c", "./a", "~nobody-here/a", "a/" + "b" * 5000]
)
def test_what_is_no_name_of_a_base_is_refused_with_what_to_type(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PersonaError, match="There is no base model") as refused:
        Base.resolve(name)
    assert "persona-nano" in refused.value.fix and len(refused.value.what) < 200
