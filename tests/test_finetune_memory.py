import subprocess
import sys

import pytest

CODE = """
import resource, sys, torch
from finetune.memory import keep_memory
torch.set_num_threads(1)
if sys.argv[1] == "keep": keep_memory()
torch.ones(20_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20): torch.ones(20_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_freed_memory_is_not_asked_for_again():
    def faults(how):
        out = subprocess.run([sys.executable, "-c", CODE, how], capture_output=True, text=True, check=True)
        return int(out.stdout)

    assert faults("keep") * 10 < faults("leave")
