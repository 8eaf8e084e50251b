"""What a run says about itself: metrics.json, the model card beside the weights, and the last lines on the screen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import TYPE_CHECKING, Any

from persona.base import NANO, Base
from persona.card import CharacterCard

if TYPE_CHECKING:
    from finetune.loop import Step


@dataclass(frozen=True, slots=True)
class Score:
    """Sums over held-out rows: nats and tokens of all trained tokens, nats and UTF-8 bytes of the replies' text."""

    nats: float
    tokens: int
    text_nats: float
    bytes: int

    @property
    def loss(self) -> float | None:
        """Nats per trained token, the ends of turns included; None where there are no rows."""
        return self.nats / self.tokens if self.tokens else None

    @property
    def bits_per_byte(self) -> float | None:
        """Bits per byte of reply text, without the ends of turns, which have no bytes: comparable between bases."""
        return self.text_nats / log(2) / self.bytes if self.bytes else None


@dataclass(frozen=True, slots=True)
class Scores:
    """One moment's scores: held-out lines that the author wrote, and made ones apart; `test` at the beginning and end."""

    real: Score
    synthetic: Score
    test: Score | None = None

    @property
    def loss(self) -> float | None:
        """The loss that chooses the epoch: of all held-out lines together, the voice and the facts; None without any."""
        return Score(self.real.nats + self.synthetic.nats, self.real.tokens + self.synthetic.tokens, 0.0, 0).loss

    def shown(self) -> str:
        """The losses in words."""
        named = (("real lines", self.real.loss), ("made rows", self.synthetic.loss))
        texts = [f"{name} {loss:.3f}" for name, loss in named if loss is not None]
        return "held-out loss " + ", ".join(texts) if texts else "nothing is held out"


NOTHING_SCORED = Scores(Score(0.0, 0, 0.0, 0), Score(0.0, 0, 0.0, 0))


@dataclass(slots=True)
class History:
    """What happened so far: every step, and the scores before the first one and after each epoch."""

    before: Scores = NOTHING_SCORED
    steps: "list[Step]" = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    """Bytes held at each step (see `finetune.callbacks.note_memory`); no part of what the training comes to."""

    epochs: list[Scores] = field(default_factory=list)
    best_epoch: int = 0
    test_after: Score | None = None

    def add_epoch(self, scores: Scores) -> bool:
        """Note an epoch's scores; whether it is the best one yet (the newest, where nothing is held out)."""
        self.epochs.append(scores)
        best = self.epochs[self.best_epoch - 1].loss if self.best_epoch else None
        if best is not None and scores.loss is not None and scores.loss >= best:
            return False
        self.best_epoch = len(self.epochs)
        return True

    @property
    def best(self) -> Scores:
        """The scores of the epoch that is kept."""
        return self.epochs[self.best_epoch - 1]


def metrics_of(history: History, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a run, JSON-ready; `facts` are added at the end.

    Losses are nats per trained token, ends of turns included; bits per byte are over the text of replies alone.
    Before is the base and after the kept epoch, on the same rows with the same prompts. `trained_tokens`,
    `logical_tokens` and `physical_tokens` are summed over all epochs: those the loss is taken over, those of all
    sequences, and those that went through the forward pass, padding included. `seconds` is the time from the first
    step to the last without the validation between epochs.
    """
    steps = history.steps
    seconds = sum(step.seconds for step in steps)
    physical, logical = sum(step.physical_tokens for step in steps), sum(step.logical_tokens for step in steps)
    return {
        **_before_after("validation", history.before.real, history.best.real),
        **_before_after("synthetic_validation", history.before.synthetic, history.best.synthetic),
        **_before_after("test", history.before.test, history.test_after),
        "best_epoch": history.best_epoch,
        "epochs": len(history.epochs),
        "steps": len(steps),
        "trained_tokens": sum(step.trained_tokens for step in steps),
        "logical_tokens": logical,
        "physical_tokens": physical,
        "tokens_per_second": round(physical / seconds, 1),
        "logical_tokens_per_second": round(logical / seconds, 1),
        "seconds": round(seconds, 2),
        "validation_losses": [scores.real.loss for scores in history.epochs],
        **facts,
    }


def _before_after(name: str, before: Score | None, after: Score | None) -> dict[str, Any]:
    moments = {"before": before, "after": after}
    losses = {f"{name}_loss_{moment}": score.loss if score else None for moment, score in moments.items()}
    bits = {f"{name}_bits_per_byte_{m}": score.bits_per_byte if score else None for m, score in moments.items()}
    return losses | bits | {f"{name}_tokens": before.tokens if before else 0}


def summary(metrics: Mapping[str, Any]) -> list[str]:
    """The losses before and after in a few lines, and how fast it went."""
    lines = []
    for name, meaning in (("validation", "held-out real lines"), ("synthetic_validation", "held-out made rows")):
        before, after = metrics[f"{name}_loss_before"], metrics[f"{name}_loss_after"]
        if before is not None and after is not None:
            change = f"{100 * (after / before - 1):+.1f} %"
            lines.append(
                f"{meaning}: loss {before:.3f} -> {after:.3f} nats per token ({change}), {metrics[name + '_tokens']} tokens"
            )
    if not lines:
        lines.append("nothing is held out, so the loss on new lines is unknown")
    speed = f"{metrics['trained_tokens']:,} trained tokens in {metrics['seconds']:.0f} s, {metrics['tokens_per_second']:,.0f} tokens/s"
    return [*lines, f"kept epoch {metrics['best_epoch']} of {metrics['epochs']}; {speed}"]


def model_card(card: CharacterCard, base: Base, metrics: Mapping[str, Any], rows: Mapping[str, int]) -> str:
    """README.md of the adapter, in the Hub's form."""
    base_id = f"base_model: {base.name}\n" if base.revision else ""
    creator = f" by {card.creator}" if card.creator else ""
    load = "the folder `persona/nano` of the project" if base.name == NANO else f"`{base.name}`"
    licence = (
        "The base's data and licences are in the model card in `persona/nano`."
        if base.name == NANO
        else f"The licence of {base.name} holds for what is built on it."
    )
    counts = ", ".join(f"{count} {name}" for name, count in rows.items())
    settings = metrics["settings"]
    return f"""---
{base_id}library_name: peft
pipeline_tag: text-generation
tags: [lora, character, roleplay]
---

# {card.name}, a LoRA adapter

The voice of {card.name}, a character{creator}. {card.name} is an AI character: whoever talks with it should be told so.

- Base: {base.name}{f" at {base.revision}" if base.revision else ""}, held in {metrics["quantization"]} while training.
- Data: {counts} dialogues, split by scene and source. Rank {settings["rank"]}, alpha {settings["alpha"]}, learning rate {metrics["learning_rate"]:g}, {metrics["epochs"]} epochs, of which number {metrics["best_epoch"]} is kept.
{_score_lines(metrics)}
- Files: PEFT weights and configuration, `card.json` (Character Card V3 with its lorebook), `contract.json` (which prompt these weights expect), `finetune.json` (all settings).

It speaks as it was trained when its prompt holds the card and the lore: `persona chat` and `persona serve` see to that. In plain PEFT:
`PeftModel.from_pretrained(base_model, folder)`, with {load} as the base.

## Licence and limits

{licence} The card, the lore and the lines belong to the character's author.
What it says is made up: it can be wrong, and it can offend. Do not use it as advice, or to imitate a living person.
"""


def _score_lines(metrics: Mapping[str, Any]) -> str:
    return "\n".join(f"- {line[0].upper()}{line[1:]}." for line in summary(metrics)[:-1])


def losses(history: History) -> dict[str, Sequence[float]]:
    """Validation losses by kind of row, the one before training first; kinds that nothing is held out of are left out."""
    moments = [history.before, *history.epochs]
    kinds = {
        "real lines": [scores.real.loss for scores in moments],
        "made rows": [scores.synthetic.loss for scores in moments],
    }
    return {kind: [x for x in values if x is not None] for kind, values in kinds.items() if values[0] is not None}
