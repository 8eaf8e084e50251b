"""Whole scenes are held out, and nothing held out is trained."""

from hypothesis import given
from hypothesis import strategies as st

from data.filters import normalised
from data.split import SPLITS, split
from persona.conversation import Conversation, Message


def row(scene, reply, origin="real", lore=True):
    return Conversation(
        (Message("user", "Hm?"), Message("assistant", reply)),
        "Ada",
        id=f"{scene}/{reply}",
        source="s",
        scene=str(scene),
        origin=origin,
        lore=lore,
    )


rows = st.lists(
    st.builds(
        row,
        st.integers(0, 30),
        st.sampled_from([f"Reply {n}." for n in range(40)]),
        st.sampled_from(["real", "greeting", "lore", "identity", "example"]),
        st.booleans(),
    ),
    max_size=120,
)


@given(rows, st.integers(0, 3))
def test_no_scene_and_no_reply_is_on_both_sides(given_rows, seed):
    done = split(given_rows, seed)
    held_out = {normalised(t) for name in SPLITS[1:] for r in done.rows[name] for t in r.replies}
    trained = {normalised(t) for r in done.rows["train"] for t in r.replies}
    assert not held_out & trained
    kept = [r for name in SPLITS for r in done.rows[name]]
    assert len(kept) + len(done.dropped) == len(given_rows), "every row is kept or dropped with a reason"
    homes = {}
    for name in SPLITS:
        for r in done.rows[name]:
            assert homes.setdefault((r.source, r.scene), name) == name


@given(rows)
def test_the_same_rows_and_seed_give_the_same_split(given_rows):
    assert split(given_rows, 1).rows == split(given_rows, 1).rows


def test_about_a_tenth_is_held_out_twice():
    done = split([row(n, f"Line {n}.") for n in range(50)], 0)
    assert [len(done.rows[name]) for name in SPLITS] == [40, 5, 5]


def test_of_few_scenes_none_is_held_out():
    for scenes, lines in ((9, 1), (4, 5)):
        few = split([row(n, f"Line {n} {line}.") for n in range(scenes) for line in range(lines)], 0)
        assert [len(few.rows[name]) for name in SPLITS] == [scenes * lines, 0, 0] and few.warnings
    enough = split([row(n, f"Line {n}.") for n in range(10)], 0)
    assert [len(enough.rows[name]) for name in SPLITS] == [8, 1, 1] and not enough.warnings


def test_a_large_scene_is_trained_and_a_lone_held_out_one_chooses_the_epoch():
    rows = [row(n, f"{word} {n}.") for n in range(3) for word in ("Line", "More", "And")] + [row(9, "Short.")]
    done = split(rows, 0)
    assert [len(done.rows[name]) for name in SPLITS] == [9, 1, 0] and done.rows["validation"][0].replies == ("Short.",)


def test_few_synthetic_answers_are_all_trained():
    done = split([row(n, f"Line {n}.", "identity") for n in range(4)], 0)
    assert len(done.rows["train"]) == 4


def test_a_held_out_reply_takes_its_training_rows_with_it():
    given_rows = [row(n, f"Line {n}.") for n in range(10)]
    test_reply = split(given_rows, 0).rows["test"][0].replies[0]
    done = split([*given_rows, row("example", test_reply, "example")], 0)
    assert [reason for _, reason in done.dropped] == ["reply is held out"]


def test_held_out_lore_is_only_asked_with_its_lore():
    pairs = [r for n in range(10) for r in (row(n, f"Fact {n}.", "lore"), row(n, f"Fact {n}.", "lore", lore=False))]
    done = split(pairs, 0)
    assert all(r.lore for name in SPLITS[1:] for r in done.rows[name])
    assert {reason for _, reason in done.dropped} == {"held-out lore that is not in the prompt"}


def test_examples_are_never_held_out():
    done = split([row(n, f"Line {n}.", "example") for n in range(20)], 0)
    assert len(done.rows["train"]) == 20
