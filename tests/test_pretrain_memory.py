import subprocess
import sys

import pytest

CODE = """
import ctypes, resource, sys
from finetune.pretrain.memory import keep_memory
if sys.argv[1] == "keep": keep_memory()
libc = ctypes.CDLL("libc.so.6")
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def use():
    block = libc.malloc(80_000_000)
    ctypes.memset(block, 1, 80_000_000)
    libc.free(block)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5): use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_freed_memory_is_not_asked_for_again():
    def faults(how):
        out = subprocess.run([sys.executable, "-c", CODE, how], capture_output=True, text=True, check=True)
        return int(out.stdout)

    assert faults("keep") * 10 < faults("leave")
