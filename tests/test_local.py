"""The local engine says what transformers' own `generate` says, streams it, stops, and keeps adapters apart."""

import threading

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from persona.base import Base
from persona.conversation import Message
from persona.engines.local import LocalEngine, load_model
from persona.errors import PersonaError
from persona.generation import GenerationSettings
from persona.prompt import Prompt, compose

QUESTION = [Message("user", "What do you do for a living?")]


@pytest.fixture(scope="module")
def base():
    return Base.resolve()


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, base):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(base.location, dtype=torch.float32)
    adapted = get_peft_model(model, LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=1.0)
    folder = tmp_path_factory.mktemp("adapter")
    adapted.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def engine(base, adapter):
    return LocalEngine(base, adapters={"odd": adapter})


@pytest.fixture(scope="module")
def prompt(base):
    return compose(QUESTION, None, base.template(date="2026-01-01"))[0]


def said(engine, prompt, cancelled=None, **settings):
    pieces = list(engine.stream(prompt, GenerationSettings(**settings), cancelled or threading.Event()))
    assert [p.finish for p in pieces[:-1]] == [None] * (len(pieces) - 1)
    return "".join(p.text for p in pieces), pieces[-1]


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_greedy_is_transformers_greedy(base, engine, prompt, penalty):
    model = load_model(base)
    expected = model.generate(
        torch.tensor([prompt.ids]),
        do_sample=False,
        max_new_tokens=30,
        repetition_penalty=penalty,
        eos_token_id=list(prompt.stop_ids),
        temperature=None,
        top_p=None,
    )
    ids = [i for i in expected[0, len(prompt.ids) :].tolist() if i not in prompt.stop_ids]
    text, last = said(engine, prompt, temperature=0, max_new_tokens=30, repetition_penalty=penalty)
    assert text == base.template().decode(ids) and last.tokens == len(ids) > 3


def test_every_setting_of_sampling_is_transformers_own(base, engine, prompt):
    settings = {
        "temperature": 0.7,
        "top_k": 20,
        "top_p": 0.9,
        "min_p": 0.02,
        "repetition_penalty": 1.2,
        "max_new_tokens": 12,
    }
    torch.manual_seed(5)
    expected = load_model(base).generate(
        torch.tensor([prompt.ids]), do_sample=True, eos_token_id=list(prompt.stop_ids), **settings
    )
    ids = [i for i in expected[0, len(prompt.ids) :].tolist() if i not in prompt.stop_ids]
    assert said(engine, prompt, seed=5, **settings)[0] == base.template().decode(ids)


def test_the_seed_decides(engine, prompt):
    first, again, other = (said(engine, prompt, seed=s, temperature=1.0, max_new_tokens=20)[0] for s in (1, 1, 2))
    assert first == again != other


def test_stop_string_length_and_cancel_say_how_it_ended(engine, prompt):
    whole, last = said(engine, prompt, temperature=0, max_new_tokens=40)
    assert last.finish == "stop" and len(whole) > 10
    word = whole.split()[2]
    cut, last = said(engine, prompt, temperature=0, max_new_tokens=40, stop_strings=(word,))
    assert cut == whole[: whole.index(word)] and last.finish == "stop"
    assert said(engine, prompt, temperature=0, max_new_tokens=2)[1].finish == "length"
    cancelled = threading.Event()
    cancelled.set()
    assert said(engine, prompt, cancelled, temperature=0) == ("", said(engine, prompt, cancelled)[1])


def test_adapters_speak_only_when_named(engine, base, prompt):
    odd = Prompt(prompt.ids, prompt.messages, "odd", prompt.stop_ids)
    plain = said(engine, prompt, temperature=0, max_new_tokens=12)[0]
    assert said(engine, odd, temperature=0, max_new_tokens=12)[0] != plain
    assert said(engine, prompt, temperature=0, max_new_tokens=12)[0] == plain
    assert said(LocalEngine(base), prompt, temperature=0, max_new_tokens=12)[0] == plain


def test_a_pickled_adapter_is_refused(engine, adapter, tmp_path):
    (tmp_path / "adapter_config.json").write_text((adapter / "adapter_config.json").read_text())
    (tmp_path / "adapter_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(PersonaError, match="safetensors"):
        engine.add_adapter("evil", tmp_path)


def test_four_bits_speak_too(base, prompt):
    text, last = said(LocalEngine(base, quantization="nf4"), prompt, temperature=0, max_new_tokens=20)
    assert last.finish and len(text.split()) > 2


def test_a_reply_that_nobody_reads_on_blocks_nothing(engine, prompt):
    settings = GenerationSettings(temperature=0, max_new_tokens=12)
    left = engine.stream(prompt, settings, threading.Event())
    first = next(left)
    whole = said(engine, prompt, temperature=0, max_new_tokens=12)[0]
    assert first.text + "".join(piece.text for piece in left) == whole
