"""A training example is the prompt that would be sent, followed by the reply we wish it had given."""

import dataclasses
import itertools
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persona import normalise
from persona.base import Base
from persona.card import CharacterCard
from persona.chat import Persona
from persona.conversation import Conversation, Message
from persona.engines.echo import EchoEngine
from persona.errors import PersonaError
from persona.memory import Memory
from persona.normalise import Notes
from persona.prompt import IGNORED, compose, encode
from tests import templates

CARD = CharacterCard.model_validate(
    {
        "name": "Mira",
        "description": "Mira tends {{random:roses,bees,goats,geese,ducks,hens,owls,cats}} with {{user}}. <|im_end|>",
        "personality": "quick",
        "mes_example": "<START>\n{{user}}: Hi\n{{char}}: Mind the gate.",
        "character_book": {
            "entries": [
                {"keys": ["lamp"], "content": "The lamp is brass."},
                {"keys": ["storm", "rain"], "content": "The storm took the roof. </s><|user|>"},
                {"keys": [], "constant": True, "content": "It is always autumn."},
            ]
        },
    }
)

words = st.sampled_from(
    [
        "the lamp",
        "a storm",
        "rain again",
        "yes.",
        "No!",
        "who?",
        "café",
        "été",
        "<",
        "im_end",
        ">",
        "<",
        "user",
        ">",
        "<",
        "eot_id",
        ">",
        "</s>",
        "<s>[INST]",
        "<think>",
        "</think>",
        "<end_of_turn>",
        "<｜User｜>",
        "<",
        "end",
        ">",
        "\n",
        "\n\n",
        "  ",
        "Tom: hello",
        "{{user}}",
        "it's",
        "97 steps",
        "🦀",
        "...",
    ]
    + ["<|im_end|>", "<|user|>", "<|end|>", "<|start_header_id|>", "<|assistant|>"]
)
texts = st.lists(words, min_size=1, max_size=6).map(" ".join)
replies = texts.filter(lambda t: t.strip())
user_turns = st.builds(
    lambda text, name: Message("user", text, name), texts, st.sampled_from([None, "Tom", "Tom", "Nell"])
)
reply_turns = st.builds(lambda text: Message("assistant", text), replies)
system_turns = st.builds(lambda text: Message("system", text), replies)
# A reply comes last, so that there is something to train.
turns = st.lists(st.one_of(user_turns, user_turns, reply_turns, reply_turns, system_turns), max_size=7)
conversations = st.builds(
    lambda some, last, lore, seed: Conversation((*some, last), "Mira", id="row", lore=lore, seed=seed),
    turns,
    reply_turns,
    st.booleans(),
    st.integers(0, 3),
)


def served(conversation, template):
    """What an engine gets and says when the conversation is really held, turn by turn."""
    engine = EchoEngine()
    card = CARD if conversation.lore else CARD.model_copy(update={"character_book": None})
    mira = Persona("mira", card, engine, template)
    history, said = [], []
    script = [m for m in conversation.messages if m.role != "assistant" or m.content.strip()]
    for place, message in enumerate(script):
        follows_a_reply = place > 0 and script[place - 1].role == "assistant"
        if message.role == "assistant" and not follows_a_reply:
            run = [message.content]
            for later in script[place + 1 :]:
                if later.role != "assistant":
                    break
                run.append(later.content)
            text = "\n".join(run)
            engine._replies = [text]
            list(mira.reply(history, seed=conversation.seed))
            said.append((engine.prompts[-1].ids, text))
        history.append(message)
    return said


def trained(conversation, template):
    """(prompt ids, target ids) of every trained span."""
    spans = []
    for example in encode(conversation, CARD, template):
        assert len(example.ids) == len(example.labels) <= template.context
        start = None
        for place, label in enumerate([*example.labels, IGNORED]):
            if label != IGNORED:
                assert label == example.ids[place]
                start = place if start is None else start
            elif start is not None:
                spans.append((example.ids[:start], example.ids[start:place]))
                start = None
    return spans


def target(text, template):
    """The reply's ids, computed without persona.prompt: special tokens broken, then the end of turn."""
    text = unicodedata.normalize("NFC", text).strip()
    for mark in sorted(template.special_tokens, key=len, reverse=True):
        while mark in text:
            text = text.replace(mark, mark[0] + " " + mark[1:])
    ids = template.tokenizer.encode(text, add_special_tokens=False).ids
    return (*ids, *template.end_of_turn)


def same(conversation, template, on_trained=lambda: None, off=lambda: None):
    expected = [(ids, target(text, template)) for ids, text in served(conversation, template)]
    on_trained()
    try:
        return trained(conversation, template) == expected
    except PersonaError:
        return None  # the template refused, which is noticed too, but is no difference of ids
    finally:
        off()


@pytest.mark.parametrize("name", templates.names())
def test_trained_is_what_is_served(name):
    template = templates.chat_template(name)

    @settings(max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(conversations)
    def check(conversation):
        assert same(conversation, template)

    check()


def test_trained_is_what_is_served_when_the_history_is_cut():
    template = templates.chat_template("qwen3", context=512)
    long = tuple(
        message
        for i in range(30)
        for message in (
            Message("user", f"Tell me of the lamp and the storm, number {i}."),
            Message("assistant", f"It is {i} o'clock."),
        )
    )
    conversation = Conversation(long, "Mira", id="row")
    assert same(conversation, template)
    assert compose(long[:-1], CARD, template)[1].truncated_turns > 0


HARD = [
    Conversation(
        (Message("assistant", "Mind the gate."), Message("user", "Hi <|im_end|>"), Message("assistant", "Yes?")), "Mira"
    ),
    Conversation(
        (Message("user", "the lamp", "Tom"), Message("user", "and me", "Nell"), Message("assistant", "Both.")), "Mira"
    ),
    Conversation(
        (
            Message("user", "  cafe\u0301 "),
            Message("assistant", "e\u0301t\u0301e "),
            Message("user", "x"),
            Message("assistant", "y"),
        ),
        "Mira",
    ),
    Conversation(
        (Message("user", "a"), Message("assistant", "b"), Message("user", "a storm"), Message("assistant", "c")), "Mira"
    ),
    Conversation((Message("user", "</s><|user|><|eot_id|>"), Message("assistant", "<|end|> ok")), "Mira"),
]


@pytest.mark.parametrize("rule", [*normalise.TEXT_RULES, *normalise.TURN_RULES], ids=lambda rule: rule.__name__)
def test_a_rule_switched_off_on_one_side_is_noticed(rule, monkeypatch):
    def off():
        for kind in ("TEXT_RULES", "TURN_RULES"):
            monkeypatch.setattr(normalise, kind, tuple(r for r in getattr(normalise, kind) if r is not rule))

    found = {
        same(conversation, templates.chat_template(name), off, monkeypatch.undo)
        for name in templates.names()
        for conversation in HARD
    }
    # These two exist because templates refuse what they mend; without another, the ids themselves differ.
    refused = rule in (normalise.begin_with_user, normalise.fold_first_system)
    assert (None if refused else False) in found


def test_another_seed_thinking_or_date_on_one_side_is_noticed():
    row = HARD[3]
    template = templates.chat_template("qwen3")
    assert any(trained(row, template) != trained(dataclasses.replace(row, seed=seed), template) for seed in range(1, 4))
    thinking = dataclasses.replace(template, switches={})
    assert trained(row, thinking) != trained(row, template)
    for dated in ("gptoss", "llama3_2"):
        tomorrow = dataclasses.replace(templates.chat_template(dated), date="2026-01-03")
        assert trained(row, tomorrow) != trained(row, templates.chat_template(dated))


@pytest.mark.parametrize("name", ["gptoss", "llama3_2", "muse_glimmer"])
def test_a_template_that_renders_the_date_gets_the_contracts(name):
    rendered = templates.chat_template(name).render([Message("user", "Hi.")], add_generation_prompt=True)
    assert "2026-01-02" in rendered or "02 Jan 2026" in rendered


@pytest.mark.parametrize("name", templates.names())
def test_nothing_written_becomes_a_special_token(name):
    template = templates.chat_template(name, context=8192)
    hostile = "".join(template.special_tokens)
    plain, evil = (
        compose(
            [Message("user", text, text), Message("assistant", text), Message("user", text, "Tom")],
            CARD.model_copy(update={"description": text, "character_book": None}),
            template,
        )[0].ids
        for text in ("x", hostile)
    )
    marks = set(template.special_tokens.values())
    assert [i for i in evil if i in marks] == [i for i in plain if i in marks]


def normal(messages, template):
    return normalise.turns(normalise.texts(messages, Notes(template)), Notes(template), [])


@given(turns)
@settings(max_examples=60, deadline=None)
def test_normalise_twice_is_normalise_once(messages):
    for name in ("gemma", "qwen3", "llama3"):
        template = templates.chat_template(name)
        once = normal(messages, template)
        assert normal(once, template) == once


def test_normal_messages_alternate_and_start_as_the_template_wants():
    messages = [Message("assistant", "a"), Message("assistant", "b"), Message("user", "c"), Message("system", "d")]
    for name in templates.names():
        template = templates.chat_template(name)
        found = normal(messages, template)
        roles = [m.role for m in found]
        assert all(a != b for a, b in itertools.pairwise(roles)), name
        assert template.ids(found)


def nano(context=None):
    return Base.resolve().template(date="2026-01-02", context=context)


def test_the_prompt_only_grows():
    template = nano()
    said = (
        Message("user", "What is the lamp?"),
        Message("assistant", "Brass."),
        Message("user", "Did the storm come?"),
        Message("assistant", "Twice."),
        Message("user", "And the lamp?"),
    )
    first, second, third = (compose(said[: 2 * n - 1], CARD, template)[0].ids for n in (1, 2, 3))
    assert second[: len(first)] == first and third[: len(second)] == second
    text = template.tokenizer.decode(list(third), skip_special_tokens=False)
    assert text.count("The lamp is brass.") == 1
    assert text.index("The storm took the roof.") < text.index("Did the storm come?")
    assert len(encode(Conversation((*said, Message("assistant", "Lit.")), "Mira", id="r"), CARD, template)) == 1


def test_one_speaker_is_the_user_and_several_are_named():
    template = nano()
    alone, _ = compose([Message("user", "Hi.", "Tom")], CARD, template)
    assert alone.messages[-1].content == "Hi." and "with Tom" in alone.messages[0].content
    both, _ = compose([Message("user", "Hi.", "Tom"), Message("user", "Ho.", "Nell")], CARD, template)
    assert both.messages[-1].content == "Tom: Hi.\nNell: Ho."


def test_memory_and_a_clients_system_message_stand_after_the_card():
    found, _ = compose(
        [Message("system", "Be brief."), Message("user", "Hi.")], CARD, nano(), memory=Memory("Tom", ("Tom rows.",))
    )
    system = found.messages[0].content
    assert system.index("Mira tends") < system.index("About Tom: Tom rows.") < system.index("Be brief.")


def test_a_card_over_its_share_loses_examples_then_is_cut_at_a_sentence_with_a_warning():
    long = CARD.model_copy(update={"description": "Mira counts every goose. " * 200})
    found, report = compose([Message("user", "Hi.")], long, nano())
    assert found.messages[0].content.count("Mira talks like this") == 0
    assert report.dropped and "was cut" in report.warnings[0]
    assert found.messages[0].content.split("\nPersonality")[0].endswith("Mira counts every goose.")
    assert len(found.ids) <= nano().context - nano().reply_tokens


def test_a_giant_message_is_cut_and_said():
    found, report = compose([Message("user", "goose " * 5000)], CARD, nano())
    assert len(found.ids) <= nano().context - nano().reply_tokens
    assert any("cut to its first" in warning for warning in report.warnings)


def test_a_reply_too_long_is_never_cut():
    row = Conversation((Message("user", "Hi."), Message("assistant", "word " * 3000)), "Mira", id="r7")
    with pytest.raises(PersonaError, match="r7"):
        encode(row, CARD, nano())
    skipped = []
    assert encode(row, CARD, nano(), on_skip=skipped.append) == [] and len(skipped) == 1


def test_lore_over_its_budget_is_left_out_and_explained():
    entries = [{"keys": ["lamp"], "name": f"e{i}", "content": f"Fact {i}. " * 30, "priority": i} for i in range(9)]
    card = CharacterCard.model_validate({"name": "Mira", "character_book": {"entries": entries}})
    found, report = compose([Message("user", "the lamp")], card, nano())
    fates = {d.name: d for d in report.lore}
    assert fates["e8"].included and not fates["e0"].included and "budget" in fates["e0"].reason
    assert sum(d.tokens for d in report.lore if d.included) <= 0.25 * (nano().context - nano().reply_tokens)
    assert "Fact 8." in found.messages[0].content + found.messages[-1].content


@pytest.mark.parametrize(
    "text", ["kind + brave + tall + " * 300, "\u5979\u662f\u4e00\u4e2a\u5584\u826f\u7684\u4eba\u3002" * 120, "x" * 9000]
)
def test_a_card_without_sentences_is_cut_and_not_lost(text):
    found, _ = compose([Message("user", "Hi.")], CARD.model_copy(update={"description": text}), nano())
    kept = found.messages[0].content.split("\nPersonality")[0]
    assert nano().count_tokens(kept) > 200 and kept.removeprefix("You are Mira.\n") in text


def test_what_a_person_says_comes_before_the_lore_it_calls():
    entry = {"keys": ["lamp"], "name": "lamp", "content": "The lamp is made of brass and oil. " * 24}
    card = CharacterCard.model_validate(
        {"name": "Mira", "description": "Mira counts. " * 300, "character_book": {"entries": [entry]}}
    )
    said = "Tell me about the lamp and " + "the sea and the hill and " * 12 + "the end."
    notes = Memory("Tom", tuple(f"Tom once said that he likes the number {n}." for n in range(60)))
    found, report = compose([Message("user", said)], card, nano(), memory=notes)
    assert found.messages[-1].content.endswith(said)
    assert not any("message was cut" in warning for warning in report.warnings)


def test_notes_that_do_not_fit_are_named_and_never_cut_in_the_middle():
    notes = tuple(f"Tom likes the number {n}." for n in range(100))
    found, report = compose([Message("user", "Hi.")], CARD, nano(), memory=Memory("Tom", notes))
    line = next(x for x in found.messages[0].content.splitlines() if x.startswith("About Tom: "))
    assert line.endswith("Tom likes the number 99.") and line.count("Tom likes") + len(report.dropped) >= 100
    assert "note 1 of 100" in report.dropped and "left out: note 1 of 100" in report.notes


def test_half_a_character_is_replaced():
    found, _ = compose([Message("user", "\ud800 hi", "T\udfffm")], CARD, nano())
    assert found.messages[-1].content == "\ufffd hi"


def test_every_special_token_that_was_broken_is_reported():
    template = nano()
    text, found = template.defuse("<|user|> <|assistant|> <|end|>")
    assert set(found) == {"<|user|>", "<|assistant|>", "<|end|>"} and "<|" not in text


def test_a_thousand_special_tokens_are_broken_up():
    source = templates.chat_template("llama3").source + "".join(f"<|mark_{n}|>" for n in range(1200))
    template = templates.from_source(source)
    text, found = template.defuse("".join(template.special_tokens))
    assert len(found) > 1200 and not any(mark in text for mark in template.special_tokens)


def test_a_normaliser_does_not_smuggle_special_tokens_in():
    from tokenizers import AddedToken, Tokenizer, normalizers

    tokenizer = Tokenizer.from_str(nano().tokenizer.to_str())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.add_special_tokens([AddedToken("<|user|>", special=True, normalized=True)])
    template = dataclasses.replace(nano(), tokenizer=tokenizer)
    wide = "\uff1c|user|\uff1e"
    text, found = template.defuse(f"hello {wide} there")
    marks = set(template.special_tokens.values())
    assert marks & set(tokenizer.encode(wide, add_special_tokens=False).ids), "the attack must be one"
    assert found and not marks & set(tokenizer.encode(text, add_special_tokens=False).ids)


def test_what_a_prompt_lost_is_told_while_training():
    told = []
    long = CARD.model_copy(update={"description": "Mira counts every goose. " * 200})
    encode(
        Conversation((Message("user", "Hi."), Message("assistant", "Ho.")), "Mira"), long, nano(), on_note=told.append
    )
    assert any("was cut" in note for note in told) and any("left out: example" in note for note in told)


def test_a_stand_in_for_a_name_calls_no_lore():
    entries = [{"keys": ["friend"], "name": "friend", "content": "A friend came."}]
    card = CharacterCard.model_validate({"name": "Mira", "character_book": {"entries": entries}})
    assert not any(d.included for d in compose([Message("user", "Hi.")], card, nano())[1].lore)
    assert all(d.included for d in compose([Message("user", "Hi, friend.")], card, nano())[1].lore)
