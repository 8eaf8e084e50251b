"""How the C library keeps freed memory: training asks for the same large blocks at every step."""

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_PAD_BYTES = 500_000_000


def keep_memory() -> None:
    """Let glibc keep what is freed: no mapping per block, no trimming, and growth in large steps (mallopt(3)).

    Otherwise every step gets its pages from the kernel again, zeroed one by one, which made pretraining on a CPU 1.6
    times as slow. Does nothing with another C library.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_TOP_PAD, _PAD_BYTES)
