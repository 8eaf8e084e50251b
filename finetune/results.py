"""What a run leaves in `runs/NAME/`: the adapter, numbers, curves, the report and the rows that it finds improbable."""

import errno
import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.checkpoint import save_adapter
from finetune.hints import REPLIES_READ, row_of, worst_rows
from finetune.loop import CLIP_NORM
from finetune.page import training_page
from finetune.picture import draw_losses
from finetune.plan import peak_memory_bytes
from finetune.report import losses, metrics_of, model_card, summary
from finetune.rows import read_split
from finetune.state import remove
from finetune.told import Told
from persona.contract import Contract
from persona.errors import PersonaError
from persona.files import write_atomic, write_json, write_jsonl

if TYPE_CHECKING:
    from finetune.training import Training
    from finetune.validation import Worst

ROW_LOSSES_FILE = "row_losses.jsonl"
ROWS_SCORED = 2_000
"""Of the trained sequences, at most, spread evenly, once at the end."""

_LEFTOVER = re.compile(
    r"\.(adapter|metrics\.json|(loss|rate)\.png|row_losses\.jsonl|report\.html)\.[a-z0-9_]{8}(\.old|\.tmp)?"
)
"""Under such names `persona.files` and `save_adapter` write, and move an older adapter aside."""

KEPT_WITH_THE_WEIGHTS = (
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


def write_results(training: "Training", scored: "Mapping[str, Worst]", *, finished: bool) -> None:
    """The adapter folder of the weights in the model, then the files beside it, and where they are on the screen.

    `scored` are the worst replies of trained sequences by their ids, none where there are no weights to keep.
    Each is replaced whole, the adapter first. They become one run's again only at the end: the caller forgets the
    training states after it, so that a run that was cut off goes on from the last one and writes all of them anew.
    Of a run that was stopped before its first epoch had ended, there is nothing to keep: only the page is written.
    Raises `PersonaError` when they cannot be written.
    """
    run, facts = training.inputs.place.run, _facts(training) | {"finished": finished}
    try:
        if not training.best:
            _write_page(training, facts, {})
            training.progress.say(f"report of what was trained so far: {run / 'report.html'}")
            return
        metrics = metrics_of(training.history, facts)
        _write_adapter(training, metrics)
        _forget_leftovers(run)
        _write_numbers_and_page(training, metrics, scored)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "The disk is full" if full else error.strerror or str(error)
        fix = "make room or give access, then run the same command: it goes on from the last saved state"
        raise PersonaError(f"The results cannot be written: {what}.", where=str(run), fix=fix) from error
    for line in [
        *summary(metrics),
        f"adapter: {training.inputs.place.adapter}",
        f"report: {run / 'report.html'}; numbers: metrics.json, picture: loss.png",
    ]:
        training.progress.say(line)


def _write_adapter(training: "Training", metrics: Mapping[str, Any]) -> None:
    inputs = training.inputs
    save_adapter(
        inputs.place.adapter,
        training.loaded.model,
        base=inputs.base,
        card=inputs.card,
        contract=Contract.of(inputs.base, inputs.template, quantization=training.loaded.quantization),
        record={key: metrics[key] for key in KEPT_WITH_THE_WEIGHTS},
        model_card=model_card(inputs.card, inputs.base, metrics, inputs.rows),
    )


def _forget_leftovers(run: Path) -> None:
    """Remove what earlier results that were cut off have left: half a file, half an adapter, an adapter moved aside."""
    for path in list(run.glob(".*")):
        if _LEFTOVER.fullmatch(path.name):
            remove(path)


def _write_numbers_and_page(training: "Training", metrics: Mapping[str, Any], scored: "Mapping[str, Worst]") -> None:
    inputs, place, history = training.inputs, training.inputs.place, training.history
    write_json(place.run / "metrics.json", metrics)
    draw_losses(
        place.run / "loss.png",
        title=f"{inputs.card.name} on {inputs.base.name.rsplit('/', 1)[-1]}",
        training=[step.loss for step in history.steps],
        epoch_ends=[step.number for step in history.steps if step.ends_epoch],
        validation=losses(history),
        kept_epoch=history.best_epoch,
    )
    _write_row_losses(training, scored)
    _write_page(training, metrics, scored)


def _write_page(training: "Training", metrics: Mapping[str, Any], scored: "Mapping[str, Worst]") -> None:
    inputs, place = training.inputs, training.inputs.place
    looked_at = {row_of(id) for id in scored} | scored.keys()
    rows = [row for row in read_split(place.dataset, "train", training.name) if row.id in looked_at]
    every = max(1, inputs.rows["train"] // REPLIES_READ)
    spread = islice(read_split(place.dataset, "train", training.name), 0, None, every)
    told = Told(
        character=inputs.card.name,
        name=training.name,
        base=inputs.base.name,
        command=training.settings.command(training.name, training.accelerator.num_processes),
        metrics=metrics,
        history=training.history,
        samples=training.samples,
        worst=worst_rows(scored, rows),
        looked_at=(len(scored), len(inputs.train)),
        replies=[reply for row in spread for reply in row.replies],
        memory=training.history.memory,
        notes=training.notes,
        clip_norm=CLIP_NORM,
    )
    write_atomic(place.run / "report.html", training_page(told))


def _facts(training: "Training") -> dict[str, Any]:
    inputs, loaded = training.inputs, training.loaded
    return {
        "planned_steps": training.steps,
        "peak_memory_bytes": max([peak_memory_bytes(training.accelerator), *training.history.memory]),
        "base": inputs.base.name,
        "base_revision": inputs.base.revision,
        "base_parameters": loaded.parameters,
        "quantization": loaded.quantization,
        "dtype": loaded.dtype,
        "device": training.accelerator.device.type,
        "processes": training.accelerator.num_processes,
        "rows": inputs.rows,
        "rows_digest": inputs.digest,
        "skipped_replies": len(inputs.skipped),
        "prompt_notes": inputs.notes,
        "shared_prompts": training.share,
        "learning_rate": training.learning_rate,
        "settings": training.settings.to_dict(),
        "fingerprint": training.fingerprint,
    }


def _write_row_losses(training: "Training", scored: "Mapping[str, Worst]") -> None:
    """What `python -m data review` shows first: a line that stays improbable is often somebody else's."""
    worst = sorted(scored.items(), key=lambda pair: (-pair[1].loss, pair[0]))
    rows = [{"id": id, "loss": round(found.loss, 4), "reply": found.reply} for id, found in worst]
    write_jsonl(training.inputs.place.run / ROW_LOSSES_FILE, rows)
