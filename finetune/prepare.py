"""What a run decides before its first step: how the base is held and shared out, the order of rows, where it goes on."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.callbacks import callbacks
from finetune.inputs import Inputs, made_from
from finetune.parallel import is_sharded
from finetune.settings import FinetuneSettings
from persona.errors import PersonaError

if TYPE_CHECKING:
    from accelerate import Accelerator

    from finetune.progress import Progress
    from finetune.state import State
    from finetune.training import Training

AIM_STEPS = 200
MOST_EPOCHS = 4


def prepare(
    name: str,
    settings: FinetuneSettings,
    inputs: Inputs,
    mark: str,
    accelerator: "Accelerator",
    progress: "Progress",
    saved: "State | None",
) -> "Training":
    """The base with its adapter, and all that the settings leave open decided: as in the run to go on with, if any."""
    from finetune.encoded import OnAccess
    from finetune.loop import start
    from finetune.model import default_learning_rate, hold
    from finetune.parallel import compute_dtype, least
    from finetune.parts import prepared
    from finetune.report import History
    from finetune.rows import plan_epoch
    from finetune.sharing import shares_exactly
    from finetune.training import Training

    dtype = compute_dtype(settings.dtype, accelerator.device)
    before = saved.record if saved else {}
    holding = hold(inputs.base, settings, accelerator, dtype=dtype, before=before.get("quantization"))
    way = before.get("parallel")
    loaded, model = prepared(inputs.base, settings, accelerator, dtype=dtype, holding=holding, before=way)
    rows = range(len(inputs.train))
    per_step = settings.batch_size * settings.gradient_accumulation * accelerator.num_processes
    epochs = settings.epochs or default_epochs(-(-len(rows) // per_step))
    share = bool(least(accelerator, shares_exactly(loaded.model))) and before.get("share", True)
    likeness = (
        OnAccess(rows, lambda row: inputs.train[row].ids) if share else [len(inputs.train[row].ids) for row in rows]
    )
    return Training(
        name=name,
        settings=settings,
        inputs=inputs,
        fingerprint=mark,
        accelerator=accelerator,
        loaded=loaded,
        model=model,
        plan=[plan_epoch(likeness, seed=settings.seed, epoch=epoch, rows_per_step=per_step) for epoch in range(epochs)],
        learning_rate=(
            settings.learning_rate
            if isinstance(settings.learning_rate, float)
            else default_learning_rate(loaded.parameters)
        ),
        share=share,
        position=start(loaded.model, settings.forward_tokens),
        progress=progress,
        history=History(),
        callbacks=callbacks(settings),
    )


def default_epochs(steps_per_epoch: int) -> int:
    """As many as make about `AIM_STEPS` steps, from 2 to `MOST_EPOCHS`: small data is soon known by heart."""
    return max(2, min(MOST_EPOCHS, round(AIM_STEPS / steps_per_epoch)))


def announce(training: "Training") -> None:
    """Say what is trained on what."""
    inputs, loaded, accelerator, say = training.inputs, training.loaded, training.accelerator, training.progress.say
    size = loaded.parameters / 1e6
    named = f"{size:,.1f} M" if size < 1000 else f"{size / 1000:,.1f} B"
    where = accelerator.device.type + (f" x {accelerator.num_processes}" if accelerator.num_processes > 1 else "")
    where += ", a part of it on each" if is_sharded(training.model) else ""
    say(f"base: {inputs.base.name}, {named} parameters, {loaded.quantization}, {loaded.dtype}, on {where}")
    if loaded.why:
        say(f"{loaded.quantization}: {loaded.why}")
    epochs = f"{len(training.plan)} epochs of {len(training.plan[0])} steps, learning rate {training.learning_rate:g}"
    say(f"rows: {inputs.rows['train']} to train ({epochs}), {inputs.rows['validation']} held out")
    for note, count in list(inputs.notes.items())[:5]:
        say(f"in {count} rows: {note}")
    for reason in inputs.skipped[:5]:
        say(f"left out: {reason}")
    if len(inputs.skipped) > 5:
        say(f"left out: {len(inputs.skipped) - 5} more replies that do not fit {inputs.template.context} tokens")
    if training.settings.patience is not None and not (inputs.real or inputs.synthetic):
        say("--patience waits in vain: nothing is held out, so no epoch is better than another")
    if not training.share:
        say("prompts are not shared: this base's layers cannot compute common beginnings once")


def saved_before(
    states: Path, settings: FinetuneSettings, inputs: Inputs, mark: str, say: Callable[[str], None]
) -> "State | None":
    """The state to go on from. Raises `PersonaError` where an unfinished run was made from something else."""
    from finetune.differences import differences
    from finetune.state import latest_state

    saved = latest_state(states, say)
    if saved is None or saved.record.get("fingerprint") == mark:
        return saved
    changed = "; ".join(differences(saved.record.get("made_from", {}), made_from(settings, inputs)))
    raise PersonaError(
        f"An unfinished run stands at step {saved.step}, and something has changed since: {changed}.",
        where=str(states),
        fix="the old settings and data to go on with it, or --force to begin again",
    )


def quiet_libraries() -> None:
    """Keep what is no news off the screen: a bar for loading weights, and a warning that PEFT causes."""
    import warnings

    from transformers.utils import logging

    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)


def cache_fewer_kernels() -> None:
    """Have oneDNN keep 128 compiled products on a CPU instead of 1,024: every length of a dialogue makes new ones.

    They are small, but lie in the way of large pieces. Measured with the built-in base over 51 steps, together with
    `finetune.callbacks.release_memory` every 25: 1.7 GiB at most instead of 2.3 and still growing; compiling again takes
    1.3 % more time. It reads this at the first product, which is yet to come.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
