"""Which rows are held out: whole scenes, never single rows, and nothing that is trained elsewhere."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from data.filters import normalised
from persona.conversation import Conversation

SPLITS = ("train", "validation", "test")
HELD_OUT_SHARE = 0.1
MOST_HELD_OUT = 0.15
"""Of a kind's replies in each of the two: a few long scenes would else be a third of a book."""

FEWEST_REAL_REPLIES = 10
FEWEST_SYNTHETIC_REPLIES = 6
"""Below these nothing is held out of a kind of rows: the few there are do more good in training."""

PASSAGE_WORDS = 8
"""Words in a row that two texts do not share by chance."""

HELD_OUT_QUESTION = "held_out_question"
"""The note of a row whose fact is trained and whose question is not: it goes to the test split alone."""

TOUCHES = "touches"
"""The note of a row that the next row of its source continues, which belongs to another scene: the name of that one."""

Scene = tuple[str, str]


@dataclass
class Split:
    """Rows by split, and what the split itself had to drop."""

    rows: dict[str, list[Conversation]] = field(default_factory=lambda: {name: [] for name in SPLITS})
    dropped: list[tuple[Conversation, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    home: dict[Scene, str] = field(default_factory=dict)
    """The split of each scene."""

    def home_of(self, row: Conversation) -> str:
        """Where a row belongs, or would have belonged."""
        if HELD_OUT_QUESTION in row.notes:
            return "test"
        return self.home.get((row.source, row.scene), "train")


def split(rows: Sequence[Conversation], seed: int, alike: Sequence[int] = ()) -> Split:
    """About 80 % of the scenes for training and 10 % each for validation and test, drawn by hash from `seed`.

    Lines from different kinds of sources are drawn apart, so that each kind is held out. `alike` numbers the rows, those
    with nearly the same replies alike: their scenes stay together. A training row that holds a held-out reply, or a
    passage of one, is dropped, and so is a held-out question about lore that is not in its prompt.
    """
    done = Split()
    pools: dict[str, list[Scene]] = {}
    for row in rows:
        scene = (row.source, row.scene)
        if row.origin in ("example", "greeting", "telling"):
            # Examples stand in every prompt, and held out they would measure copying. A greeting is said word for word
            # wherever the character is. What is told unasked and in no prompt nobody can guess.
            done.home[scene] = "train"
        elif scene not in pools.setdefault("real" if row.is_real else row.origin, []):
            pools["real" if row.is_real else row.origin].append(scene)
    families = _families(rows, alike)
    replies = Counter((row.source, row.scene) for row in rows for _ in row.replies)
    for pool, scenes in pools.items():
        fewest = FEWEST_REAL_REPLIES if pool == "real" else FEWEST_SYNTHETIC_REPLIES
        done.home |= _draw(scenes, families, seed, fewest, replies)
    if all(done.home[scene] == "train" for scene in pools.get("real", [])):
        done.warnings.append("There are too few real lines to hold any out: the losses say nothing about new ones.")
    _fill(done, rows, alike)
    return done


def _families(rows: Sequence[Conversation], alike: Sequence[int]) -> dict[Scene, Scene]:
    """The first scene of those that hold rows alike, directly or through others, for each scene that has any."""
    parent: dict[Scene, Scene] = {}

    def root(scene: Scene) -> Scene:
        while parent.get(scene, scene) != scene:
            parent[scene] = scene = parent.get(parent[scene], parent[scene])
        return scene

    first: dict[int, Scene] = {}
    for row, number in zip(rows, alike, strict=False):
        if row.is_real and row.origin != "example":
            scene = (row.source, row.scene)
            parent[root(scene)] = root(first.setdefault(number, scene))
    return {scene: root(scene) for scene in parent}


def _draw(
    scenes: Sequence[Scene], families: Mapping[Scene, Scene], seed: int, fewest: int, replies: Mapping[Scene, int]
) -> dict[Scene, str]:
    """A split for every scene, whole families at a time; a family that is larger than a split is trained."""
    total = sum(replies[scene] for scene in scenes)
    held = max(1, round(HELD_OUT_SHARE * len(scenes))) if total >= fewest else 0
    taken: Counter[str] = Counter()
    members: dict[Scene, list[Scene]] = {}
    for scene in scenes:
        members.setdefault(families.get(scene, scene), []).append(scene)
    order = sorted(members, key=lambda scene: hashlib.sha256(f"{seed}\0{scene[0]}\0{scene[1]}".encode()).digest())
    room = {"test": held, "validation": held}
    homes: dict[Scene, str] = {}
    for family in order:
        size = len(members[family])
        said = sum(replies[scene] for scene in members[family])
        fitting = (name for name, left in room.items() if size <= left and taken[name] + said <= MOST_HELD_OUT * total)
        home = next(fitting, "train")
        if home != "train":
            room[home] -= size
            taken[home] += said
        homes |= dict.fromkeys(members[family], home)
    if "validation" not in homes.values():  # the one that chooses the epoch comes first
        homes = {scene: "validation" if home == "test" else home for scene, home in homes.items()}
    return homes


def _fill(done: Split, rows: Sequence[Conversation], alike: Sequence[int]) -> None:
    held_out = [row for row in rows if done.home_of(row) != "train" and HELD_OUT_QUESTION not in row.notes]
    replies = {normalised(r) for row in held_out for r in row.replies}
    known = {passage for row in held_out if row.is_real for r in row.replies for passage in passages(r)}
    near = {n for row, n in zip(rows, alike, strict=False) if row.is_real and done.home_of(row) != "train"}
    for place, row in enumerate(rows):
        home = done.home_of(row)
        if home == "train" and any(normalised(r) in replies for r in row.replies):
            done.dropped.append((row, "reply is held out"))
        elif home == "train" and row.is_real and alike and alike[place] in near:
            done.dropped.append((row, "much like a held-out reply"))
        elif home == "train" and row.is_real and any(known & passages(r) for r in row.replies):
            done.dropped.append((row, "shares a passage with a held-out reply"))
        elif home != "train" and row.origin == "lore" and not row.lore and not _is_trained_fact(row, done):
            done.dropped.append((row, "held-out lore that is not in the prompt"))
        elif TOUCHES in row.notes and done.home.get((row.source, row.notes[TOUCHES]), home) != home:
            done.dropped.append((row, "next to what is held out"))
        else:
            notes = {key: note for key, note in row.notes.items() if key != TOUCHES}
            done.rows[home].append(row if notes == row.notes else replace(row, notes=notes))


def _is_trained_fact(row: Conversation, done: Split) -> bool:
    return HELD_OUT_QUESTION in row.notes and done.home.get((row.source, row.scene)) == "train"


def passages(text: str) -> set[tuple[str, ...]]:
    """Every run of `PASSAGE_WORDS` words of a text."""
    words = normalised(text).split()
    return {tuple(words[i : i + PASSAGE_WORDS]) for i in range(len(words) - PASSAGE_WORDS + 1)}


def leakage(done: Split) -> dict[str, int]:
    """Of the held-out real replies: how many there are, stand in training, or share a passage with a training reply."""
    trained = {normalised(r) for row in done.rows["train"] for r in row.replies}
    known = {p for row in done.rows["train"] if row.is_real for r in row.replies for p in passages(r)}
    replies = [r for name in SPLITS[1:] for row in done.rows[name] if row.is_real for r in row.replies]
    return {
        "held-out real replies": len(replies),
        "also trained": sum(normalised(r) in trained for r in replies),
        f"share {PASSAGE_WORDS} words in a row with training": sum(bool(known & passages(r)) for r in replies),
    }
