"""`accelerate launch finetune NAME`, `python -m finetune NAME`, `torchrun -m finetune NAME`: the command of this room."""

import sys
from pathlib import Path

if not __package__:
    # `accelerate launch finetune` runs the folder: Python then puts the folder, not the checkout, on its path.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from finetune.command import main

if __name__ == "__main__":
    sys.exit(main())
