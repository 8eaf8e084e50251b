"""Examples and synthetic rows step back where a character has enough lines of its own."""

from data.balance import ENOUGH_REAL_REPLIES, REAL_SHARE, ROWS_KEPT_OF_A_SCENE, mostly_real, without_examples
from persona.conversation import Conversation, Message


def row(scene, origin="real", reply=None):
    said = Message("assistant", reply or f"{origin} {scene}")
    return Conversation((Message("user", "Hm?"), said), "Ada", source=origin, scene=str(scene), origin=origin)


def rows(origin, scenes, each=1):
    return [row(scene, origin, f"{origin} {scene} {number}.") for scene in range(scenes) for number in range(each)]


def test_examples_are_left_out_where_there_are_enough_other_lines():
    few = rows("real", ENOUGH_REAL_REPLIES - 1) + rows("example", 3)
    assert without_examples(few) == (few, [])
    kept, dropped = without_examples([*rows("example", 3), row(99), *few])
    assert not any(r.origin == "example" for r in kept) and len(kept) == ENOUGH_REAL_REPLIES
    assert [reason for _, reason in dropped] == ["example stands in the prompt"] * 6


def test_real_replies_are_most_of_what_is_trained():
    given = rows("real", 60) + rows("lore", 10, each=5) + rows("smalltalk", 5, each=2)
    kept, dropped = mostly_real(given)
    assert sum(r.is_real for r in kept) == 60 and len(kept) + len(dropped) == len(given)
    assert 60 / len(kept) >= REAL_SHARE and len(kept) == 100
    assert {reason for _, reason in dropped} == {"synthetic beyond 40% of the replies"}
    assert kept == [r for r in given if any(r is k for k in kept)], "in the order given"


def test_every_scene_stays_whatever_the_share():
    kept, _ = mostly_real(rows("real", 30) + rows("lore", 200, each=4))
    scenes = [r.scene for r in kept if not r.is_real]
    assert {scenes.count(scene) for scene in set(scenes)} == {ROWS_KEPT_OF_A_SCENE} and len(set(scenes)) == 200


def test_a_character_of_few_lines_keeps_every_row():
    given = rows("real", ENOUGH_REAL_REPLIES - 1) + rows("lore", 100)
    assert mostly_real(given) == (given, [])


def test_what_repeats_an_answer_goes_first_and_what_begins_like_one_next():
    full = [row(n, "lore", f"I keep {n} bees. The bees keep me.") for n in range(20)]
    short = [row(n, "lore", f"I keep {n} bees.") for n in range(20)]
    again = [row(n, "lore", f"I keep {n} bees! The bees keep me!") for n in range(20)]
    other = [row(n, "lore", f"The {n} bees keep me.") for n in range(20)]
    given = [*rows("real", 90), *full, *again, *short, *other]
    kept, dropped = mostly_real(given)
    assert [r for r, _ in dropped] == again and len(kept) == 150
    kept, dropped = mostly_real([*rows("real", 60), *full, *again, *short, *other])
    assert {r.replies for r, _ in dropped} >= {r.replies for r in again} and all(r in kept for r in [*full, *other])
