"""100,000 mutated files of every format through the readers: no traceback, bounded time and memory."""

import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from data.detect import is_card, read_sources
from persona.errors import PersonaError
from tests.mutations import inputs

COUNT = 100_000


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    outcomes, slowest = Counter(), (0.0, "")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "thing"
        for kind, data in inputs(count, seed=1):
            file.write_bytes(data)
            start = time.perf_counter()
            try:
                is_card(file)
                read_sources(file, [])
                outcomes["read"] += 1
            except PersonaError:
                outcomes["refused"] += 1
            slowest = max(slowest, (time.perf_counter() - start, kind))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count:,} mutated files: {dict(outcomes)}, no traceback, {time.perf_counter() - began:.0f} s")
    print(f"slowest {slowest[0]:.2f} s ({slowest[1]}), peak memory {memory:,.0f} MB")


if __name__ == "__main__":
    main()
