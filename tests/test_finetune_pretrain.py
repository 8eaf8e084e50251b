import json

import pytest

from finetune import pretrain
from finetune.corpora import conversation_of, is_held_out, paragraphs_of, read_corpora, speeches_in
from persona.base import Base
from persona.conversation import Message


def row(*turns, source="Synthetic-Persona-Chat", persona="", identity="spc/1"):
    return {
        "id": identity,
        "source": source,
        "persona": json.dumps(persona) if persona else "",
        "turns": [{"speaker": speaker, "text": text} for speaker, text in turns],
    }


def test_a_conversation_has_a_named_character_and_its_persona():
    persona = {"User 1": "I keep bees.", "User 2": "I sail."}
    talk = conversation_of(row(("User 1", "Hi, I'm [User 1's name]."), ("* User 2", "I am  [name]."), persona=persona))
    assert [m.role for m in talk[1:]] in (["user", "assistant"], ["assistant", "user"])
    spoken = next(m.content for m in talk if m.role == "assistant")
    name = talk[0].content.removeprefix("You are ").split(".")[0]
    assert name in spoken and "[" not in "".join(m.content for m in talk)
    assert talk[0].content.endswith("I keep bees." if spoken.startswith("Hi") else "I sail.")


@pytest.mark.parametrize(
    "turns",
    [
        [("User 1", "I live in [city]."), ("User 2", "Nice.")],
        [("User 1", "Hi."), ("User 2", "Hi."), ("The next day", "They met.")],
        [("User 1", "Hi."), ("User 1", "Hello?")],
        [("User 1", "Hi."), ("User 2", " ")],
    ],
)
def test_what_cannot_be_used_is_left_out(turns):
    assert conversation_of(row(*turns)) == ()


def test_orders_are_weighted_down():
    orders = [
        row(("user", "Tea."), ("assistant", "Ready."), source="Taskmaster-4", identity=f"tm4/{n}") for n in range(800)
    ]
    assert 60 < sum(bool(conversation_of(order)) for order in orders) < 140


def test_one_id_in_twenty_is_held_out():
    assert 30 < sum(is_held_out(f"id-{n}") for n in range(1000)) < 75
    assert is_held_out("spc/Synthetic-Persona-Chat_test/0") is is_held_out("spc/Synthetic-Persona-Chat_test/0")


def test_novels_give_prose_and_speech():
    novel = """CHAPTER I

"Where is the _green_ door?" she asked, and looked about her. "There must
be a door somewhere," she said again to the old man who dug.

"There was ten year' ago," he mumbled, "but there isn't now," and he dug.

He walked off without a word, and the robin flew over the wall to its nest.

The sea is wide,
The sea is deep,
The fishes hide,
The fishes sleep."""
    paragraphs = list(paragraphs_of(novel))
    assert len(paragraphs) == 3 and "green door" in paragraphs[0]
    assert list(speeches_in(paragraphs)) == [
        (
            Message("user", "Where is the green door? There must be a door somewhere."),
            Message("assistant", "There was ten year' ago, but there isn't now."),
        )
    ]


def test_the_recipe_makes_a_base_that_the_program_can_use(tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.parquet as pq

    talks = [
        row(
            *[(f"User {1 + turn % 2}", f"Line {turn} about the lamp, the tea and {n}.") for turn in range(12)],
            identity=f"spc/{n}",
        )
        for n in range(60)
    ]
    words = "The keeper climbed the steps and lit the lamp before the fog came in over the grey water."
    speech = '"Is it lit, keeper, and will it last the night out there?" he asked her.'
    chapter = "\n\n".join([words, speech, speech.replace("lit", "warm")] * 200)
    novels = [{"id": f"novel/{n}", "title": "t", "text": chapter, "license": "public domain"} for n in range(30)]
    pq.write_table(pa.Table.from_pylist(talks), tmp_path / "dialogues.parquet")
    pq.write_table(pa.Table.from_pylist(novels), tmp_path / "novels.parquet")
    texts = list(read_corpora(tmp_path))
    assert {t.kind for t in texts} == {"talk", "speech", "prose"} and any(t.held_out for t in texts)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    monkeypatch.setattr(pretrain, "ARCHITECTURE", small | {"num_key_value_heads": 1, "tie_word_embeddings": True})
    monkeypatch.setattr(pretrain, "SEQUENCE", 32)
    monkeypatch.setattr(pretrain, "BATCH", 4)
    out = tmp_path / "base"
    assert pretrain.main(["--corpora", str(tmp_path), "--out", str(out), "--minutes", "0.02"]) == 0
    base = Base.resolve(str(out))
    template = base.template()
    assert [template.tokenizer.token_to_id(m) for m in pretrain.MARKERS] == [0, 1, 2, 3, 4]
    assert (template.end_of_turn, template.stop_ids, template.context) == ((4,), (4,), 2048)
    assert template.accepts_system and template.accepts_greeting and template.accepts_later_system
    text = "The lamp, señor — lit at 6:00?  Yes!"
    assert template.decode(template.text_ids(text)) == text
    from transformers import AutoModelForCausalLM

    assert AutoModelForCausalLM.from_pretrained(out).dtype.is_floating_point
    assert "bits per byte" in (out / "README.md").read_text()


def test_missing_corpora_are_named(tmp_path, capsys):
    assert pretrain.main(["--corpora", str(tmp_path), "--out", str(tmp_path / "base")]) == 2
    assert "dialogues.parquet" in capsys.readouterr().err
