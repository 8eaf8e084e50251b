"""What a fine-tuning run can be told: each setting's type, default, unit and meaning, and the flags made from them."""

import argparse
import ast
import inspect
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from finetune.schedule import Schedule
from persona.errors import PersonaError

Quantization = Literal["auto", "nf4", "none"]
ComputeDtype = Literal["auto", "bfloat16", "float16", "float32"]
Parallel = Literal["auto", "ddp", "fsdp"]
Tracker = Literal["none", "tensorboard", "wandb", "trackio"]

OF_THE_MOMENT = frozenset({"save_every", "max_minutes", "tracker"})
"""Settings that change nothing about the result: another value is still the same run."""

_RANGES: dict[str, tuple[float, float]] = {
    "alpha": (1, 512),
    "dropout": (0.0, 0.5),
    "learning_rate": (1e-7, 0.1),
    "epochs": (1, 1000),
    "patience": (1, 1000),
    "forward_tokens": (256, 1_048_576),
    "save_every": (1, 1_000_000),
    "max_minutes": (0.01, 100_000),
    "batch_size": (1, 4096),
    "gradient_accumulation": (1, 4096),
    "context": (256, 1_048_576),
    "threads": (1, 1024),
    "seed": (0, 2**31 - 1),
}


@dataclass(frozen=True, slots=True)
class FinetuneSettings:
    """Becomes `peft.LoraConfig` and `BitsAndBytesConfig`. Raises `PersonaError` when a value is outside its range."""

    model: str = "persona-nano"
    """Base model: the built-in persona-nano, a local folder, or a Hub id such as Qwen/Qwen3-4B-Instruct-2507."""
    rank: Literal[8, 16, 32] = 16
    """Rank of the LoRA matrices (Hu et al., 2021); every serving engine takes these three."""
    alpha: int = 32
    """LoRA scale: the update is multiplied by alpha / rank."""
    dropout: float = 0.0
    """Share of LoRA inputs set to zero while training."""
    learning_rate: float | Literal["find"] | None = None
    """Highest learning rate, or `find` for a range test first (picture rate.png); default by the size of the base."""
    schedule: Schedule = "cosine"
    """How the learning rate goes after its warm-up: down like half a cosine, one_cycle, linear, or constant."""
    epochs: int | None = None
    """Passes over the data; default by the number of rows (printed). The best one on held-out lines is kept."""
    patience: int | None = None
    """Stop after so many epochs in a row without a lower held-out loss; default never."""
    batch_size: int = 8
    """Dialogues per optimizer step and process."""
    gradient_accumulation: int = 1
    """Times as many dialogues per optimizer step; trained tokens weigh the same however a step is cut."""
    forward_tokens: int = 4096
    """Tokens that go through the model at once, padding included: memory grows with them, the result stays."""
    context: int | None = None
    """Longest sequence in tokens; default what the base was made for."""
    quantization: Quantization = "auto"
    """How the frozen base is held: nf4 (4 bits; Dettmers et al., 2023) or none; auto: none where a GPU has room for it."""
    dtype: ComputeDtype = "auto"
    """Precision of the base's arithmetic (auto: what the hardware has units for); the adapter is trained in float32."""
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: less memory, about a third slower."""
    parallel: Parallel = "auto"
    """How several processes share the base: ddp holds it whole on each, fsdp a part of it; auto: ddp where one device has room."""
    deterministic: bool = False
    """Only repeatable kernels on a GPU, slower; a CPU run repeats bit for bit without it."""
    save_every: int = 50
    """Steps between two checkpoints, from which an interrupted run goes on."""
    max_minutes: float | None = None
    """Save and stop after so many minutes; the same command goes on. For machines that are lent for a time."""
    tracker: Tracker = "none"
    """Where the curves go besides the report: tensorboard, wandb or trackio, by accelerate."""
    threads: int | None = None
    """CPU threads per process; default all cores divided by the processes on this machine."""
    seed: int = 0
    """Draws the adapter's start, the order of the rows and dropout."""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if (value is None and type(None) in get_args(hints[name])) or value in _words(hints[name]):
                continue
            kinds = (int, float) if float in (hints[name], *get_args(hints[name])) else (int,)
            if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
                raise PersonaError(f"{name} is {value!r}.", fix=f"a number from {low:g} to {high:g}")
        for name, hint in hints.items():
            if get_origin(hint) is Literal and getattr(self, name) not in get_args(hint):
                raise PersonaError(f"{name} is {getattr(self, name)!r}.", fix=f"one of {_choices(hint)}")

    def command(self, name: str, processes: int) -> str:
        """What to type for the same run: in any folder, and with as many processes."""
        flags = []
        for setting in fields(self):
            value = getattr(self, setting.name)
            if value != setting.default:
                flag = "--" + setting.name.replace("_", "-")
                flags.append(flag if value is True else f"{flag} {shlex.quote(str(value))}")
        several = f"accelerate launch --num_processes {processes} {shlex.quote(str(Path(__file__).parent))}"
        start = "persona train" if processes == 1 else several
        return " ".join([start, shlex.quote(name), *flags])

    def to_dict(self) -> dict[str, Any]:
        """Name -> value, JSON-ready, in the order of the fields."""
        return asdict(self)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """One flag per setting: the field's name, type, default and the sentence under it."""
    meanings = _field_docs(FinetuneSettings)
    hints = get_type_hints(FinetuneSettings)
    for setting in fields(FinetuneSettings):
        flag, hint = "--" + setting.name.replace("_", "-"), hints[setting.name]
        shown = "" if setting.default is None or hint is bool else f" [{setting.default}]"
        help_text = meanings[setting.name].replace("%", "%%") + shown
        if hint is bool:
            parser.add_argument(flag, action="store_true", help=help_text)
        elif get_origin(hint) is Literal:
            choices = get_args(hint)
            parser.add_argument(flag, type=type(choices[0]), choices=choices, default=setting.default, help=help_text)
        else:
            kind = next(t for t in (*get_args(hint), hint) if t in (int, float, str))
            metavar = "|".join([*_words(hint), {int: "N", float: "X", str: "MODEL"}[kind]])
            names = [flag, "--lr"] if setting.name == "learning_rate" else [flag]
            read = partial(_number_or_word, kind=kind, words=_words(hint)) if _words(hint) else kind
            parser.add_argument(*names, type=read, default=setting.default, metavar=metavar, help=help_text)


def _words(hint: Any) -> tuple[str, ...]:
    """The words that may stand in the place of a number."""
    return tuple(word for each in get_args(hint) if get_origin(each) is Literal for word in get_args(each))


def _number_or_word(text: str, kind: type, words: Sequence[str]) -> Any:
    return text if text in words else kind(text)


def settings_from(arguments: argparse.Namespace) -> FinetuneSettings:
    """The settings among parsed arguments. Raises `PersonaError` when a value is outside its range."""
    return FinetuneSettings(**{setting.name: getattr(arguments, setting.name) for setting in fields(FinetuneSettings)})


def _choices(hint: Any) -> str:
    return ", ".join(str(choice) for choice in get_args(hint))


def _field_docs(cls: type) -> dict[str, str]:
    """Field name -> the string written under it, so that meaning and help text are one sentence in one place."""
    (definition,) = ast.parse(inspect.getsource(cls)).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: str(text.value.value)
        for field, text in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }
