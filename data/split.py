"""Which rows are held out: whole scenes, never single rows, and nothing that is trained elsewhere."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from data.filters import normalised
from persona.conversation import Conversation

SPLITS = ("train", "validation", "test")
HELD_OUT_SHARE = 0.1
FEWEST_REAL_SCENES = 3
FEWEST_SYNTHETIC_SCENES = 6
"""Below these nothing is held out of a kind of rows: the few there are do more good in training."""

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
        return self.home.get((row.source, row.scene), "train")


def split(rows: Sequence[Conversation], seed: int) -> Split:
    """About 80 % of the scenes for training and 10 % each for validation and test, drawn by hash from `seed`.

    Lines from different kinds of sources are drawn apart, so that each kind is held out. A training row that holds a
    held-out reply is dropped, and so is a held-out question about lore that is not in its prompt.
    """
    done = Split()
    pools: dict[str, list[Scene]] = {}
    for row in rows:
        scene = (row.source, row.scene)
        if row.origin == "example":
            # Examples stand in every prompt of the character: held out, they would measure copying.
            done.home[scene] = "train"
        elif scene not in pools.setdefault("real" if row.is_real else row.origin, []):
            pools["real" if row.is_real else row.origin].append(scene)
    for pool, scenes in pools.items():
        done.home |= _draw(scenes, seed, FEWEST_REAL_SCENES if pool == "real" else FEWEST_SYNTHETIC_SCENES)
    if len(pools.get("real", [])) < FEWEST_REAL_SCENES:
        done.warnings.append("There are too few real scenes to hold any out: the losses say nothing about new ones.")
    _fill(done, rows)
    return done


def _draw(scenes: Sequence[Scene], seed: int, fewest: int) -> dict[Scene, str]:
    order = sorted(scenes, key=lambda scene: hashlib.sha256(f"{seed}\0{scene[0]}\0{scene[1]}".encode()).digest())
    held = max(1, round(HELD_OUT_SHARE * len(order))) if len(order) >= fewest else 0
    names = ["test"] * held + ["validation"] * held
    return dict(zip(order, names + ["train"] * (len(order) - len(names)), strict=True))


def _fill(done: Split, rows: Sequence[Conversation]) -> None:
    held_out = {normalised(r) for row in rows if done.home_of(row) != "train" for r in row.replies}
    for row in rows:
        home = done.home_of(row)
        if home == "train" and any(normalised(r) in held_out for r in row.replies):
            done.dropped.append((row, "reply is held out"))
        elif home != "train" and row.origin == "lore" and not row.lore:
            done.dropped.append((row, "held-out lore that is not in the prompt"))
        else:
            done.rows[home].append(row)
