"""The adapter folder: the trained weights with everything that speaking with them needs, and whether it is up to date."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.settings import OF_THE_MOMENT
from persona.base import Base
from persona.card import CharacterCard
from persona.contract import Contract
from persona.errors import PersonaError
from persona.files import replace_folder, write_atomic, write_json

if TYPE_CHECKING:
    import torch

Weights = dict[str, "torch.Tensor"]


def trained_weights(model: Any) -> Weights:
    """A copy of the trainable parameters, in CPU memory."""
    return {name: p.detach().to("cpu", copy=True) for name, p in model.named_parameters() if p.requires_grad}


def restore(model: Any, weights: Weights) -> None:
    """Put `trained_weights` back."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in weights:
                parameter.copy_(weights[name])


def fingerprint(settings: Mapping[str, Any], base: Base, rows_digest: str, processes: int) -> str:
    """A digest of all that decides a run's result: what is trained on, from where, and how."""
    identity = [base.revision or base.digest, base.name if base.digest is None else ""]
    deciding = {key: value for key, value in settings.items() if key not in OF_THE_MOMENT}
    inputs = {"settings": deciding | {"model": identity}, "rows": rows_digest, "processes": processes}
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def finished_metrics(run: Path, mark: str) -> dict[str, Any] | None:
    """The metrics of a run that went to its end with the same fingerprint, if its adapter is still there."""
    try:
        record = json.loads((run / "adapter" / "finetune.json").read_text(encoding="utf-8"))
        metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or not isinstance(metrics, dict):
        return None
    whole = (run / "adapter" / "adapter_model.safetensors").is_file() and record.get("finished") is True
    same = record.get("fingerprint") == mark and metrics.get("fingerprint") == mark
    return metrics if whole and same else None


def save_adapter(
    folder: Path,
    model: Any,
    *,
    base: Base,
    card: CharacterCard,
    contract: Contract,
    record: Mapping[str, Any],
    model_card: str,
) -> None:
    """Write the folder whole, in the place of an older one.

    Weights and configuration are PEFT's own; they name the base as the user does. Raises `PersonaError` when a weight is not finite, and leaves the older folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as holder:
        temporary = Path(holder) / folder.name
        temporary.mkdir()
        _save_weights(temporary, model)
        write_json(temporary / "adapter_config.json", _adapter_config(model, base))
        card.save(temporary / "card.json")
        contract.save(temporary)
        write_json(temporary / "finetune.json", dict(record))
        write_atomic(temporary / "README.md", model_card)
        replace_folder(temporary, folder)


def _save_weights(folder: Path, model: Any) -> None:
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save

    weights = {name: w.detach().cpu().contiguous() for name, w in get_peft_model_state_dict(model).items()}
    broken = [name for name, weight in weights.items() if not torch.isfinite(weight).all()]
    if broken:
        raise PersonaError(
            f"The trained weight {broken[0]} is not finite; nothing was saved.", fix="a lower --learning-rate"
        )
    write_atomic(folder / "adapter_model.safetensors", save(weights, metadata={"format": "pt"}))


def _adapter_config(model: Any, base: Base) -> dict[str, Any]:
    """PEFT's configuration in a fixed order: its own writer keeps sets, whose order changes from run to run."""
    config = model.peft_config["default"].to_dict()
    config |= {"base_model_name_or_path": base.name, "revision": base.revision, "inference_mode": True}
    config["target_modules"] = _target_names(model, set(config["target_modules"]))
    return {
        key: sorted(value) if isinstance(value, set | frozenset) else value for key, value in sorted(config.items())
    }


def _target_names(model: Any, targets: set[str]) -> list[str]:
    """The adapted layers by their last names (`q_proj`), which every engine reads, where those mean no other layer."""
    last_names = {target.rpartition(".")[2] for target in targets}
    meant = {name for name, _ in model.get_base_model().named_modules() if name.rpartition(".")[2] in last_names}
    return sorted(last_names if meant == targets else targets)
