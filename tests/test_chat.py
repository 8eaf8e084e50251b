"""Python's door: load, generate, stream, chat; and what they do with names, budgets and failures."""

import dataclasses
import threading

import pytest

from persona.base import Base
from persona.card import CharacterCard
from persona.chat import Persona, default_settings, load_personas
from persona.contract import Contract
from persona.conversation import Message
from persona.engines.echo import EchoEngine
from persona.errors import PersonaError
from persona.generation import GenerationSettings
from persona.memory import Memory


def mira(*replies):
    card = CharacterCard(name="Mira", first_mes="Hello, {{user}}.")
    return Persona("mira", card, EchoEngine(replies), Base.resolve().template(date="2026-01-01"))


def test_a_chat_remembers():
    chat = mira("Hello Tom.", "You are Tom.").chat()
    assert chat.say("I'm Tom.") == "Hello Tom."
    assert chat.say("Who am I?") == "You are Tom."
    sent = [m.content for m in chat.persona.engine.prompts[1].messages if m.role != "system"]
    assert sent == ["I'm Tom.", "Hello Tom.", "Who am I?"]


def test_the_greeting_is_the_cards_and_stays_in_the_history():
    chat = mira("Fine.").chat(Memory("Nell"))
    assert chat.greet() == "Hello, Nell."
    chat.say("How are you?")
    assert [m.content for m in chat.persona.engine.prompts[0].messages][1:] == ["Hello, Nell.", "How are you?"]


def test_white_space_around_a_reply_is_dropped_and_inside_kept():
    persona = mira("  One \n two. \n ")
    reply = persona.reply([Message("user", "Hi.")])
    assert "".join(piece.text for piece in reply) == "One \n two." == reply.text
    assert reply.finish == "stop"


def test_a_turn_that_fails_leaves_no_trace():
    class Broken(EchoEngine):
        def stream(self, *_):
            raise PersonaError("out of memory")
            yield

    chat = mira().chat()
    chat.persona.engine = Broken()
    with pytest.raises(PersonaError):
        chat.say("Hi.")
    assert chat.messages == []


def test_with_several_people_the_reply_ends_where_another_would_speak():
    persona = mira("Yes.")
    list(persona.reply([Message("user", "Hi.", "Tom"), Message("user", "Ho.", "Nell")]))
    assert persona.engine.settings[0].stop_strings == ("\nNell:", "\nTom:")
    list(persona.reply([Message("user", "Hi.", "Tom")]))
    assert persona.engine.settings[1].stop_strings == ()


def test_a_reply_never_outgrows_the_context():
    persona = mira("Yes.")
    list(persona.reply([Message("user", "Hi.")], GenerationSettings(max_new_tokens=8000)))
    assert persona.engine.settings[0].max_new_tokens == persona.template.context - len(persona.engine.prompts[0].ids)


def test_raw_replies_bring_no_card():
    persona = mira("Yes.")
    list(persona.raw_reply([Message("system", "Be Bob."), Message("user", "Hi.")]))
    assert [m.content for m in persona.engine.prompts[0].messages] == ["Be Bob.", "Hi."]


def test_cancelling_ends_the_reply():
    cancelled = threading.Event()
    reply = mira("a b c d").reply([Message("user", "Hi.")], cancelled=cancelled)
    pieces = iter(reply)
    next(pieces)
    cancelled.set()
    assert [p.finish for p in pieces] == ["cancelled"]


def test_load_finds_samples_and_says_what_there_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    both = load_personas(["ada", "bram"], engine=EchoEngine())
    assert [p.card.name for p in both.values()] == ["Ada", "Bram"]
    assert all(p.adapter is None and p.base == "persona-nano" for p in both.values())
    with pytest.raises(PersonaError, match="nobody") as error:
        Persona.load("nobody")
    assert "ada" in str(error.value)


def test_load_finds_a_character_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "characters" / "zoe"
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text('name = "Zoe"\n')
    assert Persona.load("zoe", engine=EchoEngine()).card.name == "Zoe"
    assert Persona.load(folder, engine=EchoEngine()).slug == "zoe"


def test_settings_outside_their_range_are_refused():
    for bad in (
        {"temperature": 3},
        {"top_k": 1.5},
        {"max_new_tokens": 0},
        {"seed": -1},
        {"stop_strings": ("",)},
        {"top_p": float("nan")},
    ):
        with pytest.raises(PersonaError):
            GenerationSettings(**bad)
    with pytest.raises(PersonaError, match="no generation setting"):
        GenerationSettings().updated({"warmth": 1})


def adapter(tmp_path, slug, **changes):
    """A run with an adapter folder that has a contract and a card, but no weights."""
    base = Base.resolve()
    contract = dataclasses.replace(Contract.of(base, base.template(date="2026-01-01", context=512)), **changes)
    folder = tmp_path / "runs" / slug / "adapter"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    contract.save(folder)
    return folder


def test_characters_trained_on_different_days_are_served_together(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    adapter(tmp_path, "ada")
    adapter(tmp_path, "bram", date="2026-02-02")
    both = load_personas(["ada", "bram"], engine=EchoEngine())
    assert [(p.template.date, p.template.context) for p in both.values()] == [("2026-01-01", 512), ("2026-02-02", 512)]
    assert [p.adapter_name for p in both.values()] == ["ada", "bram"]


@pytest.mark.parametrize(("change", "word"), [({"base": "other"}, "bases"), ({"quantization": "nf4"}, "bits")])
def test_characters_that_need_different_bases_are_refused_together(tmp_path, monkeypatch, change, word):
    monkeypatch.chdir(tmp_path)
    adapter(tmp_path, "ada")
    adapter(tmp_path, "bram", **change)
    with pytest.raises(PersonaError, match=word):
        load_personas(["ada", "bram"])


def test_another_characters_adapter_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CharacterCard(name="Somebody else").save(adapter(tmp_path, "ada") / "card.json")
    with pytest.raises(PersonaError, match="Somebody else"):
        Persona.load("ada", engine=EchoEngine())
    assert Persona.load("ada", engine=EchoEngine(), adapter=None).adapter is None


def test_the_bases_advice_is_taken_name_by_name():
    settings = default_settings({"temperature": 0.6, "max_new_tokens": 32768, "top_k": None, "eos_token_id": 2})
    assert (settings.temperature, settings.max_new_tokens) == (0.6, GenerationSettings().max_new_tokens)
