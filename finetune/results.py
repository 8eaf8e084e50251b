"""What a run leaves in `runs/NAME/`: the adapter, numbers, curves, the report and the rows that it finds improbable."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from finetune.checkpoint import save_adapter
from finetune.hints import worst_rows
from finetune.loop import CLIP_NORM
from finetune.page import Told, training_page
from finetune.picture import draw_losses
from finetune.plan import peak_memory_bytes
from finetune.report import losses, metrics_of, model_card, summary
from finetune.rows import read_split
from finetune.validation import row_losses
from persona.contract import Contract
from persona.files import write_atomic, write_json, write_jsonl

if TYPE_CHECKING:
    from finetune.training import Training

ROW_LOSSES_FILE = "row_losses.jsonl"
ROWS_SCORED = 2_000
"""Of the trained rows, at most, once at the end."""

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


def write_results(training: "Training", *, finished: bool) -> None:
    """The adapter folder of the weights in the model, then the files beside it, and where they are on the screen."""
    inputs, place = training.inputs, training.inputs.place
    metrics = metrics_of(training.history, _facts(training) | {"finished": finished})
    save_adapter(
        place.adapter,
        training.loaded.model,
        base=inputs.base,
        card=inputs.card,
        contract=Contract.of(inputs.base, inputs.template, quantization=training.loaded.quantization),
        record={key: metrics[key] for key in KEPT_WITH_THE_WEIGHTS},
        model_card=model_card(inputs.card, inputs.base, metrics, inputs.rows),
    )
    write_json(place.run / "metrics.json", metrics)
    draw_losses(
        place.run / "loss.png",
        title=f"{inputs.card.name} on {inputs.base.name.rsplit('/', 1)[-1]}",
        training=[step.loss for step in training.history.steps],
        epoch_ends=[step.number for step in training.history.steps if step.ends_epoch],
        validation=losses(training.history),
        kept_epoch=training.history.best_epoch,
    )
    scored = row_losses(training.model, inputs.train[:ROWS_SCORED], training.accelerator, share=training.share)
    _write_row_losses(training, scored)
    rows = read_split(place.dataset, "train", training.name)
    told = Told(
        character=inputs.card.name,
        name=training.name,
        base=inputs.base.name,
        command=training.settings.command(training.name),
        metrics=metrics,
        history=training.history,
        samples=training.samples,
        worst=worst_rows(scored, rows),
        replies=[reply for row in rows for reply in row.replies],
        notes=training.notes,
        clip_norm=CLIP_NORM,
    )
    write_atomic(place.run / "report.html", training_page(told))
    for line in [
        *summary(metrics),
        f"adapter: {place.adapter}",
        f"report: {place.run / 'report.html'}; numbers: metrics.json, picture: loss.png",
    ]:
        training.progress.say(line)


def _facts(training: "Training") -> dict[str, Any]:
    inputs, loaded = training.inputs, training.loaded
    return {
        "peak_memory_bytes": peak_memory_bytes(training.accelerator),
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


def _write_row_losses(training: "Training", scored: Mapping[str, float]) -> None:
    """What `python -m data review` shows first: a line that stays improbable is often somebody else's."""
    worst = sorted(scored.items(), key=lambda pair: (-pair[1], pair[0]))
    rows = [{"id": id, "loss": round(loss, 4)} for id, loss in worst]
    write_jsonl(training.inputs.place.run / ROW_LOSSES_FILE, rows)
