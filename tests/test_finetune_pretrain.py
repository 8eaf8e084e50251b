"""The recipe of the built-in base: clean text, invented talk, batches, the two fast operations, training, figures."""

import json
import random
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from finetune.pretrain import evaluation, invented, mixture, model, prepare, probes, recipe, training, words
from finetune.pretrain.__main__ import main
from finetune.pretrain.clean import paragraphs_of, speech_in, tidy
from finetune.pretrain.corpora import Document, Turn, dialogue_of, is_held_out, read_corpora, speeches_in
from finetune.pretrain.replies import bits_per_byte, known_lines, last_reply, rows_of
from finetune.pretrain.tokenizer import END_ID, MARKERS, SYSTEM_ID, chat_template, train_tokenizer
from finetune.pretrain.views import PLAIN_NAMES, plain_view, random_view
from persona.base import Base
from persona.conversation import Message


def row(*turns, source="Synthetic-Persona-Chat", persona="", identity="spc/1"):
    return {
        "id": identity,
        "source": source,
        "persona": json.dumps(persona) if persona else "",
        "turns": [{"speaker": speaker, "text": text} for speaker, text in turns],
    }


def test_a_dialogue_keeps_its_personas_and_who_is_meant_by_a_placeholder():
    persona = {"User 1": "I keep bees.\nI sing.", "User 2": "I sail."}
    turns = [
        ("User 1", "Hi, I'm [User 1's name]."),
        ("* User 2", "I am  [name]. Nice to meet you, [name]."),
        ("User 2", "And you, [user 1]?"),
        ("User 1", "I live in [city]."),
        ("User 2", "Oh."),
    ]
    dialogue = dialogue_of(row(*turns, persona=persona))
    assert dialogue.kind == "persona" and dialogue.personas == (("I keep bees.", "I sing."), ("I sail.",))
    said = "I am {1}. Nice to meet you, {0}. And you, {0}?"
    assert dialogue.turns == (Turn(0, "Hi, I'm {0}."), Turn(1, said))  # and it ends before [city]


@pytest.mark.parametrize(
    "turns",
    [
        [("User 1", "I live in [city]."), ("User 2", "Nice.")],
        [("User 1", "Hi."), ("The next day", " ")],
        [("User 1", "Hi."), ("User 1", "Hello?")],
        [],
    ],
)
def test_what_is_no_dialogue_is_left_out(turns):
    assert dialogue_of(row(*turns)) is None


def test_orders_are_weighted_down():
    orders = [
        row(("user", "Tea."), ("assistant", "Ready."), source="Taskmaster-4", identity=f"tm4/{n}") for n in range(800)
    ]
    assert 60 < sum(dialogue_of(order) is not None for order in orders) < 140


def test_one_id_in_twenty_is_held_out():
    assert 30 < sum(is_held_out(f"id-{n}") for n in range(1000)) < 75
    assert is_held_out("spc/Synthetic-Persona-Chat_test/0") is is_held_out("spc/Synthetic-Persona-Chat_test/0")


NOVEL = """The Project Gutenberg EBook of A Book

*** START OF THIS PROJECT GUTENBERG EBOOK A BOOK ***

CHAPTER I

It was a wide garden with a wall around it, and nobody had gone into it for ten years, they said.

“Where is the _green_ door?” she asked, and looked about her. “There must
be a door somewhere,” she said again to the old man who dug.

"There was ten year' ago," he mumbled, "but there isn't now," and he dug.

He walked off without a word, and the robin flew over the wall to its nest.

'Then I shall climb,' she said--and she did.

'Don't fall.'

The sea is wide,
The sea is deep,
The fishes hide,
The fishes sleep.

*** END OF THIS PROJECT GUTENBERG EBOOK A BOOK ***

A licence."""


def test_novels_give_prose_and_speech():
    paragraphs = list(paragraphs_of(NOVEL))
    assert len(paragraphs) == 5 and "green door" in paragraphs[1]
    assert not any("Gutenberg" in p or "CHAPTER" in p or "fishes" in p or "licence" in p for p in paragraphs)
    first, *others = speeches_in("n", paragraphs)
    assert first.scene.startswith("It was a wide garden")
    assert first.turns == (
        Turn(0, "Where is the green door? There must be a door somewhere."),
        Turn(1, "There was ten year' ago, but there isn't now."),
    )
    assert not others  # a single speech that nobody answers is no dialogue
    assert speech_in(paragraphs[4]) == "Then I shall climb."


def test_text_is_tidied_and_cannot_forge_a_marker():
    assert tidy("\u201cIt\u2019s\u00a0late\u201d--she \n said <|end|>") == '"It\'s late"—she said < |end|>'


DIALOGUE = Document(
    "persona",
    "d",
    tuple(Turn(n % 2, f"{{{n % 2}}} says line {n}.") for n in range(16)),
    (("I keep bees.", "I sing."), ("I sail.",)),
)


def test_the_plain_view_is_the_one_that_is_measured():
    view = plain_view(DIALOGUE, 1)
    assert view[0] == Message("system", "I sail.")
    assert view[1] == Message("user", f"{PLAIN_NAMES[0]} says line 0.")
    assert view[2] == Message("assistant", f"{PLAIN_NAMES[1]} says line 1.")
    assert plain_view(DIALOGUE, 0)[0].content == "I keep bees. I sing."


@given(st.integers())
def test_a_random_view_begins_with_who_the_character_is(seed):
    view = random_view(DIALOGUE, random.Random(seed))
    assert [m.role for m in view].count("system") == 1 and view[0].role == "system"
    assert all(a.role != b.role for a, b in pairwise(view))
    assert not any("{" in m.content for m in view)
    said = " ".join(m.content for m in view)
    assert all(f"line {n}." in said for n in range(16))


@given(st.integers())
def test_invented_answers_stand_in_the_system_message(seed):
    rng = random.Random(seed)
    person = invented._Person(rng)
    system = person.described(rng).lower()
    for _ in range(5):
        ((_, answer),) = invented._ask(person, rng)
        values = [value.lower() for _, value in person.facts]
        assert any(value in answer.lower() and value in system for value in values), (system, answer)


def test_invented_talk_is_well_formed_and_never_uses_what_is_kept_to_measure_with():
    rng = random.Random(1)
    kept = {*words.HELD_OUT_NAMES, *words.HELD_OUT_PLACES, *words.HELD_OUT_JOBS, *words.HELD_OUT_LIKES}
    questions = {question for asked in probes.QUESTIONS.values() for question in asked}
    for _ in range(3000):
        talk = invented.invent(rng)
        assert talk[0].role == "system" and talk[-1].role == "assistant"
        assert all(a.role != b.role for a, b in pairwise(talk))
        text = " ".join(m.content for m in talk)
        assert "{" not in text and "  " not in text
        assert not questions & {m.content for m in talk}
        assert not any(f" {value} " in text or f" {value}." in text for value in kept), text


def test_a_probe_knows_a_right_answer():
    asked = list(probes.probes(40))
    assert {p.asked for p in asked} == set(probes.QUESTIONS)
    for probe in asked:
        assert probe.is_answered_by(f"Well, {probe.right[-1].upper()}!") and not probe.is_answered_by("I don't know.")
        assert all(value in probe.messages[0].content for value in probe.right)


@pytest.fixture(scope="module")
def tokenizer():
    rng = random.Random(0)
    return train_tokenizer(m.content for _ in range(300) for m in invented.invent(rng))


@pytest.fixture(scope="module")
def pools(tokenizer):
    rng = random.Random(0)
    template = chat_template(tokenizer)
    talks = [template.render(invented.invent(rng), add_generation_prompt=False) for _ in range(200)]
    prose = ["The keeper climbed the steps and lit the lamp before the fog came in. " * 40]
    return {"invented": mixture.encode(talks, tokenizer), "prose": mixture.encode(prose, tokenizer, "cut")}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(mixture, "TOKENS_A_STEP", 512)
    monkeypatch.setattr(mixture, "SEQUENCE", 128)
    monkeypatch.setattr(mixture, "FULL_SEQUENCE", 256)
    monkeypatch.setattr(prepare, "INVENTED", 100)
    monkeypatch.setattr(evaluation, "INVENTED", 100)
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    monkeypatch.setattr(model, "ARCHITECTURE", sizes | {"num_key_value_heads": 1, "tie_word_embeddings": True})


def test_every_digit_is_a_token(tokenizer):
    assert len(tokenizer.encode("1987", add_special_tokens=False).ids) == 4
    assert [tokenizer.token_to_id(marker) for marker in MARKERS] == [0, 1, 2, 3, 4]


def test_batches_repeat_and_end_with_whole_contexts(pools, small):
    one, two = (list(mixture.batches(pools, 20, seed=3)) for _ in range(2))
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(one, two, strict=True))
    assert [ids.shape for ids, _ in one] == [(4, 128)] * 18 + [(2, 256)] * 2
    assert not torch.equal(one[0][0], next(mixture.batches(pools, 20, seed=4))[0])


def test_documents_come_whole_and_each_before_any_comes_again(pools, monkeypatch):
    monkeypatch.setattr(mixture, "TOKENS_A_STEP", 1024)
    monkeypatch.setattr(mixture, "FULL_SHARE", 0)
    pool = pools["invented"]
    documents = [pool.ids[a:b].tolist() for a, b in zip(pool.starts, pool.starts[1:], strict=False)]
    assert max(map(len, documents)) < mixture.SEQUENCE
    ids = torch.cat([block.flatten() for block, _ in mixture.batches(pools, 12, seed=0)]).tolist()
    text = " ".join(map(str, ids))
    # The last token of a row is a label alone, so a document that ends with it lacks its end here.
    whole = sum(" ".join(map(str, document[:-1])) in text for document in documents)
    assert 40 < ids.count(SYSTEM_ID) == whole < len(documents)


def test_passages_are_repeated_more_in_the_beginning(pools):
    shares = [mixture.share_at("repeated", part / 10) for part in range(10)]
    assert shares == [0.25] * 4 + [0.10] * 6
    feed = mixture._Feed(replace(pools["prose"], form="repeated"), random.Random(0))
    for _ in range(20):
        piece = feed.take(500, first=False).tolist()
        length = next(n for n in range(1, len(piece)) if piece[n:] == piece[:-n])
        assert len(piece) // length >= 2


def test_system_messages_are_read_and_not_trained(tokenizer):
    talk = "<|system|>You are Ada.<|end|><|user|>Hi.<|end|><|assistant|>Hello.<|end|>"
    ids = torch.tensor([tokenizer.encode(f"It rained.{talk}{talk}", add_special_tokens=False).ids])
    labels = mixture.labels_of(ids)
    kept = [i for i in labels[0].tolist() if i != mixture.IGNORED]
    assert tokenizer.decode(kept, skip_special_tokens=False) == "It rained." + 2 * talk[talk.index("<|user|>") :]


@pytest.mark.parametrize("tokens", [256, 300])
def test_blocked_attention_is_attention(tokens):
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, heads, tokens, 16, requires_grad=True) for heads in (4, 2, 2))
    want = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    weights = torch.randn_like(want)
    want_gradients = torch.autograd.grad((want * weights).sum(), (q, k, v))
    got, _ = model.blocked_attention(None, q, k, v, None, 16**-0.5)
    gradients = torch.autograd.grad((got.transpose(1, 2).float() * weights).sum(), (q, k, v))
    assert torch.allclose(got.transpose(1, 2).float(), want, atol=0.03)
    for mine, theirs in zip(gradients, want_gradients, strict=True):
        assert (mine - theirs).norm() < 0.01 * theirs.norm()


def test_the_block_wise_loss_is_cross_entropy(monkeypatch):
    monkeypatch.setattr(model, "_LOSS_BLOCK", 7)
    torch.manual_seed(0)
    hidden, weight = torch.randn(40, 16, requires_grad=True), torch.randn(50, 16, requires_grad=True)
    labels = torch.randint(50, (40,)).where(torch.rand(40) < 0.7, model.IGNORED)
    want = torch.nn.functional.cross_entropy(hidden @ weight.T, labels)
    got = model._HeadLoss.apply(hidden, weight, labels)
    assert torch.allclose(got, want)
    for mine, theirs in zip(*(torch.autograd.grad(2 * x, (hidden, weight)) for x in (got, want)), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)


def losses_of_run(folder, pools, steps=14, stopped=lambda step: False):
    base = model.new_model(0)
    base.set_attn_implementation("blocked")
    cpu = torch.device("cpu")
    batches = mixture.batches(pools, steps, 0)
    log = training.train(base, batches, steps, folder=folder, device=cpu, score=lambda _: 1.0, stopped=stopped)
    return [entry["loss"] for entry in log]


def test_a_run_repeats_and_a_killed_one_goes_on_to_the_same_losses(tmp_path, pools, small, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 4)

    def killed(step):
        if step == 7:
            raise RuntimeError("killed")

    whole = losses_of_run(tmp_path / "a", pools)
    assert whole == losses_of_run(tmp_path / "b", pools) and whole[-1] < whole[0]
    with pytest.raises(RuntimeError):
        losses_of_run(tmp_path / "c", pools, stopped=killed)
    assert [file.name for file in (tmp_path / "c").glob("*.safetensors")] == ["state-4.safetensors"]
    assert len(losses_of_run(tmp_path / "c", pools, stopped=lambda step: step == 10)) == 10
    assert losses_of_run(tmp_path / "c", pools) == whole


def test_bits_per_byte_counts_what_is_said_and_leaves_known_lines_out(tokenizer, small):
    template = chat_template(tokenizer)
    view = [
        Message("system", "I sail."),
        Message("user", "Hello!"),
        Message("assistant", "Hi there."),
        Message("user", "What do you do?"),
        Message("assistant", "I sail, and you?"),
    ]
    (whole,) = rows_of(view, template)
    said = [template.decode([i]) for i in whole.labels if i >= 0]
    assert "".join(said) == "Hi there.I sail, and you?" and (whole.size, whole.replies, whole.known) == (25, 2, 0)
    assert END_ID not in whole.labels
    (part,) = rows_of(view, template, {"hi  There.".lower().replace("  ", " ")})
    assert (part.size, part.replies, part.known) == (16, 1, 1)
    assert last_reply(whole).labels == part.labels
    base = model.new_model(0)
    flat = bits_per_byte(base, [view], template)
    assert flat.value == pytest.approx(
        len(said) * 12.585 / 25, rel=0.02
    )  # a new model knows nothing: log2(6144) a token


def test_known_lines_are_those_of_training():
    assert "sam says line 0." in known_lines([DIALOGUE]) and "i sail." not in known_lines([DIALOGUE])


def test_a_reply_is_judged_by_its_manners():
    samples = [
        evaluation.Sample("?", "I like it I like it I like it", True),
        evaluation.Sample("?", "I zorble tea.", False),
    ]
    got = evaluation.manners(samples, {"i", "like", "it", "tea"})
    assert got["ended"] == 0.5 and got["repetition"] == 3 / 6 and got["in_vocabulary"] == 1 - 1 / 12


@pytest.fixture
def corpora(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = random.Random(0)
    talks = [
        row(
            *[(f"User {1 + turn % 2}", f"I like {words.a_like(rng)} and {words.a_like(rng)}.") for turn in range(12)],
            persona={"User 1": "I like tea.", "User 2": "I like bees."} if source != "Topical-Chat" else "",
            source=source,
            identity=f"{source}/{n}",
        )
        for source in ("Synthetic-Persona-Chat", "Topical-Chat")
        for n in range(80)
    ]
    novels = [{"id": f"novel/{n}", "title": "t", "text": NOVEL * 30, "license": "public domain"} for n in range(4)]
    folder = tmp_path / "corpora"
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(talks), folder / "dialogues.parquet")
    pq.write_table(pa.Table.from_pylist(novels), folder / "novels.parquet")
    return folder


def test_the_recipe_makes_a_base_that_the_program_can_use_and_measure(tmp_path, corpora, small, monkeypatch, capsys):
    monkeypatch.setattr(evaluation, "QUESTIONS", 5)
    monkeypatch.setattr(evaluation, "PROBES", 8)
    monkeypatch.setattr(evaluation, "SAMPLES", 4)
    assert {d.kind for d in read_corpora(corpora)} == {"persona", "topics", "speech", "prose"}
    out, run = tmp_path / "base", tmp_path / "run"
    command = ["--corpora", str(corpora), "--out", str(out), "--run", str(run), "--steps", "6"]
    assert main([*command, "--stop-after", "3"]) == 0 and not out.exists()
    assert main(command) == 0 and "bits per byte" in capsys.readouterr().out
    assert main([*command[:-1], "7"]) == 2 and "other settings" in capsys.readouterr().err
    base = Base.resolve(str(out))
    template = base.template()
    assert (template.end_of_turn, template.stop_ids, template.context) == ((4,), (4,), 2048)
    assert template.accepts_system and template.accepts_greeting and template.accepts_later_system
    text = "The lamp, señor — lit at 6:00?  Yes!"
    assert template.decode(template.text_ids(text)) == text
    assert (out / "training.png").read_bytes().startswith(b"\x89PNG")
    figures = json.loads((out / "figures.json").read_text())
    assert figures["bits_per_byte_replies"] > 0.5 and 0 <= figures["hits_at_1"] <= 1 and len(figures["samples"]) == 4
    assert f"{figures['bits_per_byte_replies']:.3f}" in (out / "README.md").read_text()
    (out / "figures.json").rename(tmp_path / "before.json")
    assert main([*command, "--evaluate"]) == 0
    assert (out / "figures.json").read_bytes() == (tmp_path / "before.json").read_bytes()
    assert recipe.GENERATION.items() <= base.generation_config.items()


def test_a_base_that_was_not_measured_is_no_row(tmp_path, corpora, capsys):
    from persona.paths import NANO_FOLDER

    command = ["--corpora", str(corpora), "--out", str(tmp_path / "copy"), "--evaluate", "--beside", str(tmp_path)]
    (tmp_path / "copy").symlink_to(NANO_FOLDER)
    assert main(command) == 2
    assert "was not measured" in capsys.readouterr().err


def test_missing_corpora_are_named(tmp_path, capsys):
    assert main(["--corpora", str(tmp_path), "--out", str(tmp_path / "base"), "--run", str(tmp_path / "run")]) == 2
    assert "dialogues.parquet" in capsys.readouterr().err and not (tmp_path / "run").exists()
