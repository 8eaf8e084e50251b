"""Which of the called entries enter: order, budget, chance and groups."""

import pytest

from persona.lorebook import Lorebook
from tests.lore_talk import entry, names, scan


def test_insertion_order_is_the_order_of_decisions():
    book = Lorebook(
        entries=(entry("a", insertion_order=30), entry("b", insertion_order=-1), entry("c", insertion_order=30))
    )
    assert names(scan(book, "a b c")) == ["b", "a", "c"]


def test_the_lowest_priority_is_dropped_first():
    book = Lorebook(entries=(entry("a", "1 2 3", priority=1), entry("b", "1 2 3", priority=9), entry("c", "1 2 3")))
    decisions = {d.name: d for d in scan(book, "a b c", budget=7)}
    assert [n for n, d in decisions.items() if d.included] == ["a", "b"]
    assert decisions["c"].reason == "budget: 3 tokens, 1 left"
    assert decisions["c"].text == "" and decisions["c"].tokens == 0


def test_priority_outweighs_order():
    book = Lorebook(entries=(entry("a", "1 2 3", priority=1), entry("b", "1 2 3", insertion_order=900)))
    assert names(scan(book, "a b", budget=3)) == ["a"]


def test_without_priorities_the_lowest_order_is_dropped_first():
    book = Lorebook(entries=(entry("a", "1 2 3", insertion_order=1), entry("b", "1 2 3", insertion_order=2)))
    assert names(scan(book, "a b", budget=3)) == ["b"]


def test_ignore_on_max_context_is_dropped_before_all():
    book = Lorebook(entries=(entry("a", "@@ignore_on_max_context\n1 2 3", priority=9), entry("b", "1 2 3")))
    assert names(scan(book, "a b", budget=3)) == ["b"]


def test_the_books_own_budget_counts_what_stands():
    book = Lorebook(token_budget=5, entries=(entry("a", "1 2 3"), entry("b", "1 2 3")))
    assert names(scan(book, "a b")) == ["a"]
    assert scan(book, "b", standing=[0])[1].reason == "budget: 3 tokens, 2 left"


def test_probability_is_drawn_from_seed_entry_and_turn():
    book = Lorebook(entries=(entry(extensions={"probability": 30}),))
    drawn = {
        (seed, turn): scan(book, "lamp", seed=seed, turn=turn)[0].included for seed in range(20) for turn in range(20)
    }
    assert 80 < sum(drawn.values()) < 160
    for fixed in range(20):
        assert len({drawn[fixed, turn] for turn in range(20)}) == 2
        assert len({drawn[seed, fixed] for seed in range(20)}) == 2


@pytest.mark.parametrize("off", [{"useProbability": False}, {"use_probability": False}])
def test_use_probability_switches_it_off(off):
    assert scan(Lorebook(entries=(entry(extensions={"probability": 0, **off}),)), "lamp")[0].included
    assert scan(Lorebook(entries=(entry(extensions={"probability": None}),)), "lamp")[0].included


def group(name, **more):
    return {"group": name, **more}


def test_one_entry_of_a_group_enters():
    book = Lorebook(entries=(entry("a", extensions=group("g")), entry("b", extensions=group("h, g")), entry("c")))
    chosen = {tuple(names(scan(book, "a b c", seed=seed))) for seed in range(30)}
    assert chosen == {("a", "c"), ("b", "c")}
    assert scan(book, "b", standing=[0])[1].reason == "group 'g': 'a' was chosen"


def test_group_weight_and_override():
    heavy = Lorebook(entries=(entry("a", extensions=group("g", group_weight=0)), entry("b", extensions=group("g"))))
    assert all(names(scan(heavy, "a b", seed=seed)) == ["b"] for seed in range(20))
    first = group("g", groupOverride=True)
    forced = Lorebook(
        entries=(
            entry("a", extensions=first, insertion_order=5),
            entry("b", extensions=group("g")),
            entry("c", extensions=first),
        )
    )
    assert all(names(scan(forced, "a b c", seed=seed)) == ["c"] for seed in range(20))
