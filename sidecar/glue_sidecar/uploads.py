"""Sends files of this machine into a sandbox, and tells how far they are."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import modal

# How often somebody who waits is told, in seconds.
TELL_EVERY = 0.5


async def upload(sandbox: modal.Sandbox, local: str, path: str, tell: Callable[[int, int], None] | None) -> None:
    """Copies a file into a sandbox, parents included. `tell` gets the bytes that were
    taken so far, and how many there are."""
    if tell is None:
        await sandbox.filesystem.copy_from_local.aio(local, path)
        return
    mine = os.open(local, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(mine).st_size
        async with _telling(mine, size, tell):
            # The SDK opens what it is given, and tells nobody how far it has read. A copy
            # of our own descriptor has its position in common with ours; who opens it
            # closes it too.
            theirs: Any = os.dup(mine)
            try:
                await sandbox.filesystem.copy_from_local.aio(theirs, path)
            except TypeError:
                # A version that takes paths alone. Whether it has closed the copy cannot be
                # known, and the number may be another file's by now.
                await sandbox.filesystem.copy_from_local.aio(local, path)
        tell(size, size)
    finally:
        os.close(mine)


@contextlib.asynccontextmanager
async def _telling(descriptor: int, size: int, tell: Callable[[int, int], None]) -> AsyncIterator[None]:
    async def watch() -> None:
        while True:
            await asyncio.sleep(TELL_EVERY)
            tell(os.lseek(descriptor, 0, os.SEEK_CUR), size)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
