"""One fine-tuning run from a character's name to its adapter: reads, plans, trains or goes on, keeps the best, reports."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.callbacks import STATE_FOLDER, callbacks
from finetune.inputs import Inputs, read_inputs
from finetune.parallel import is_first_process, processes
from finetune.settings import FinetuneSettings
from persona.errors import PersonaError

if TYPE_CHECKING:
    from accelerate import Accelerator

    from finetune.plan import Reckoning
    from finetune.progress import Progress
    from finetune.report import Scores
    from finetune.state import State
    from finetune.training import Training

INTERRUPTED = 130
UNFINISHED = 75
"""The exit status after --max-minutes: EX_TEMPFAIL of sysexits.h, "try again"."""

AIM_STEPS = 200
MOST_EPOCHS = 6


def finetune(name: str, settings: FinetuneSettings, *, force: bool = False, plan_only: bool = False) -> int:
    """Train and write `runs/NAME/`: adapter, metrics.json, loss.png, report.html. Returns the exit status.

    A run that was interrupted goes on where it was last saved. `plan_only` stops before the first step.
    """
    from finetune.checkpoint import fingerprint, finished_metrics

    inputs = read_inputs(name, settings)
    mark = fingerprint(settings.to_dict(), inputs.base, inputs.digest, processes())
    done = None if force or plan_only else finished_metrics(inputs.place.run, mark)
    if done is not None and not _is_under_way(inputs.place.run / STATE_FOLDER, mark):
        from finetune.report import summary

        _say(f"unchanged: {inputs.place.adapter} was trained on these rows with these settings (--force trains again)")
        _say(*summary(done))
        return 0
    from finetune.parallel import start

    accelerator = start(settings, inputs.place.run)
    try:
        status = _train(name, settings, inputs, mark, accelerator, force=force, plan_only=plan_only)
        # Together: a process whose peer is gone already can abort while it takes the group down.
        accelerator.wait_for_everyone()
        return status
    finally:
        accelerator.end_training()


def _train(
    name: str,
    settings: FinetuneSettings,
    inputs: Inputs,
    mark: str,
    accelerator: "Accelerator",
    *,
    force: bool,
    plan_only: bool,
) -> int:
    from finetune.checkpoint import restore, trained_weights
    from finetune.interrupt import Deadline, stop_on_signals
    from finetune.loop import train
    from finetune.progress import Progress
    from finetune.results import write_results
    from finetune.schedule import rate
    from finetune.state import forget_states
    from finetune.validation import held_out, score

    quiet_libraries()
    states = inputs.place.run / STATE_FOLDER
    with stop_on_signals() as asked, Progress(mute=not is_first_process()) as progress, _alone(inputs):
        training = _prepare(name, settings, inputs, mark, accelerator, progress)
        _announce(training)
        saved = None if force or plan_only else _saved_before(training, states)
        if is_first_process() and not plan_only:
            forget_states(states, after=saved.step if saved else -1)
        groups = [held_out(rows, inputs.template) for rows in (inputs.real, inputs.synthetic, inputs.test)]

        def scores(*, test: bool = False) -> "Scores":
            from finetune.report import Scores

            real, made = (score(training.model, rows, accelerator, share=training.share) for rows in groups[:2])
            of_test = score(training.model, groups[2], accelerator, share=training.share) if test else None
            return Scores(real, made, of_test)

        reckoning = _rehearse(training)
        if not saved:
            began = time.perf_counter()
            training.history.before = scores(test=True)
            reckoning = _with_scoring(training, reckoning, time.perf_counter() - began)
        training.notes = reckoning.lines()
        for line in training.notes:
            progress.say(f"plan: {line}")
        if plan_only:
            return 0
        if settings.learning_rate == "find" and not saved:
            from finetune.rate import find_rate

            training.learning_rate, why = find_rate(training)
            training.notes.append(f"learning rate {training.learning_rate:.2g}: {why}")
            progress.say(training.notes[-1])
        if saved:
            training.go_on_from(saved)
            progress.say(f"going on after step {saved.step} of {training.steps}")
        else:
            progress.say(f"before training: {shown(training.history.before)}")
            training.call("evaluation")
        stop = Deadline(asked, settings.max_minutes)
        progress.begin(training.steps, training.position.step)
        early = _has_ended_early(training)
        for step in (
            ()
            if early
            else train(
                training.model,
                inputs.train,
                accelerator,
                training.plan,
                training.position,
                rate=lambda number: rate(settings.schedule, number, training.steps, training.learning_rate),
                share=training.share,
                seed=settings.seed,
                stop=stop,
            )
        ):
            training.history.steps.append(step)
            training.call("step")
            if step.ends_epoch:
                if training.history.add_epoch(scores()):
                    training.best = trained_weights(training.loaded.model)
                progress.say(f"epoch {step.epoch}: {shown(training.history.epochs[-1])}")
                training.call("evaluation")
                training.call("epoch")
                early = _has_ended_early(training)
            if early:
                break
            if step.number % settings.save_every == 0 or step.ends_epoch:
                training.call("checkpoint")
        finished = early or training.position.step == training.steps
        if not finished:
            training.call("checkpoint")
        if training.best:
            restore(training.loaded.model, training.best)
            training.history.test_after = scores(test=True).test
            if is_first_process():
                write_results(training, finished=finished)
        if finished:
            if is_first_process():
                forget_states(states, after=-1)
            return 0
        progress.say(
            f"stopped after step {training.position.step} of {training.steps}; to go on: {settings.command(name)}"
        )
        return INTERRUPTED if asked.is_set() else UNFINISHED


def _is_under_way(states: Path, mark: str) -> bool:
    """Whether the same run was begun again, with --force, and not ended."""
    return any(mark in file.read_text(encoding="utf-8", errors="replace") for file in states.glob("step-*/state.json"))


def _alone(inputs: Inputs) -> contextlib.AbstractContextManager[None]:
    """Hold the run folder, by the first process."""
    from finetune.lock import exclusive

    return exclusive(inputs.place.run) if is_first_process() else contextlib.nullcontext()


def _prepare(
    name: str,
    settings: FinetuneSettings,
    inputs: Inputs,
    mark: str,
    accelerator: "Accelerator",
    progress: "Progress",
) -> "Training":
    """The base with its adapter, and all that the settings leave open decided."""
    from finetune.loop import start
    from finetune.model import default_learning_rate, load
    from finetune.parallel import uses_bfloat16
    from finetune.report import History
    from finetune.rows import plan_epoch
    from finetune.sharing import shares_exactly
    from finetune.training import Training

    bfloat16 = uses_bfloat16(settings.dtype, accelerator.device)
    loaded = load(inputs.base, settings, accelerator.device, bfloat16=bfloat16)
    model = accelerator.prepare(loaded.model)
    lengths = [len(example.ids) for example in inputs.train]
    per_step = settings.batch_size * settings.gradient_accumulation * accelerator.num_processes
    epochs = settings.epochs or default_epochs(-(-len(lengths) // per_step))
    share = shares_exactly(loaded.model)
    order = [example.ids for example in inputs.train] if share else lengths
    return Training(
        name=name,
        settings=settings,
        inputs=inputs,
        fingerprint=mark,
        accelerator=accelerator,
        loaded=loaded,
        model=model,
        plan=[plan_epoch(order, seed=settings.seed, epoch=epoch, rows_per_step=per_step) for epoch in range(epochs)],
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


def _announce(training: "Training") -> None:
    inputs, loaded, accelerator, say = training.inputs, training.loaded, training.accelerator, training.progress.say
    size = loaded.parameters / 1e6
    named = f"{size:,.1f} M" if size < 1000 else f"{size / 1000:,.1f} B"
    where = accelerator.device.type + (f" x {accelerator.num_processes}" if accelerator.num_processes > 1 else "")
    say(f"base: {inputs.base.name}, {named} parameters, {loaded.quantization}, {loaded.dtype}, on {where}")
    epochs = f"{len(training.plan)} epochs of {len(training.plan[0])} steps, learning rate {training.learning_rate:g}"
    say(f"rows: {inputs.rows['train']} to train ({epochs}), {inputs.rows['validation']} held out")
    for note, count in list(inputs.notes.items())[:5]:
        say(f"in {count} rows: {note}")
    for reason in inputs.skipped[:5]:
        say(f"left out: {reason}")
    if len(inputs.skipped) > 5:
        say(f"left out: {len(inputs.skipped) - 5} more replies that do not fit {inputs.template.context} tokens")
    if not training.share:
        say("prompts are not shared: this base's layers cannot compute common beginnings once")


def _saved_before(training: "Training", states: Path) -> "State | None":
    """The state to go on from. Raises `PersonaError` where an unfinished run was made from something else."""
    from finetune.differences import differences
    from finetune.state import latest_state

    saved = latest_state(states, training.progress.say)
    if saved is None or saved.record.get("fingerprint") == training.fingerprint:
        return saved
    changed = "; ".join(differences(saved.record.get("made_from", {}), training.made_from()))
    raise PersonaError(
        f"An unfinished run stands at step {saved.step}, and something has changed since: {changed}.",
        where=str(states),
        fix="the old settings and data to go on with it, or --force to begin again",
    )


def _rehearse(training: "Training") -> "Reckoning":
    from finetune.plan import rehearse

    return rehearse(
        training.model,
        training.inputs.train,
        training.accelerator,
        training.plan,
        training.position,
        share=training.share,
    )


def _with_scoring(training: "Training", reckoning: "Reckoning", seconds: float) -> "Reckoning":
    """The reckoning with what the held-out lines took once."""
    from finetune.plan import peak_memory_bytes

    inputs, memory = training.inputs, peak_memory_bytes(training.accelerator)
    each_epoch = len(inputs.real) + len(inputs.synthetic)
    share = each_epoch / max(1, each_epoch + len(inputs.test))
    return replace(reckoning, memory_bytes=memory, scoring_seconds=seconds * share * len(training.plan))


def _has_ended_early(training: "Training") -> bool:
    from finetune.schedule import should_stop

    losses = [scores.loss for scores in training.history.epochs]
    known = [loss for loss in losses if loss is not None]
    patience = training.settings.patience
    return patience is not None and len(known) == len(losses) > 0 and should_stop(known, patience)


def quiet_libraries() -> None:
    """Keep what is no news off the screen: a bar for loading weights, and a warning that PEFT causes."""
    import warnings

    from transformers.utils import logging

    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)


def default_epochs(steps_per_epoch: int) -> int:
    """As many as make about `AIM_STEPS` steps, from 2 to `MOST_EPOCHS`: small data is soon known by heart."""
    return max(2, min(MOST_EPOCHS, round(AIM_STEPS / steps_per_epoch)))


def shown(scores: "Scores") -> str:
    """The losses of held-out lines in words."""
    named: Sequence[tuple[str, float | None]] = (("real lines", scores.real.loss), ("made rows", scores.synthetic.loss))
    texts = [f"{name} {loss:.3f}" for name, loss in named if loss is not None]
    return "held-out loss " + ", ".join(texts) if texts else "nothing is held out"


def _say(*lines: str) -> None:
    if is_first_process():
        print("\n".join(lines), flush=True)
