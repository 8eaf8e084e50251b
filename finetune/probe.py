"""What this machine computes with, asked in a process of its own, which a broken driver may hang or kill.

The process reads a base's configuration from its input and answers three questions, one line of JSON each: `device`,
`arithmetic` (4 bits, tried for real) and `size` (of the base, without its weights).
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

QUESTIONS = ("device", "arithmetic", "size")


@dataclass(frozen=True, slots=True)
class Machine:
    """The answers by question, `error` where there is none; `ended` says how the process failed, if it did."""

    answers: Mapping[str, Mapping[str, Any]]
    ended: str = ""

    def answer(self, question: str) -> Mapping[str, Any]:
        """What was answered; an `error` where the process ended before."""
        return self.answers.get(question) or {"error": self.ended or "There was no answer."}


def ask_machine(config: Mapping[str, Any], seconds: float) -> Machine:
    """Start the process and wait at most `seconds`; what it had answered until then counts. `config` may be empty."""
    checkout = str(Path(__file__).resolve().parents[1])
    paths = [checkout, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    # -P: a file of the user's folder must not stand in for a library.
    program = [sys.executable, "-P", "-m", "finetune.probe"]
    try:
        done = subprocess.run(
            program, input=json.dumps(config).encode(), capture_output=True, timeout=seconds, env=environment
        )
    except subprocess.TimeoutExpired as late:
        return Machine(_answers(late.stdout or b""), f"There was no answer within {seconds:g} seconds.")
    return Machine(_answers(done.stdout), _how_it_ended(done.returncode, done.stderr))


def _answers(output: bytes) -> dict[str, Mapping[str, Any]]:
    """Libraries may print between the answers; a line that was cut is none."""
    found: dict[str, Mapping[str, Any]] = {}
    for line in output.decode("utf-8", "replace").splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and value.get("question") in QUESTIONS:
            found[value["question"]] = value["answer"]
    return found


def _how_it_ended(status: int, errors: bytes) -> str:
    if status == 0:
        return ""
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    known = {number.value for number in signal.Signals}
    how = f"by {signal.Signals(-status).name}" if -status in known else f"with status {status}"
    return f"The process that tried it ended {how}" + (f": {lines[-1].strip()}" if lines else ".")


def device() -> dict[str, Any]:
    """The device that training uses, memory in bytes, and the precision that it computes in."""
    import torch
    from accelerate import PartialState

    from finetune.parallel import compute_dtype

    used = PartialState().device
    facts: dict[str, Any] = {"type": used.type, "dtype": str(compute_dtype("auto", used)).removeprefix("torch.")}
    facts["built_for_gpu"] = bool(torch.version.cuda or getattr(torch.version, "hip", None))
    if used.type == "cuda":
        free, total = torch.cuda.mem_get_info(used)
        facts |= {"name": torch.cuda.get_device_name(used), "count": torch.cuda.device_count()}
        facts |= {"capability": list(torch.cuda.get_device_capability(used)), "free": free, "total": total}
    elif facts["built_for_gpu"]:
        try:
            torch.cuda.init()
        except (RuntimeError, AssertionError) as error:
            facts["why_no_gpu"] = _first_line(error)
    return facts


def arithmetic() -> dict[str, Any]:
    """A small layer in NF4 against the same layer in float32, after an evaluation pass, as training uses it.

    `forward` and `gradient` are relative distances (Frobenius norm); rounding to 4 bits alone makes them about 0.09.
    `refused` holds the reason where bitsandbytes does not work here; an exception means that not even float32 does.
    """
    import torch
    from accelerate import PartialState

    from finetune.model import choose_quantization, guard_4bit
    from finetune.parallel import compute_dtype
    from persona.errors import PersonaError

    device = PartialState().device
    dice = torch.Generator().manual_seed(0)
    # bitsandbytes would repack a weight of this shape on a CPU.
    shapes = ((64, 128), (16, 128), (16, 64))
    weight, inputs, slope = (torch.randn(shape, generator=dice).to(device) for shape in shapes)
    outputs, gradient = inputs @ weight.T, slope @ weight
    try:
        choose_quantization("nf4", device)
    except PersonaError as error:
        return {"refused": error.what}
    from bitsandbytes.nn import Linear4bit

    dtype = compute_dtype("auto", device)
    layer = Linear4bit(128, 64, bias=False, compute_dtype=dtype, quant_type="nf4", compress_statistics=True)
    layer.load_state_dict({"weight": weight.cpu()})
    layer.to(device)
    guard_4bit(layer)
    layer.eval()
    with torch.no_grad():
        layer(inputs.to(dtype))
    layer.train()
    given = inputs.to(dtype).requires_grad_()
    found = layer(given)
    found.backward(slope.to(dtype))
    # Without the guard no gradient arrives at all.
    arrived = torch.zeros_like(given) if given.grad is None else given.grad
    return {"forward": _distance(found, outputs), "gradient": _distance(arrived, gradient)}


def _distance(found: "torch.Tensor", exact: "torch.Tensor") -> float:
    return float((found.detach().float() - exact).norm() / exact.norm())


def size(config: Mapping[str, Any]) -> dict[str, int]:
    """Numbers of a base with this configuration: `parameters`, `linear` (where LoRA and 4 bits apply) and `width`.

    `width` is the sum of inputs and outputs of all these layers. Built without memory for the weights.
    """
    import torch
    import transformers
    from transformers.models.auto import CONFIG_MAPPING

    from persona.errors import PersonaError

    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        raise PersonaError(f"transformers {transformers.__version__} knows no models of the type {kind!r}.")
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind].from_dict(dict(config)))
    head = model.get_output_embeddings()
    kinds = (torch.nn.Linear, transformers.pytorch_utils.Conv1D)
    weights = [part.weight for part in model.modules() if isinstance(part, kinds) and part is not head]
    return {
        "parameters": int(model.num_parameters()),
        "linear": sum(weight.numel() for weight in weights),
        "width": sum(sum(weight.shape) for weight in weights),
    }


def _first_line(error: BaseException) -> str:
    text = str(getattr(error, "what", error)).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__


def main() -> int:
    """Answer every question; an exception is an answer too."""
    config = json.load(sys.stdin)
    for question, ask in zip(QUESTIONS, (device, arithmetic, lambda: size(config)), strict=True):
        try:
            answer: Mapping[str, Any] = ask()
        except Exception as error:
            answer = {"error": _first_line(error)}
        print(json.dumps({"question": question, "answer": answer}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
