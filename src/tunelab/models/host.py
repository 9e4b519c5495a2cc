"""How this process computes on a CPU: settings of processor and allocator that change the pace and no result."""

import ctypes
import sys

import torch

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # malloc.h of the GNU C library


def prepare_host() -> None:
    """Set the processor and the allocator up for training and answering."""
    # A sure model gives most words a chance below 1e-38, and processors take many times longer over such numbers.
    torch.set_flush_denormal(True)
    # Freed activations are wanted again at the next step: giving them back means to clear every page of them anew.
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_M_TOP_PAD, 64 * 2**20)
