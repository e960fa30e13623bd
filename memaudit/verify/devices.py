"""Where a model runs: the device, the precision, how many pictures fit, and what to do when they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

import torch

from memaudit.errors import BadInput, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
KINDS = ("cuda", "mps", "cpu")
PICTURE_BYTES = 1.2e9
"""Memory to reckon with for one picture of 512 x 512 px at fp16 with guidance, decoding included: a cautious guess,
which the back-off corrects."""
MOST = 16  # pictures at once: more are no faster on the GPUs there are

Result = TypeVar("Result")


class OutOfMemory(BadInput):
    """Not even one picture fits into the memory of the device."""


class Batched(Protocol):
    """Something that remembers how many pictures go through it at once."""

    batch: int
    device: torch.device

    def restore(self) -> None:
        """Undo what an interrupted call left behind."""


def find_device(asked: str | None = None) -> torch.device:
    """The device asked for ("cuda", "cuda:1", "mps", "cpu"), else the best there is.

    Raises UsageError for one that this machine does not have.
    """
    if asked is None:
        return torch.device(next(kind for kind in KINDS if _count(kind)))
    hint = "leave --device out, or one of: " + ", ".join(kind for kind in KINDS if _count(kind))
    kind, _, number = asked.partition(":")
    if kind not in KINDS or (number and not number.isdecimal()):
        raise UsageError(f"there is no device called {asked!r}", "known: cuda, cuda:1, mps, cpu", hint)
    if int(number or 0) >= (there := _count(kind)):
        raise UsageError(f"this machine has no device {asked}", f"found: {there} of the kind {kind}", hint)
    return torch.device(asked)


def device_names(asked: str | None = None) -> list[str]:
    """Devices to use, each by its name: the best there is, or those asked for ("cuda:0,cuda:1").

    Raises UsageError for one that is not there.
    """
    names = [name.strip() for name in (asked or "").split(",") if name.strip()]
    return [str(find_device(name)) for name in names] or [str(find_device())]


def find_dtype(asked: str | None, device: torch.device) -> torch.dtype:
    """The precision asked for ("fp32", "fp16", "bf16"), else fp16 on a GPU and fp32 on the CPU.

    Raises UsageError for an unknown one, and for fp16 on the CPU, which has no fast arithmetic for it.
    """
    if asked is None:
        return torch.float32 if device.type == "cpu" else torch.float16
    if asked not in DTYPES:
        raise UsageError(f"there is no precision called {asked!r}", f"known: {', '.join(DTYPES)}", "--dtype fp32")
    if asked == "fp16" and device.type == "cpu":
        raise UsageError("fp16 is for GPUs", "a CPU computes it slowly and less exactly than fp32", "--dtype fp32")
    return DTYPES[asked]


def dtype_name(dtype: torch.dtype) -> str:
    return next(name for name, known in DTYPES.items() if known == dtype)


def first_batch(device: torch.device, size: int, dtype: torch.dtype) -> int:
    """How many pictures of `size` px to try at once, in [1, 16]."""
    if device.type == "cpu":  # nothing is gained by more once the latents are large
        return max(1, min(MOST, MOST * 64 * 64 // (size * size)))
    each = PICTURE_BYTES * (size / 512) ** 2 * (torch.finfo(dtype).bits / 16)
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 8 * each
    return max(1, min(MOST, int(free / each)))


def in_batches(
    owner: Batched, n: int, work: Callable[[int, int], Result], share: float = 1, what: str = "one picture"
) -> list[Result]:
    """`work(start, stop)` over 0..n in pieces of at most `owner.batch * share`, halved, and kept so, whenever memory
    runs out: a piece that failed is done again from its start.

    Raises OutOfMemory when a piece of one fails.
    """
    results: list[Result] = []
    start, piece = 0, max(1, int(owner.batch * share))
    while start < n:
        stop = min(n, start + piece)
        try:
            results.append(work(start, stop))
        except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
            if not is_out_of_memory(error):
                raise
        else:
            start = stop
            continue
        owner.restore()  # after the except clause, which holds the failed call's tensors
        release(owner.device)
        if stop - start == 1:
            why = f"even alone it does not fit into the memory of {owner.device}"
            hint = "a device with more memory, --dtype fp16, or close what else uses it"
            raise OutOfMemory(f"out of memory at {what}", why, hint)
        piece = (stop - start) // 2
        owner.batch = max(1, int(piece / share))
    return results


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: CUDA has a class for it, MPS, cuBLAS and the CPU only words."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    said = str(error).lower()
    return any(words in said for words in ("out of memory", "allocate memory", "not enough memory", "alloc_failed"))


def release(device: torch.device) -> None:
    """Hand cached memory back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _count(kind: str) -> int:
    if kind == "cuda":
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    return int(torch.backends.mps.is_available()) if kind == "mps" else 1
