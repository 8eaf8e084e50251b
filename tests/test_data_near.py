"""Near duplicates: what is found is exact, and a crowd of copies costs no more than its size."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import near, shingles
from data.near import cluster_rows, drop_near_duplicates, near_duplicates, similarity
from persona.conversation import Conversation, Message

STORM = "The storm took the old bridge in the night, and nobody heard it go until the morning came"
WORDS = "the lamp burns oil all night and the keeper counts every ship that comes into our small harbour".split()


def row(asked, said, **more):
    return Conversation((Message("user", asked), Message("assistant", said)), "Ada", **more)


def variations(count, seed):
    """Texts of the same few words, many of them nearly alike."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        words = rng.choices(WORDS, k=rng.randint(3, 25)) if not made or rng.random() < 0.4 else rng.choice(made).split()
        words[rng.randrange(len(words))] = rng.choice(WORDS)
        made.append(" ".join(words))
    return made


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.9])
def test_the_pairs_are_those_that_counting_finds(threshold):
    texts = list(dict.fromkeys(variations(300, seed=1)))
    sets = [{text[i : i + 5] for i in range(len(text) - 4)} for text in texts]
    true = {
        (i, j)
        for j in range(len(sets))
        for i in range(j)
        if len(sets[i] & sets[j]) >= threshold * len(sets[i] | sets[j])
    }
    assert true and set(near_duplicates(texts, threshold)) == true


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(alphabet="ab \U0001f600é\ud800", max_size=12), max_size=12))
def test_any_texts_give_exact_pairs_in_order(texts):
    pairs = near_duplicates(texts)
    assert pairs == sorted(set(pairs)) and all(i < j and similarity(texts[i], texts[j]) >= 0.8 for i, j in pairs)
    first = {}
    for i, text in enumerate(texts):
        first.setdefault(near._comparable(text), i)
    own = sorted(first.values())
    missed = [(i, j) for i in own for j in own if i < j and similarity(texts[i], texts[j]) >= 0.8]
    assert set(missed) <= set(pairs)


def test_blocks_and_chunks_change_nothing(monkeypatch):
    texts = variations(300, seed=2)
    whole = near_duplicates(texts)
    monkeypatch.setattr(shingles, "_BLOCK_CHARACTERS", 700)
    monkeypatch.setattr(shingles, "_CANDIDATES", 50)
    monkeypatch.setattr(shingles, "_COUNTED", 90)
    assert near_duplicates(texts) == whole


def test_equal_texts_are_paired_with_the_first_alone():
    texts = ["ok", "lol", "OK!", "ok", "", "...", "lol", "okay"]
    assert near_duplicates(texts) == [(0, 2), (0, 3), (1, 6)]
    assert near_duplicates([]) == []


def test_short_texts_are_near_only_when_equal():
    assert near_duplicates(["yes", "yet", "yess", "a b", "ab"]) == []


def test_rows_that_are_equal_but_for_marks_share_a_cluster():
    assert cluster_rows([row("Hm?", said) for said in ("ok", "lol", "OK!", "ok", "lol", "okay")]) == [0, 1, 0, 0, 1, 2]
    assert cluster_rows([]) == [] and cluster_rows([row("Hm?", "a")]) == [0]


def test_clusters_follow_chains():
    chain = [" ".join(f"word{n}" for n in range(i, i + 40)) for i in range(0, 20, 2)]
    assert similarity(chain[0], chain[1]) >= 0.8 > similarity(chain[0], chain[-1])
    rows = [row("And then?", said) for said in chain]
    assert set(cluster_rows(rows)) == {0} and cluster_rows([row("And then?", "Nothing of it."), *rows])[:2] == [0, 1]


def test_a_crowd_of_copies_stays_linear():
    copies = [f"I would like order number {i:05d} please, my dear friend, and quickly" for i in range(1_000)]
    pairs = near_duplicates([*copies, *["ok"] * 1_000])
    assert len(pairs) <= shingles.PARTNERS * len(copies) + 1_000
    assert all(similarity(copies[i], copies[j]) >= 0.8 for i, j in pairs[:500] if j < len(copies))
    assert set(cluster_rows([row("What else?", copy) for copy in copies])) == {0}


def test_near_rows_are_dropped_and_the_first_stays():
    rows = [
        row("What of the storm?", STORM + "."),
        row("What of the storm??", STORM.replace("heard", "hears") + "!"),
        row("Where is your brother?", STORM + "."),
        row("What of the storm?", "I slept."),
    ]
    kept, dropped = drop_near_duplicates(rows)
    assert kept == [rows[0], rows[2], rows[3]] and dropped == [(rows[1], "near duplicate")]


def test_a_row_that_is_near_to_a_dropped_one_only_stays():
    answers = [" ".join(f"word{n}" for n in range(i, i + 40)) for i in (0, 3, 6)]
    rows = [row("And then?", answer) for answer in answers]
    assert similarity(answers[1], answers[2]) >= 0.8 > similarity(answers[0], answers[2])
    assert drop_near_duplicates(rows)[0] == [rows[0], rows[2]]


def test_lore_on_and_off_are_not_duplicates_and_stay_together():
    rows = [row("And the storm?", STORM), row("And the storm?", STORM, lore=False), row("And the storm??", STORM)]
    assert [r for r, _ in drop_near_duplicates(rows)[1]] == [rows[2]]
    assert cluster_rows(rows) == [0, 0, 0]


def test_rows_are_joined_by_long_replies_and_not_by_short_ones():
    rows = [
        row("Why?", STORM),
        row("What did you do all that time?", STORM + ", Tom"),
        row("Yes?", "Yes."),
        row("No?", "Yes."),
    ]
    assert cluster_rows(rows) == [0, 0, 1, 2]
