"""Rows that share a persona prompt: as few tokens as can be, and the losses and gradients of the dialogues alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

from finetune.batches import collate, lay_out, shares_exactly
from finetune.loss import token_losses
from finetune.packing import FEWEST_SHARED, ROW_TOKENS, Pack, forwards, pack
from finetune.rows import trained_tokens
from persona.prompt import IGNORED, Example

PERSONAS = [tuple(range(5, 45)), tuple(range(50, 90))]


def example(number, persona, context, reply):
    ids = (*PERSONAS[persona], *context, *reply)
    return Example(f"row-{number}", ids, (IGNORED,) * (len(ids) - len(reply)) + tuple(reply))


def dialogues(count=7, seed=0):
    dice = torch.Generator().manual_seed(seed)

    def words(low, high):
        length = int(torch.randint(low, high, (1,), generator=dice))
        return torch.randint(5, 97, (length,), generator=dice).tolist()

    return [example(n, n % 2, words(1, 9), words(2, 9)) for n in range(count)]


TOKENS = st.lists(st.integers(5, 96), min_size=1, max_size=6).map(tuple)
ROWS = st.lists(st.tuples(st.integers(0, 1), TOKENS, TOKENS), min_size=1, max_size=12).map(
    lambda rows: [example(number, *row) for number, row in enumerate(rows)]
)


@given(ROWS, st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_example_stands_in_one_row_and_a_prefix_is_common_context(examples, share):
    packs = pack(examples, range(len(examples)), share=share)
    assert sorted(number for row in packs for number in row.examples) == list(range(len(examples)))
    alone = sum(len(e.ids) for e in examples)
    assert sum(row.tokens for row in packs) <= alone
    for row in packs:
        members = [examples[number] for number in row.examples]
        assert len({e.ids[: row.prefix] for e in members}) == 1
        assert row.tokens == row.prefix + sum(len(e.ids) - row.prefix for e in members) <= max(ROW_TOKENS, alone)
        assert all(set(e.labels[: row.prefix + 1]) == {IGNORED} for e in members) or not row.prefix
        assert not row.prefix or (row.prefix >= FEWEST_SHARED and len(members) > 1)
    assert share or len(packs) == len(examples)


def test_rows_have_the_fewest_tokens():
    examples = dialogues(8)
    packs = pack(examples, range(8), share=True)
    assert [len(row.examples) for row in packs] == [4, 4] and all(row.prefix == 40 for row in packs)
    assert pack(examples, [1, 3], share=True)[0].examples in ((1, 3), (3, 1))


def test_a_row_ends_where_it_would_be_too_long():
    examples = [example(n, 0, [n + 5] * 900, [7, 8]) for n in range(4)]
    packs = pack(examples, range(4), share=True)
    assert [len(row.examples) for row in packs] == [2, 2] and all(row.tokens <= ROW_TOKENS for row in packs)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=20), st.integers(1, 1000))
def test_forward_passes_hold_every_row_within_their_budget(lengths, budget):
    rows = [Pack((number,), 0, tokens) for number, tokens in enumerate(lengths)]
    passes = forwards(rows, budget)
    assert sorted(each for one in passes for row in one for each in row.examples) == list(range(len(rows)))
    assert all(len(one) * max(row.tokens for row in one) <= budget or len(one) == 1 for one in passes)


SHAPE = dict(
    vocab_size=97, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=256, head_dim=8, bos_token_id=None, eos_token_id=4, pad_token_id=0,
)  # fmt: skip
FAMILIES = {
    "llama": {},
    "qwen3": {},
    "gemma3_text": {"sliding_window": 64},
    "mistral": {"sliding_window": 64},
    "phi3": {},
    "smollm3": {},
}


def model_of(family, attention="sdpa"):
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **(SHAPE | FAMILIES[family]))
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention).float().train()


def gradient(model, batches):
    model.zero_grad(set_to_none=True)
    losses = [token_losses(model, batch) for batch in batches]
    sum(loss.sum() for loss in losses).backward()
    return torch.cat(losses).detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_shared_rows_have_the_losses_and_gradients_of_separate_examples(family, attention):
    model, examples = model_of(family, attention), dialogues()
    packs = pack(examples, range(7), share=True)
    assert shares_exactly(model.config, max(len(e.ids) for e in examples)) and any(row.prefix for row in packs)
    shared, ours = gradient(model, [lay_out(examples, packs)])
    order = [number for row in packs for number in row.examples]
    alone, theirs = gradient(model, [collate([examples[number]]) for number in order])
    assert len(shared) == sum(map(trained_tokens, examples))
    assert torch.allclose(shared, alone, atol=1e-5)
    assert float((ours - theirs).norm()) <= 1e-5 * float(theirs.norm())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_transformers_own_on_rows_that_are_not_packed(family):
    model, examples = model_of(family), dialogues()
    for each in examples:
        theirs = model(input_ids=torch.tensor([each.ids]), labels=torch.tensor([each.labels])).loss
        assert float(token_losses(model, collate([each])).mean()) == pytest.approx(float(theirs), abs=1e-5)


def test_where_a_window_is_shorter_than_an_example_nothing_is_shared():
    config = AutoConfig.for_model("mistral", **(SHAPE | {"sliding_window": 32}))
    config._attn_implementation = "sdpa"
    assert shares_exactly(config, 32) and not shares_exactly(config, 33)
    config._attn_implementation = "flash_attention_2"
    assert not shares_exactly(config, 8)
    mixed = AutoConfig.for_model("llama", **SHAPE)
    mixed._attn_implementation, mixed.layer_types = "sdpa", ["full_attention", "linear_attention"]
    assert not shares_exactly(mixed, 8)


def test_padding_stands_on_the_right_and_is_never_trained():
    batch = collate([Example("a", (5, 6, 7), (-100, 6, 7)), Example("b", (8,), (-100,))])
    assert batch.input_ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch.labels.tolist() == [[-100, 6, 7], [-100, -100, -100]]
    assert batch.ids == ("a", "b")
