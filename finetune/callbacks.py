"""What happens besides training, as plain functions of the training that are called at named moments.

A step was made, held-out lines were scored (`evaluation`, also before the first step), an epoch ended, a checkpoint is
due. To add something of your own, write a function and put it into its moment's list.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from finetune.parallel import is_first_process
from finetune.settings import FinetuneSettings
from persona.errors import PersonaError

if TYPE_CHECKING:
    from finetune.training import Moment, Training

STATE_FOLDER = "state"
TRACKED = ("loss", "gradient_norm", "learning_rate")


def callbacks(settings: FinetuneSettings) -> "Mapping[Moment, Sequence[Callable[[Training], None]]]":
    """The functions of each moment, in the order in which they are called."""
    track = [] if settings.tracker == "none" else [track_step]
    return {
        "step": [check_first_step, note_memory, show_step, *track],
        "evaluation": [answer_samples, release_memory, *([] if settings.tracker == "none" else [track_scores])],
        "checkpoint": [save_checkpoint, release_memory],
    }


def show_step(training: "Training") -> None:
    """The bar, or a line now and then."""
    training.progress.step(training.history.steps[-1])


def note_memory(training: "Training") -> None:
    """Bytes for the report: what this process holds, or on a GPU the most that it held since the step before."""
    import psutil
    import torch

    if training.accelerator.device.type == "cuda":
        held = int(torch.cuda.max_memory_allocated())
        torch.cuda.reset_peak_memory_stats()
    else:
        held = int(psutil.Process().memory_info().rss)
    training.history.memory.append(held)


def check_first_step(training: "Training") -> None:
    """After the first step every B matrix has moved away from zero. Raises `PersonaError` naming one that has not."""
    if training.position.step != 1:
        return
    still = [
        name
        for name, parameter in training.loaded.model.named_parameters()
        if "lora_B" in name and not parameter.detach().any()
    ]
    if still:
        raise PersonaError(
            f"{len(still)} of the adapter's matrices did not move at the first step, so they would never learn.",
            where=still[0],
            fix="another base, or --quantization none",
        )


def answer_samples(training: "Training") -> None:
    """The same questions, answered by the model as it is now."""
    from finetune.samples import answers

    epoch = len(training.history.epochs)
    moment = f"epoch {epoch}" if epoch else "before training"
    said = answers(training.model, training.inputs.questions, training.inputs.template, training.accelerator)
    for (question, _), answer in zip(training.inputs.questions, said, strict=True):
        training.samples.append((moment, question, answer))
        training.progress.say(f"  {' '.join(question.split())[:60]} -> {' '.join(answer.split())[:100]}")


def save_checkpoint(training: "Training") -> None:
    """The state on disk, by the first process: all processes hold the same."""
    from finetune.state import save_state

    if is_first_process():
        save_state(training.inputs.place.run / STATE_FOLDER, training.state())


def release_memory(training: "Training") -> None:
    """Give freed main memory back to the system, where the C library is glibc (malloc_trim(3)).

    It keeps what is freed between pieces that are in use, more from step to step. To give it back takes about 0.4 s,
    most of it to get pages again at the next step: too much for every step (measured with the built-in base on a CPU).
    """
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def start_tracker(training: "Training") -> None:
    """Open the tracker that was asked for, named after the run. Raises `PersonaError` where it does not begin."""
    tracker, run = training.settings.tracker, training.inputs.place.run
    config = {key: value for key, value in training.settings.to_dict().items() if value is not None}
    try:
        training.accelerator.init_trackers(
            "persona", config, {"wandb": {"name": run.name}, "trackio": {"name": run.name}}
        )
    except Exception as error:  # whatever its library raises, as without an account
        raise PersonaError(
            f"{tracker} does not begin: {error}", fix=f"set {tracker} up by its own guide, or leave --tracker out"
        ) from error


def track_step(training: "Training") -> None:
    """The step's curves for a tracker."""
    step = training.history.steps[-1]
    training.accelerator.log({name: getattr(step, name) for name in TRACKED}, step=step.number)


def track_scores(training: "Training") -> None:
    """The held-out losses for a tracker."""
    scores = training.history.epochs[-1] if training.history.epochs else training.history.before
    losses = {"validation_loss": scores.real.loss, "synthetic_validation_loss": scores.synthetic.loss}
    known = {name: loss for name, loss in losses.items() if loss is not None}
    training.accelerator.log(known, step=training.position.step)
