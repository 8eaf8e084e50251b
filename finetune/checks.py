"""What `persona doctor` looks at: one function per check, saying what it found and what to type."""

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finetune.memory import LIBRARIES_BYTES, choose_holding, gib, main_memory, needs
from finetune.probe import Machine

Status = Literal["ok", "warning", "problem"]

LARGEST_ERROR = 0.15
"""Rounding to 4 bits alone moves a product by 0.087 to 0.100 (measured, 20 draws of the probe's shape)."""
FEWEST_TOKENS = 512
"""A forward pass that memory made small still holds the longest dialogue."""
STATE_BYTES = 50
"""Bytes on disk a trained parameter: three saved states of weight and two moments, the best weights, the adapter."""
SPARE_DISK = 10**9
LEAST_DISK = 10**8
"""Bytes free beside what is needed: below the first is a warning, below the second a problem."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination. A `problem` keeps training from working; a `warning` does not."""

    check: str
    status: Status
    found: str
    fix: str = ""


def packages() -> Finding:
    """Python and the packages of pyproject.toml against the bounds that stand there."""
    import platform
    import tomllib
    from importlib.metadata import PackageNotFoundError, version

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python = platform.python_version()
    if not SpecifierSet(project["requires-python"]).contains(python, prereleases=True):
        needed = project["requires-python"]
        return Finding(
            "versions", "problem", f"Python {python}, {needed} is needed", "a new virtual environment with it"
        )
    wrong, named = {}, []
    for wanted in map(Requirement, project["dependencies"]):
        try:
            installed = version(wanted.name)
        except PackageNotFoundError:
            wrong[f'"{wanted}"'] = f"{wanted.name} is missing"
            continue
        if not wanted.specifier.contains(installed, prereleases=True):
            wrong[f'"{wanted}"'] = f"{wanted.name} is {installed}, {wanted.specifier} is needed"
        elif wanted.name in _NAMED:
            named.append(f"{wanted.name} {installed}")
    if wrong:
        return Finding("versions", "problem", "; ".join(wrong.values()), f"pip install {' '.join(wrong)}")
    return Finding("versions", "ok", ", ".join([f"Python {python}", *sorted(named)]))


_NAMED = ("torch", "transformers", "peft", "accelerate", "bitsandbytes")


def device(machine: Machine) -> Finding:
    """What training computes on, and why not on a GPU where there is one."""
    facts = machine.answer("device")
    if "error" in facts:
        return Finding(
            "device", "problem", facts["error"], "nvidia-smi shows whether a driver answers; pip install -e ."
        )
    if facts["type"] == "cuda":
        major, minor = facts["capability"]
        count = f"{facts['count']} x " if facts["count"] > 1 else ""
        memory = f"{gib(facts['free'])} of {gib(facts['total'])} free"
        return Finding("device", "ok", f"{count}{facts['name']}, compute capability {major}.{minor}, {memory}")
    if facts["type"] != "cpu":
        return Finding("device", "ok", f"{facts['type']}, by torch")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = f"CPU, {cores} cores"
    if not has_nvidia_driver():
        return Finding("device", "ok", f"{found}; no NVIDIA driver")
    if not facts["built_for_gpu"]:
        fix = "pip install --force-reinstall torch (on Windows choose the CUDA build on PyTorch's own page)"
        return Finding(
            "device", "warning", f"{found}: a GPU driver is here, but this torch was built without CUDA", fix
        )
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        said = f"CUDA_VISIBLE_DEVICES={hidden!r} hides the GPU"
        return Finding("device", "warning", f"{found}: {said}", "unset CUDA_VISIBLE_DEVICES")
    said = facts.get("why_no_gpu", "it does not say why")
    return Finding("device", "warning", f"{found}: torch cannot use the GPU ({said})", "nvidia-smi; update the driver")


def has_nvidia_driver() -> bool:
    """Whether a driver is installed, whatever torch says."""
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()


def arithmetic(machine: Machine) -> Finding:
    """Whether 4-bit products and their gradients are right, by having computed some."""
    facts = machine.answer("arithmetic")
    if "error" in facts:
        fix = "pip install --upgrade torch bitsandbytes; until then: --quantization none"
        return Finding("4-bit", "problem", facts["error"], fix)
    if "refused" in facts:
        found = f"not here ({facts['refused']}): the base is held in full precision, which takes more memory"
        return Finding("4-bit", "warning", found, "pip install --upgrade bitsandbytes, or a smaller base")
    found = f"NF4 computed: {facts['forward']:.1%} from float32 forward, {facts['gradient']:.1%} in the gradient"
    if all(facts[part] <= LARGEST_ERROR for part in ("forward", "gradient")):  # not so for NaN
        return Finding("4-bit", "ok", found + ", as rounding to 4 bits makes it")
    found += f" (at most {LARGEST_ERROR:.0%} is rounding): training would go wrong"
    return Finding("4-bit", "problem", found, "--quantization none; pip install --upgrade bitsandbytes")


def dtype(machine: Machine) -> Finding:
    """In which precision the base computes, and why."""
    facts = machine.answer("device")
    if "error" in facts:
        return _unknown("dtype", "the device")
    if facts["type"] == "cuda":
        major, minor = facts["capability"]
        why = f"compute capability {major}.{minor}; from 8.0 on a GPU has units for bfloat16"
    elif facts["type"] == "cpu":
        why = (
            f"this processor has {'' if facts['dtype'] == 'bfloat16' else 'no '}units for bfloat16 (AVX512-BF16 or AMX)"
        )
    else:
        why = f"the exact choice on {facts['type']}"
    return Finding("dtype", "ok", f"{facts['dtype']}: {why}")


def memory(machine: Machine, *, base_known: bool) -> Finding:
    """Free memory against what the base needs, on the device that trains, held as a run would choose to."""
    from finetune.settings import FinetuneSettings

    facts, size = machine.answer("device"), machine.answer("size")
    free, total = main_memory()
    there = f"{gib(free)} of {gib(total)} main memory free"
    if facts.get("type") == "cuda":
        there = f"{gib(facts['free'])} of {gib(facts['total'])} GPU memory free, {there}"
        free = facts["free"]
    if "error" in facts or not base_known:
        return _unknown("memory", f"the {'device' if 'error' in facts else 'base'} ({there})")
    if "error" in size:
        fix = "choose another base, or pip install --upgrade transformers"
        return Finding("memory", "problem", f"the base cannot be built: {size['error']}", fix)
    settings = FinetuneSettings()
    number_bytes, rank = 4 if facts["dtype"] == "float32" else 2, settings.rank
    refused = machine.answer("arithmetic").get("refused", "")
    sizes = {"number_bytes": number_bytes, "rank": rank, "forward_tokens": settings.forward_tokens}
    nf4 = choose_holding(size, facts["type"], free, refused=refused, **sizes).quantization == "nf4"
    need = needs(size, nf4=nf4, number_bytes=number_bytes, rank=rank)
    least, usual = need.bytes(FEWEST_TOKENS), need.bytes(settings.forward_tokens)
    held = f"{4 if nf4 else 8 * number_bytes} bits"
    found = f"{_count(size['parameters'])} parameters in {held} need about {gib(least)} to {gib(usual)}; {there}"
    if least > free:
        fits = size["parameters"] * max(0.0, free - LIBRARIES_BYTES) / (least - LIBRARIES_BYTES)
        return Finding("memory", "problem", found, f"--model with at most about {_count(fits)} parameters")
    if usual > free:
        fix = f"--gradient-checkpointing, or --forward-tokens {FEWEST_TOKENS}"
        return Finding("memory", "warning", f"{found}: forward passes will be made smaller", fix)
    return Finding("memory", "ok", found)


def disk(machine: Machine, missing_bytes: int) -> Finding:
    """Free space for the run, and for `missing_bytes` of weights that are still to be fetched."""
    from huggingface_hub.constants import HF_HUB_CACHE

    from finetune.settings import FinetuneSettings

    states = FinetuneSettings().rank * machine.answer("size").get("width", 0) * STATE_BYTES
    found = [space(Path.cwd() / "runs", states, "a smaller base")]
    if missing_bytes:
        found.append(space(Path(HF_HUB_CACHE), missing_bytes, "HF_HOME=FOLDER on a larger disk"))
    worst = max(found, key=lambda place: ("ok", "warning", "problem").index(place.status))
    return Finding("disk", worst.status, "; ".join(place.found for place in found), worst.fix)


def space(folder: Path, need: int, otherwise: str) -> Finding:
    """Free space for `need` bytes in a folder, which may not exist yet; `otherwise` is another way than to make room."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding("disk", "problem", f"{there} cannot be written to", "work in a folder of your own")
    free = shutil.disk_usage(there).free
    status: Status = "problem" if free < need + LEAST_DISK else "warning" if free < need + SPARE_DISK else "ok"
    needed = f", {need / 1e9:.1f} GB needed" if need >= 1e9 else f", {need / 1e6:.0f} MB needed" if need else ""
    found = f"{free / 1e9:.1f} GB free for {folder}{needed}"
    return Finding("disk", status, found, "" if status == "ok" else f"free space there (df -h), or {otherwise}")


def launch_file(machine: Machine) -> Finding:
    """The settings that `accelerate launch` takes from its own file, which nobody needs."""
    from huggingface_hub.constants import HF_HOME

    from persona.formats.text import decode_text, read_bytes

    file = Path(HF_HOME) / "accelerate" / "default_config.yaml"
    if not file.is_file():
        return Finding("accelerate", "ok", "no configuration file, and none is needed")
    text = decode_text(read_bytes(file), str(file))
    if re.search(r"(?mi)^use_cpu:\s*true\b", text) and machine.answer("device").get("type") == "cuda":
        found = f"{file} says use_cpu: true, so `accelerate launch` leaves the GPU idle"
        return Finding("accelerate", "warning", found, f"accelerate config, or delete {file}")
    if trainer := re.search(r"(?mi)^distributed_type:\s*['\"]?(DEEPSPEED|FSDP)\b", text):
        found = f"{file} asks for {trainer[1].upper()}, which is refused here"
        fix = f"accelerate launch --config_file finetune/launch/several_gpus.yaml finetune NAME, or delete {file}"
        return Finding("accelerate", "problem", found, fix)
    return Finding("accelerate", "ok", f"`accelerate launch` reads {file}")


def terminal() -> Finding:
    """Whether letters of every language can be printed."""
    encoding = (sys.stdout.encoding or "").lower().replace("_", "-")
    if encoding in ("utf-8", "utf8", "utf-8-sig", "cp65001"):
        return Finding("terminal", "ok", "UTF-8")
    fix = "set PYTHONUTF8=1" if os.name == "nt" else "export PYTHONUTF8=1 LANG=C.UTF-8"
    return Finding(
        "terminal", "warning", f"prints {encoding or 'nothing known'}, not UTF-8: some letters are lost", fix
    )


def _unknown(check: str, what: str) -> Finding:
    return Finding(check, "warning", f"not known without {what}", "mend the problem above first")


def _count(parameters: float) -> str:
    return f"{parameters / 1e9:.1f} B" if parameters >= 1e9 else f"{parameters / 1e6:.0f} M"
