"""The command line of this room: a character's name and the settings; problems are printed without a traceback."""

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence

from finetune.settings import add_flags, settings_from
from persona.errors import PersonaError
from persona.formats.text import printable

EPILOG = """\
examples:
  accelerate launch finetune ada
  accelerate launch finetune ada --model Qwen/Qwen3-4B-Instruct-2507 --rank 32
  accelerate launch --config_file finetune/launch/several_gpus.yaml finetune ada
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 2 for a problem that the user can solve, 130 after Ctrl-C."""
    from finetune.parallel import is_first_process

    arguments = _parser().parse_args(argv)
    try:
        if arguments.check:
            print(check())
            return 0
        if not arguments.name:
            raise PersonaError("Which character?", fix="accelerate launch finetune ada")
        settings = settings_from(arguments)
        if "OMP_WAIT_POLICY" not in os.environ:
            # OpenMP's threads spin for a moment before they sleep. Measured on 2 cores, seconds a step alone and beside
            # other work: 1.06 and 1.35 if they sleep at once, 0.72 and 1.22 so, 0.62 and 1.21 with ten times as many
            # rounds, which beside more work than that made a step ten times as long.
            os.environ.setdefault("GOMP_SPINCOUNT", "10000")
        if sys.platform == "linux" and "PYTORCH_CUDA_ALLOC_CONF" not in os.environ:
            # No two passes are equally large: pieces that grow leave fewer gaps between them on a GPU.
            os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")
        from finetune.run import finetune

        # It announces a missing inference kernel that training has no use for.
        logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
        # peft reads a property that transformers has renamed.
        warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
        return finetune(arguments.name, settings, force=arguments.force, plan_only=arguments.plan)
    except PersonaError as error:
        if is_first_process():
            print(f"finetune: {printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if is_first_process():
            print("finetune: stopped; what was there before is untouched", file=sys.stderr)
        return 130


def check() -> str:
    """One line that says this room can train here, and how. Raises `PersonaError` when it cannot."""
    try:
        import accelerate
        import peft
        import torch
        import transformers
    except ImportError as error:
        raise PersonaError(f"{error.name} cannot be imported: {error}", fix="pip install -e .") from error
    from finetune.model import choose_quantization

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    quantization = choose_quantization("auto", device)
    named = {"torch": torch, "transformers": transformers, "peft": peft, "accelerate": accelerate}
    versions = ", ".join(f"{name} {module.__version__}" for name, module in named.items())
    return f"finetune: ok ({versions}; {'4-bit NF4' if quantization == 'nf4' else 'no 4-bit, full precision'} on {device.type})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="finetune",
        description="Train a LoRA adapter on a character's dialogues: runs/NAME/dataset -> runs/NAME/adapter.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="a character: a name or a path")
    add_flags(parser)
    parser.add_argument("--force", action="store_true", help="Train again although nothing changed.")
    parser.add_argument(
        "--plan", action="store_true", help="Try the heaviest step, say how long it will take, and exit."
    )
    parser.add_argument("--check", action="store_true", help="Say whether this machine can train, and exit.")
    return parser
