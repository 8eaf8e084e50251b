"""One fine-tuning run from a character's name to its adapter: reads, plans, trains or goes on, keeps the best, reports."""

import contextlib
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.callbacks import STATE_FOLDER, start_tracker
from finetune.inputs import Inputs, read_inputs
from finetune.parallel import check_launch, is_first_process, processes
from finetune.settings import FinetuneSettings
from persona.errors import PersonaError

if TYPE_CHECKING:
    from accelerate import Accelerator

    from finetune.loop import Stop
    from finetune.report import Score, Scores
    from finetune.state import State
    from finetune.training import Training
    from persona.prompt import Example

INTERRUPTED = 130
UNFINISHED = 75
"""The exit status after --max-minutes: EX_TEMPFAIL of sysexits.h, "try again"."""


def finetune(name: str, settings: FinetuneSettings, *, force: bool = False, plan_only: bool = False) -> int:
    """Train and write `runs/NAME/`: adapter, metrics.json, loss.png, report.html. Returns the exit status.

    A run that was interrupted goes on where it was last saved. `plan_only` stops before the first step.
    """
    from finetune.checkpoint import fingerprint, finished_metrics

    began = time.monotonic()
    check_launch(settings)
    inputs = read_inputs(name, settings)
    mark = fingerprint(settings.to_dict(), inputs.base, inputs.digest, processes())
    done = None if force or plan_only else finished_metrics(inputs.place.run, mark)
    if done is not None and not _is_under_way(inputs.place.run / STATE_FOLDER, mark):
        from finetune.report import summary

        _clear(inputs)
        _say(f"unchanged: {inputs.place.adapter} was trained on these rows with these settings (--force trains again)")
        _say(*summary(done))
        return 0
    import torch

    from finetune.parallel import start

    accelerator = start(settings, inputs.place.run)
    try:
        status = _train(name, settings, inputs, mark, accelerator, began, force=force, plan_only=plan_only)
        # Together: a process whose peer is gone already can abort while it takes the group down.
        accelerator.wait_for_everyone()
        return status
    except (torch.OutOfMemoryError, MemoryError) as error:  # where no smaller pass could help, as in reading the base
        raise PersonaError(
            "There is not enough memory for this base beside what else is running.",
            where=str(accelerator.device),
            fix=f"persona doctor --model {settings.model} says what fits; end other programs, or take a smaller base",
        ) from error
    finally:
        accelerator.end_training()


def _train(
    name: str,
    settings: FinetuneSettings,
    inputs: Inputs,
    mark: str,
    accelerator: "Accelerator",
    began: float,
    *,
    force: bool,
    plan_only: bool,
) -> int:
    from finetune.interrupt import Deadline, stop_on_signals
    from finetune.prepare import announce, cache_fewer_kernels, prepare, quiet_libraries, saved_before
    from finetune.progress import Progress
    from finetune.state import forget_states

    quiet_libraries()
    cache_fewer_kernels()
    states = inputs.place.run / STATE_FOLDER
    with stop_on_signals() as asked, Progress(mute=not is_first_process()) as progress, _alone(inputs):
        stop = Deadline(asked, settings.max_minutes, began)
        saved = None if force or plan_only else saved_before(states, settings, inputs, mark, progress.say)
        training = prepare(name, settings, inputs, mark, accelerator, progress, saved)
        announce(training)
        if is_first_process() and not plan_only:
            forget_states(states, after=saved.step if saved else -1)
        _plan(training, saved.step if saved else 0)
        if plan_only:
            return 0
        if _begin(training, saved, stop):
            finished = _take_steps(training, stop)
            _end(training, finished=finished)
            if finished:
                if is_first_process():
                    forget_states(states, after=-1)
                return 0
        stopped = f"stopped after step {training.position.step} of {training.steps}"
        progress.say(f"{stopped}; to go on: {settings.command(name, processes())}")
        return INTERRUPTED if asked.is_set() else UNFINISHED


def _plan(training: "Training", done: int) -> None:
    """Try the heaviest steps after those that are `done`, and before the first one the held-out lines; say what it takes."""
    from finetune.plan import rehearse, surroundings, with_scoring

    reckoning = rehearse(
        training.model,
        training.inputs.train,
        training.accelerator,
        training.plan,
        training.position,
        share=training.share,
        done=done,
    )
    if not done:
        began = time.perf_counter()
        training.history.before = _scores(training, test=True)
        reckoning = with_scoring(training, reckoning, time.perf_counter() - began)
    for line in chain(reckoning.lines(), surroundings(training)):
        training.notes.append(line)
        training.progress.say(f"plan: {line}")


def _begin(training: "Training", saved: "State | None", stop: "Stop") -> bool:
    """Go on where a saved run stood, or find the learning rate where that is asked for, and answer the first samples.

    False where it was stopped before it had a learning rate.
    """
    if training.settings.tracker != "none":
        start_tracker(training)
    if saved:
        training.go_on_from(saved)
        training.progress.say(f"going on after step {saved.step} of {training.steps}")
        return True
    if training.settings.learning_rate == "find":
        from finetune.rate import find_rate

        found = find_rate(training, stop)
        if found is None:
            return False
        training.learning_rate, why = found
        training.notes.append(f"learning rate {training.learning_rate:.2g}: {why}")
        training.progress.say(training.notes[-1])
    training.progress.say(f"before training: {training.history.before.shown()}")
    training.call("evaluation")
    return True


def _take_steps(training: "Training", stop: "Stop") -> bool:
    """Train until the plan's end, or until the epochs get no better, or until `stop`; whether it is finished."""
    from finetune.checkpoint import trained_weights
    from finetune.loop import train
    from finetune.schedule import rate

    settings, history = training.settings, training.history
    training.progress.begin(training.steps, training.position.step)
    if training.has_ended_early():
        return True
    for step in train(
        training.model,
        training.inputs.train,
        training.accelerator,
        training.plan,
        training.position,
        rate=lambda number: rate(settings.schedule, number, training.steps, training.learning_rate),
        share=training.share,
        seed=settings.seed,
        stop=stop,
    ):
        history.steps.append(step)
        training.call("step")
        if step.ends_epoch:
            if history.add_epoch(_scores(training)):
                training.best = trained_weights(training.loaded.model)
            training.progress.say(f"epoch {step.epoch}: {history.epochs[-1].shown()}")
            training.call("evaluation")
            training.call("epoch")
            if training.has_ended_early():
                return True
        if step.number % settings.save_every == 0 or step.ends_epoch:
            training.call("checkpoint")
    finished = training.position.step == training.steps
    if not finished:
        training.call("checkpoint")
    return finished


def _end(training: "Training", *, finished: bool) -> None:
    """Put the best weights back, score what chooses nothing, and write all that a run leaves."""
    from finetune.checkpoint import restore
    from finetune.results import ROWS_SCORED, write_results
    from finetune.validation import Worst, worst_replies

    scored: dict[str, Worst] = {}
    if training.best:
        restore(training.loaded.model, training.best)
    if training.best and finished:  # Who stops a run has no time for more.
        training.history.test_after = _scores(training, test=True).test
        rows = training.inputs.train
        scored = worst_replies(
            training.model,
            [rows[number] for number in range(0, len(rows), -(-len(rows) // ROWS_SCORED))],
            training.accelerator,
            training.inputs.template,
            share=training.share,
            forward_tokens=training.scored_tokens,
        )
    if is_first_process():
        write_results(training, scored, finished=finished)


def _scores(training: "Training", *, test: bool = False) -> "Scores":
    """Of the held-out lines: those that an author wrote, made ones, and with `test` the part that chooses nothing."""
    from finetune.report import Scores
    from finetune.validation import held_out, score

    def of(rows: "Sequence[Example]") -> "Score":
        lines = held_out(rows, training.inputs.template)
        return score(
            training.model, lines, training.accelerator, share=training.share, forward_tokens=training.scored_tokens
        )

    inputs = training.inputs
    return Scores(of(inputs.real), of(inputs.synthetic), of(inputs.test) if test else None)


def _is_under_way(states: Path, mark: str) -> bool:
    """Whether the same run was begun again, with --force, and not ended."""
    return any(mark in file.read_text(encoding="utf-8", errors="replace") for file in states.glob("step-*/state.json"))


def _clear(inputs: Inputs) -> None:
    """Remove what a run has left that was killed while it removed its states, unless another trainer is at work here."""
    from finetune.state import forget_leftovers

    if is_first_process():
        with contextlib.suppress(PersonaError), _alone(inputs):
            forget_leftovers(inputs.place.run / STATE_FOLDER)


def _alone(inputs: Inputs) -> contextlib.AbstractContextManager[None]:
    """Hold the run folder, by the first process."""
    from finetune.lock import exclusive

    return exclusive(inputs.place.run) if is_first_process() else contextlib.nullcontext()


def _say(*lines: str) -> None:
    if is_first_process():
        print("\n".join(lines), flush=True)
