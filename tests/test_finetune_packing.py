"""Rows that share a persona prompt: as few tokens as can be, and the losses and gradients of the dialogues alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from finetune.attention import _sdpa
from finetune.batches import collate, lay_out
from finetune.loss import token_losses
from finetune.packing import GRAIN, passes
from finetune.rows import trained_tokens
from finetune.sharing import shares_exactly
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


@pytest.mark.parametrize("shared", [1, 2, 4])
@pytest.mark.parametrize(("rows", "behind"), [(1, 0), (3, 0), (1, 9)])
def test_heads_that_share_keys_attend_as_transformers_lets_them_and_copy_none(shared, rows, behind):
    module, tokens, dice = torch.nn.Identity(), 11, torch.Generator().manual_seed(0)
    module.num_key_value_groups = 4 // shared
    mask = (torch.arange(behind + tokens) <= torch.arange(behind, behind + tokens)[:, None])[None, None]

    def run(attend, held):
        dice.manual_seed(0)
        sizes = ((4, tokens), (shared, behind + tokens), (shared, behind + tokens))
        states = [torch.randn(rows, *size, 8, generator=dice).requires_grad_() for size in sizes]

        def note(saved):
            held[saved.untyped_storage().data_ptr()] = saved
            return saved

        with torch.autograd.graph.saved_tensors_hooks(note, lambda saved: saved):
            made, _ = attend(module, *states, mask if behind else None, dropout=0.0, scaling=0.3)
        made.square().sum().backward()
        return made, *[each.grad for each in states]

    ours, theirs = {}, {}
    for one, other in zip(run(_sdpa, ours), run(sdpa_attention_forward, theirs), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
    ours, theirs = (sum(each.untyped_storage().nbytes() for each in held.values()) for held in (ours, theirs))
    assert ours < theirs if shared == 2 and behind else ours <= theirs  # one head of keys needs no copy anyway


TOKENS = st.lists(st.integers(5, 96), min_size=1, max_size=6).map(tuple)
BEGINNINGS = st.lists(st.integers(0, 2), max_size=4).map(
    lambda parts: tuple(5 + part for part in parts for _ in range(GRAIN))
)
ROWS = st.lists(st.tuples(st.integers(0, 1), BEGINNINGS, TOKENS, TOKENS), min_size=1, max_size=12).map(
    lambda rows: [
        example(n, persona, (*begins, *context), reply) for n, (persona, begins, context, reply) in enumerate(rows)
    ]
)


def seen_by(one, number):
    """What the last token of a segment sees, as places in examples."""
    parts = [*(one.segments[each] for each in one.segments[number].behind), one.segments[number]]
    return [(part.example, part.start, part.stop) for part in parts]


@given(ROWS, st.integers(60, 400))
@settings(max_examples=100, deadline=None)
def test_every_dialogue_sees_its_own_tokens_and_no_others(examples, budget):
    made = passes(examples, range(len(examples)), budget, share=True)
    assert sorted(number for one in made for number in one.examples) == list(range(len(examples)))
    for one in made:
        assert one.tokens == sum(each.stop - each.start for each in one.segments)
        assert one.tokens <= max(budget, len(examples[one.examples[0]].ids)) or len(one.examples) == 1
        leaves = [n for n, each in enumerate(one.segments) if each.stop == len(examples[each.example].ids)]
        assert tuple(one.segments[n].example for n in leaves) == one.examples
        for leaf in leaves:
            seen = seen_by(one, leaf)
            read = [examples[number].ids[start:stop] for number, start, stop in seen]
            assert sum(read, ()) == examples[one.segments[leaf].example].ids
            assert all(number < leaf for number in one.segments[leaf].behind)
        for each in (one.segments[n] for n in range(len(one.segments)) if n not in leaves):
            assert set(examples[each.example].labels[: each.stop + 1]) == {IGNORED} and each.stop % GRAIN == 0


@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_what_examples_begin_with_is_computed_once(examples):
    (one,) = passes(examples, range(len(examples)), 10**6, share=True)
    grains = set()
    for each in examples:
        context = next(place for place, label in enumerate(each.labels) if label != IGNORED)
        whole = (context - 1) // GRAIN
        grains |= {each.ids[: GRAIN * (n + 1)] for n in range(whole)}
    # What no other example begins with stands there whole, in grains and what is left of it.
    rest = sum(len(e.ids) - (e.labels.count(IGNORED) - 1) // GRAIN * GRAIN for e in examples)
    assert one.tokens == GRAIN * len(grains) + rest


@given(st.lists(st.integers(2, 300), min_size=1, max_size=20), st.integers(1, 1000))
def test_rows_that_are_not_shared_keep_within_the_budget_with_their_padding(lengths, budget):
    rows = [Example(str(n), (7,) * tokens, (IGNORED,) + (7,) * (tokens - 1)) for n, tokens in enumerate(lengths)]
    made = passes(rows, range(len(rows)), budget, share=False)
    assert sorted(number for one in made for number in one.examples) == list(range(len(rows)))
    assert all(one.tokens <= budget or len(one.examples) == 1 for one in made)
    assert all(one.tokens == lay_out(rows, one).input_ids.numel() for one in made)


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
    alone = {n: gradient(model, [collate([each])]) for n, each in enumerate(examples)}
    assert shares_exactly(model)
    (one,) = passes(examples, range(7), 1000, share=True)
    assert one.tokens == sum(len(each.ids) for each in examples) - 5 * 32
    shared, ours = gradient(model, [lay_out(examples, one)])
    losses, gradients = zip(*(alone[number] for number in one.examples), strict=True)
    assert len(shared) == sum(map(trained_tokens, examples))
    assert torch.allclose(shared, torch.cat(losses), atol=1e-5)
    theirs = sum(gradients)
    assert float((ours - theirs).norm()) <= 1e-5 * float(theirs.norm())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_transformers_own_on_rows_that_are_not_packed(family):
    model, examples = model_of(family), dialogues()
    for each in examples:
        theirs = model(input_ids=torch.tensor([each.ids]), labels=torch.tensor([each.labels])).loss
        assert float(token_losses(model, collate([each])).mean()) == pytest.approx(float(theirs), abs=1e-5)


@pytest.mark.parametrize("family", ["gemma3_text", "mistral"])
def test_a_window_that_is_shorter_than_an_example_is_kept(family, monkeypatch):
    wide, examples = model_of(family), dialogues()
    monkeypatch.setitem(FAMILIES, family, {"sliding_window": 12})
    model = model_of(family)
    assert not torch.allclose(token_losses(wide, collate(examples)), token_losses(model, collate(examples)), atol=1e-3)
    alone = [token_losses(model, collate([each])) for each in examples]
    assert shares_exactly(model)
    (one,) = passes(examples, range(7), 1000, share=True)
    together = token_losses(model, lay_out(examples, one))
    assert torch.allclose(together, torch.cat([alone[number] for number in one.examples]), atol=1e-5)


def test_where_a_row_cannot_be_cut_nothing_is_shared():
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model("lfm2", **(SHAPE | {"layer_types": ["conv", "full_attention"]}))
    )
    assert not shares_exactly(model) and model.config._attn_implementation == "sdpa"


def test_a_model_that_does_not_pass_the_blocks_on_shares_nothing(monkeypatch):
    model = model_of("llama")
    forward = type(model).forward
    monkeypatch.setattr(type(model), "forward", lambda self, *args, blocks=None, **given: forward(self, *args, **given))
    assert not shares_exactly(model) and model.config._attn_implementation == "sdpa"


def test_padding_stands_on_the_right_and_is_never_trained():
    batch = collate([Example("a", (5, 6, 7), (-100, 6, 7)), Example("b", (8,), (-100,))])
    assert batch.input_ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch.labels.tolist() == [[-100, 6, 7], [-100, -100, -100]]
    assert batch.ids == ("a", "b")
