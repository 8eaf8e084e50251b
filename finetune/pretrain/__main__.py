"""`python -m finetune.pretrain --corpora DIR`: the built-in base, from text to its folder, in one command.

clean -> tokenizer -> views and invented talk -> pools -> batches -> training -> safetensors, tokenizer, template
      -> figures on what no training run sees -> model card
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from persona.errors import PersonaError
from persona.paths import NANO_FOLDER


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and print a problem that the user can solve in one piece; the exit status is then 2."""
    parser = argparse.ArgumentParser(
        prog="python -m finetune.pretrain",
        description="Train the built-in base from scratch, or measure it. A second run with the same folder resumes.",
    )
    parser.add_argument("--corpora", type=Path, required=True, help="Folder with dialogues.parquet and novels.parquet.")
    parser.add_argument("--out", type=Path, default=NANO_FOLDER, help="Folder of the base. [persona/nano]")
    parser.add_argument("--run", type=Path, default=Path("runs/base"), help="Folder of the checkpoints. [runs/base]")
    parser.add_argument("--steps", type=int, default=3600, help="Optimizer steps of 8,192 tokens. [3600]")
    parser.add_argument("--seed", type=int, default=0, help="Draws weights, views and order. [0]")
    parser.add_argument(
        "--stop-after", type=int, metavar="STEP", help="Stop here; the same command without it goes on."
    )
    parser.add_argument("--evaluate", action="store_true", help="Train nothing: measure the base in --out.")
    parser.add_argument("--beside", type=Path, nargs="*", default=[], help="Other measured bases to show in the table.")
    arguments = parser.parse_args(argv)
    from finetune.pretrain.evaluation import evaluate
    from finetune.pretrain.recipe import make_base

    try:
        finished = arguments.evaluate or make_base(
            arguments.corpora,
            arguments.out,
            run=arguments.run,
            steps=arguments.steps,
            seed=arguments.seed,
            stop_after=arguments.stop_after,
        )
        if finished:
            evaluate(arguments.corpora, arguments.out, beside=arguments.beside)
    except PersonaError as error:
        print(f"pretrain: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
