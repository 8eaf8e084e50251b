"""A training under way: what its parts know together, and how it becomes a state on disk and comes back from one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

import torch

from finetune.checkpoint import Weights, restore, trained_weights
from finetune.inputs import Inputs, made_from
from finetune.loop import Position, Step
from finetune.parallel import is_sharded
from finetune.report import History, Score, Scores
from finetune.schedule import should_stop
from finetune.settings import FinetuneSettings
from finetune.state import State
from persona.errors import PersonaError

if TYPE_CHECKING:
    from accelerate import Accelerator

    from finetune.model import Loaded
    from finetune.plan import Plan
    from finetune.progress import Progress

Moment = Literal["step", "evaluation", "epoch", "checkpoint"]


@dataclass
class Training:
    """Everything that the callbacks of a run may look at."""

    name: str
    settings: FinetuneSettings
    inputs: Inputs
    fingerprint: str
    accelerator: "Accelerator"
    loaded: "Loaded"
    model: Any
    plan: "Plan"
    learning_rate: float
    share: bool
    position: Position
    progress: "Progress"
    history: History
    best: Weights = field(default_factory=dict)
    """The trained weights of the best epoch so far."""

    notes: list[str] = field(default_factory=list)
    """Sentences of the plan."""

    samples: list[tuple[str, str, str]] = field(default_factory=list)
    """(moment, question, answer)."""

    callbacks: Mapping[Moment, Sequence[Callable[["Training"], None]]] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return sum(map(len, self.plan))

    @property
    def scored_tokens(self) -> int:
        """Of a forward pass without gradients, which has room for twice as many as one with them."""
        return 2 * self.position.forward_tokens

    def has_ended_early(self) -> bool:
        """Whether so many epochs as `patience` says were no better than the best before them."""
        losses = [scores.loss for scores in self.history.epochs]
        known = [loss for loss in losses if loss is not None]
        patience = self.settings.patience
        return patience is not None and len(known) == len(losses) > 0 and should_stop(known, patience)

    def call(self, moment: Moment) -> None:
        """Tell everybody who wants to know that this moment has come."""
        for callback in self.callbacks.get(moment, ()):
            callback(self)

    def state(self) -> State:
        """All that a resumed run needs to end with the same bytes."""
        tensors = {f"adapter/{name}": weight for name, weight in trained_weights(self.loaded.model).items()}
        tensors |= {f"best/{name}": weight for name, weight in self.best.items()}
        for name, parameter in _trained(self.loaded.model):
            moments = self.position.optimizer.state.get(parameter, {})
            tensors |= {f"optimizer/{name}/{key}": value.detach().cpu() for key, value in moments.items()}
        # A number for each field of each step: as JSON, a hundred thousand of them would be long.
        steps = [astuple(step) for step in self.history.steps]
        tensors["steps/all"] = torch.tensor(steps, dtype=torch.float64).reshape(len(steps), len(fields(Step)))
        tensors["steps/memory"] = torch.tensor(self.history.memory, dtype=torch.int64)
        record = {
            "fingerprint": self.fingerprint,
            "made_from": made_from(self.settings, self.inputs),
            "learning_rate": self.learning_rate,
            "notes": self.notes,
            "forward_tokens": self.position.forward_tokens,
            "loss_scale": self.position.loss_scale,
            "steps_at_scale": self.position.steps_at_scale,
            "share": self.share,
            "dtype": self.loaded.dtype,
            "quantization": self.loaded.quantization,
            "parallel": "fsdp" if is_sharded(self.model) else "ddp",
            "before": asdict(self.history.before),
            "epochs": [asdict(scores) for scores in self.history.epochs],
            "best_epoch": self.history.best_epoch,
            "samples": self.samples,
        }
        return State(self.position.step, tensors, record)

    def go_on_from(self, state: State) -> None:
        """Put everything back as it was when the state was saved. Raises `PersonaError` where it is none of a training."""
        try:
            self._put_back(state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise PersonaError(
                f"The saved state of step {state.step} does not fit this training: {error}",
                fix="--force begins again",
            ) from error

    def _put_back(self, state: State) -> None:
        groups: dict[str, dict[str, Any]] = {"adapter": {}, "best": {}, "optimizer": {}, "steps": {}}
        for key, tensor in state.tensors.items():
            group, _, name = key.partition("/")
            groups[group][name] = tensor
        restore(self.loaded.model, groups["adapter"])
        self.best = groups["best"]
        for name, parameter in _trained(self.loaded.model):
            moments = {key: groups["optimizer"].get(f"{name}/{key}") for key in ("step", "exp_avg", "exp_avg_sq")}
            self.position.optimizer.state[parameter] = {
                # The count of steps stays in main memory, as AdamW keeps it.
                key: tensor.to(parameter.device) if tensor.ndim else tensor
                for key, tensor in moments.items()
                if tensor is not None
            }
        self.position.step = state.step
        self.learning_rate, self.notes = state.record["learning_rate"], list(state.record["notes"])
        self.position.forward_tokens = state.record["forward_tokens"]
        if state.record.get("dtype") == self.loaded.dtype:  # On another machine, the scale of what it computes in.
            self.position.loss_scale = state.record["loss_scale"]
            self.position.steps_at_scale = state.record["steps_at_scale"]
        self.samples = [tuple(each) for each in state.record["samples"]]
        kinds = get_type_hints(Step).values()
        self.history = History(
            before=_scores(state.record["before"]),
            steps=[
                Step(*(kind(x) for kind, x in zip(kinds, row, strict=True))) for row in groups["steps"]["all"].tolist()
            ],
            memory=groups["steps"]["memory"].tolist(),
            epochs=[_scores(scores) for scores in state.record["epochs"]],
            best_epoch=state.record["best_epoch"],
        )


def _trained(model: Any) -> list[tuple[str, Any]]:
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def _scores(told: Mapping[str, Any]) -> Scores:
    return Scores(*(None if told[key] is None else Score(**told[key]) for key in ("real", "synthetic", "test")))  # type: ignore[arg-type]
