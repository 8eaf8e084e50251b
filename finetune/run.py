"""One fine-tuning run from a character's name to its adapter: reads what there is, trains, keeps the best, reports."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from finetune.inputs import Inputs, read_inputs
from finetune.parallel import is_first_process, processes
from finetune.settings import FinetuneSettings
from persona.contract import Contract
from persona.files import write_json, write_jsonl

if TYPE_CHECKING:
    from accelerate import Accelerator

    from finetune.model import Loaded
    from finetune.progress import Progress
    from finetune.report import History, Scores

INTERRUPTED = 130
AIM_STEPS = 200
MOST_EPOCHS = 6

ROW_LOSSES_FILE = "row_losses.jsonl"
ROWS_SCORED = 2_000
"""Of the trained rows, at most, once at the end."""


def finetune(name: str, settings: FinetuneSettings, *, force: bool = False) -> int:
    """Train and write `runs/NAME/`: adapter, metrics.json, loss.png. Returns the exit status."""
    from finetune.checkpoint import fingerprint, finished_metrics

    inputs = read_inputs(name, settings)
    mark = fingerprint(settings.to_dict(), inputs.base, inputs.digest, processes())
    done = None if force else finished_metrics(inputs.place.run, mark)
    if done is not None:
        from finetune.report import summary

        _say(f"unchanged: {inputs.place.adapter} was trained on these rows with these settings (--force trains again)")
        _say(*summary(done))
        return 0
    from finetune.parallel import start

    accelerator = start(settings)
    try:
        status = _train(name, settings, inputs, mark, accelerator)
        # Together: a process whose peer is gone already can abort while it takes the group down.
        accelerator.wait_for_everyone()
        return status
    finally:
        accelerator.end_training()


def _train(name: str, settings: FinetuneSettings, inputs: Inputs, mark: str, accelerator: "Accelerator") -> int:
    from finetune.checkpoint import restore, trained_weights
    from finetune.interrupt import stop_on_signals
    from finetune.loop import train
    from finetune.model import default_learning_rate, load
    from finetune.parallel import uses_bfloat16
    from finetune.progress import Progress
    from finetune.report import History
    from finetune.validation import row_losses

    quiet_libraries()
    loaded = load(inputs.base, settings, accelerator.device, bfloat16=uses_bfloat16(settings.dtype, accelerator.device))
    model = accelerator.prepare(loaded.model)
    rows_per_step = settings.batch_size * settings.gradient_accumulation * accelerator.num_processes
    steps_per_epoch = -(-len(inputs.train) // rows_per_step)
    epochs = settings.epochs or default_epochs(steps_per_epoch)
    rate = settings.learning_rate or default_learning_rate(loaded.parameters)
    total = epochs * steps_per_epoch
    validation = _Validation(inputs, accelerator)
    with stop_on_signals() as stop, Progress(total, mute=not is_first_process()) as progress:
        _announce(
            progress, inputs, loaded, accelerator, f"{epochs} epochs of {steps_per_epoch} steps, learning rate {rate:g}"
        )
        history = History(before=validation.scores(model, test=True))
        progress.say(f"before training: {_shown(history.before)}")
        best: dict[str, Any] = {}
        for step in train(
            model,
            inputs.train,
            accelerator,
            epochs=epochs,
            batch_size=settings.batch_size,
            gradient_accumulation=settings.gradient_accumulation,
            peak_rate=rate,
            seed=settings.seed,
            stop=stop,
        ):
            history.steps.append(step)
            progress.step(step)
            if step.ends_epoch:
                if history.add_epoch(validation.scores(model)):
                    best = trained_weights(loaded.model)
                progress.say(f"epoch {step.epoch}: {_shown(history.epochs[-1])}")
        finished = len(history.steps) == total
        if not best:
            progress.say(
                f"stopped at step {len(history.steps)}, before the first epoch was scored: nothing was written"
            )
            progress.say(f"to begin again: accelerate launch finetune {name}")
            return INTERRUPTED
        restore(loaded.model, best)
        history.test_after = validation.scores(model, test=True).test
        if is_first_process():
            _write_row_losses(inputs, row_losses(model, inputs.train[:ROWS_SCORED], accelerator))
            facts = _facts(settings, inputs, loaded, accelerator, mark) | {"learning_rate": rate, "finished": finished}
            write_results(inputs, loaded, history, facts, progress)
        if not finished:
            progress.say(f"stopped at step {len(history.steps)} of {total}: epoch {history.best_epoch} is saved")
            progress.say(f"to train to the end: accelerate launch finetune {name}")
    return 0 if finished else INTERRUPTED


def quiet_libraries() -> None:
    """Keep what is no news off the screen: a bar for loading weights, and a warning that PEFT causes."""
    import warnings

    from transformers.utils import logging

    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)


def default_epochs(steps_per_epoch: int) -> int:
    """As many as make about `AIM_STEPS` steps, from 2 to `MOST_EPOCHS`: small data is soon known by heart."""
    return max(2, min(MOST_EPOCHS, round(AIM_STEPS / steps_per_epoch)))


class _Validation:
    """The held-out rows, prepared once and scored again and again."""

    def __init__(self, inputs: Inputs, accelerator: "Accelerator") -> None:
        from finetune.validation import held_out

        groups = (inputs.real, inputs.synthetic, inputs.test)
        self.real, self.synthetic, self.test = (held_out(rows, inputs.template) for rows in groups)
        self.accelerator = accelerator

    def scores(self, model: Any, *, test: bool = False) -> "Scores":
        from finetune.report import Scores
        from finetune.validation import score

        real, synthetic = (score(model, rows, self.accelerator) for rows in (self.real, self.synthetic))
        return Scores(real, synthetic, score(model, self.test, self.accelerator) if test else None)


def write_results(
    inputs: Inputs, loaded: "Loaded", history: "History", facts: dict[str, Any], progress: "Progress"
) -> None:
    """The adapter folder, then metrics.json and loss.png beside it, and where they are on the screen."""
    from finetune.checkpoint import save_adapter
    from finetune.picture import draw_losses
    from finetune.report import losses, metrics_of, model_card, summary

    metrics, place = metrics_of(history, facts), inputs.place
    kept = (
        "settings",
        "learning_rate",
        "epochs",
        "best_epoch",
        "base",
        "quantization",
        "dtype",
        "finished",
        "fingerprint",
    )
    save_adapter(
        place.adapter,
        loaded.model,
        base=inputs.base,
        card=inputs.card,
        contract=Contract.of(inputs.base, inputs.template, quantization=loaded.quantization),
        record={key: metrics[key] for key in kept},
        model_card=model_card(inputs.card, inputs.base, metrics, inputs.rows),
    )
    write_json(place.run / "metrics.json", metrics)
    ends = [step.number for step in history.steps if step.ends_epoch]
    draw_losses(
        place.run / "loss.png",
        title=f"{inputs.card.name} on {inputs.base.name.rsplit('/', 1)[-1]}",
        training=[step.loss for step in history.steps],
        epoch_ends=ends,
        validation=losses(history),
        kept_epoch=history.best_epoch,
    )
    for line in [
        *summary(metrics),
        f"adapter: {place.adapter}",
        f"numbers: {place.run / 'metrics.json'}, picture: loss.png",
    ]:
        progress.say(line)


def _facts(
    settings: FinetuneSettings, inputs: Inputs, loaded: "Loaded", accelerator: "Accelerator", mark: str
) -> dict[str, Any]:
    return {
        "peak_memory_bytes": peak_memory_bytes(accelerator),
        "base": inputs.base.name,
        "base_revision": inputs.base.revision,
        "base_parameters": loaded.parameters,
        "quantization": loaded.quantization,
        "dtype": loaded.dtype,
        "device": accelerator.device.type,
        "processes": accelerator.num_processes,
        "rows": inputs.rows,
        "rows_digest": inputs.digest,
        "skipped_replies": len(inputs.skipped),
        "prompt_notes": inputs.notes,
        "settings": settings.to_dict(),
        "fingerprint": mark,
    }


def _write_row_losses(inputs: Inputs, losses: Mapping[str, float]) -> None:
    """What `python -m data review` shows first: a line that stays improbable is often somebody else's."""
    worst = sorted(losses.items(), key=lambda pair: (-pair[1], pair[0]))
    write_jsonl(inputs.place.run / ROW_LOSSES_FILE, [{"id": id, "loss": round(loss, 4)} for id, loss in worst])


def peak_memory_bytes(accelerator: "Accelerator") -> int:
    """The most memory this process held: on the GPU where it trains on one, else in main memory."""
    import torch

    if accelerator.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _announce(progress: "Progress", inputs: Inputs, loaded: "Loaded", accelerator: "Accelerator", plan: str) -> None:
    size = loaded.parameters / 1e6
    shown = f"{size:,.1f} M" if size < 1000 else f"{size / 1000:,.1f} B"
    where = accelerator.device.type + (f" x {accelerator.num_processes}" if accelerator.num_processes > 1 else "")
    progress.say(f"base: {inputs.base.name}, {shown} parameters, {loaded.quantization}, {loaded.dtype}, on {where}")
    progress.say(f"rows: {inputs.rows['train']} to train ({plan}), {inputs.rows['validation']} held out")
    for note, count in list(inputs.notes.items())[:5]:
        progress.say(f"in {count} rows: {note}")
    for reason in inputs.skipped[:5]:
        progress.say(f"left out: {reason}")
    if len(inputs.skipped) > 5:
        progress.say(
            f"left out: {len(inputs.skipped) - 5} more replies that do not fit {inputs.template.context} tokens"
        )


def _shown(scores: "Scores") -> str:
    named: Sequence[tuple[str, float | None]] = (("real lines", scores.real.loss), ("made rows", scores.synthetic.loss))
    texts = [f"{name} {loss:.3f}" for name, loss in named if loss is not None]
    return "held-out loss " + ", ".join(texts) if texts else "nothing is held out"


def _say(*lines: str) -> None:
    if is_first_process():
        print("\n".join(lines), flush=True)
