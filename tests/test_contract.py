"""An adapter speaks only with what it was trained against."""

import dataclasses
import json

import pytest

from persona.base import Base
from persona.contract import Contract
from persona.errors import PersonaError

DATE = "2026-01-02"


def contract():
    base = Base.resolve()
    return Contract.of(base, base.template(date=DATE))


def test_it_survives_a_round_trip_and_holds(tmp_path):
    contract().save(tmp_path)
    loaded = Contract.load(tmp_path)
    assert loaded == contract()
    base = Base.resolve()
    loaded.check(base, base.template(date=loaded.date, context=loaded.context))


@pytest.mark.parametrize(
    "change",
    [
        {"template_sha256": "0"},
        {"digest": "0"},
        {"golden": (1, 2)},
        {"stop_ids": (9,)},
        {"context": 512},
        {"base": "other", "digest": "0"},
    ],
)
def test_what_differs_is_named(change):
    base = Base.resolve()
    with pytest.raises(PersonaError) as error:
        dataclasses.replace(contract(), **change).check(base, base.template(date=DATE))
    assert next(iter(change)) in str(error.value)


def test_a_base_that_moved_is_known_by_its_weights():
    base = Base.resolve()
    dataclasses.replace(contract(), base="/somewhere/else").check(base, base.template(date=DATE))


def test_an_edited_template_is_noticed():
    base = Base.resolve()
    template = base.template(date=DATE)
    with pytest.raises(PersonaError, match="golden"):
        contract().check(
            base,
            dataclasses.replace(template, source=template.source.replace("| trim", "").replace("<|end|>", "<|end|> ")),
        )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"base": 1}', json.dumps({"end_of_turn": 1})])
def test_a_broken_contract_is_one_clear_error(tmp_path, text):
    (tmp_path / "contract.json").write_text(text)
    with pytest.raises(PersonaError, match="contract"):
        Contract.load(tmp_path)
