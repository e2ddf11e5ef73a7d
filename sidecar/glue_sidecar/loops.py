"""The event loop in which the SDK itself runs, on a thread of its own. Whoever calls the
SDK from another loop wakes two threads for each call, which share one interpreter; what
calls it all the time had better run there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterator
from typing import Any


class Place(Collection[Any]):
    """Notes in which loop it is looked at. It is an empty collection, so that a call of the
    SDK's that takes one takes this. A call that never looks leaves nothing noted."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None

    def _note(self) -> None:
        try:
            self.loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # no loop looks, but plain code

    def __len__(self) -> int:
        self._note()
        return 0

    def __iter__(self) -> Iterator[Any]:
        self._note()
        return iter(())

    def __contains__(self, _: object) -> bool:
        return False

    async def run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Runs work there, or here if nothing was noted. Cancelling this cancels work, and
        does not wait for its end."""
        if self.loop is None or self.loop is asyncio.get_running_loop():
            await work()
            return
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), self.loop))
