"""How this process computes on a CPU: settings of processor and allocator that change the pace and no result."""

import ctypes
import sys
from collections.abc import Mapping

import torch

# malloc.h of the GNU C library
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -2, -3, -4
_LARGE_BYTES = 4 * 2**20


def prepare_host() -> None:
    """Set the processor and the allocator up for training and answering."""
    # A sure model gives most words a chance below 1e-38, and processors take many times longer over such numbers.
    torch.set_flush_denormal(True)
    # Freed activations are needed again at the next step: giving them back means to clear every page of them anew.
    _set_malloc({_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: 64 * 2**20})


def spare_memory() -> None:
    """Set the allocator up to give large blocks back at once, at the price of time.

    Kept ones are taken for small things in between, until none of them holds a large block again: a process then
    occupies up to four times what it uses.
    """
    _set_malloc({_M_MMAP_MAX: 65_536, _M_MMAP_THRESHOLD: _LARGE_BYTES})


def _set_malloc(options: Mapping[int, int]) -> None:
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for option, value in options.items():
            libc.mallopt(option, value)
