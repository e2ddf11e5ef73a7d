"""Open files that the server passes over a socket of its own, by ticket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

from .calls import CALL_TIMEOUT
from .errors import SidecarError, invalid

# As many as one ticket can have, and as many tickets as may wait to be taken.
MAX_FILES = 64
MAX_TICKETS = 64


class Descriptors:
    """What has come and was not taken yet."""

    def __init__(self, control: socket.socket | None) -> None:
        self._control = control
        self._arrived: dict[str, list[int]] = {}
        self._reading = asyncio.Lock()

    async def take(self, ticket: str, count: int) -> list[socket.socket]:
        """Waits for the sockets of one ticket."""
        if self._control is None:
            raise SidecarError("unsupported", "the server passed no socket for descriptors")
        try:
            await asyncio.wait_for(self._wait(ticket, self._control), CALL_TIMEOUT)
        except asyncio.TimeoutError:
            raise invalid("ticket", "no descriptors came") from None
        fds = self._arrived.pop(ticket)
        if len(fds) != count:
            _close(fds)
            raise invalid("lanes", f"{count - 1} were asked for, {len(fds) - 1} came")
        sockets = [socket.socket(fileno=fd) for fd in fds]
        for s in sockets:
            s.setblocking(False)
        return sockets

    async def _wait(self, ticket: str, control: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        # One reads for all: a socket can only be watched once.
        while ticket not in self._arrived:
            async with self._reading:
                if ticket in self._arrived:
                    return
                ready = asyncio.Event()
                loop.add_reader(control, ready.set)
                try:
                    await ready.wait()
                finally:
                    loop.remove_reader(control)
                self._read(control)

    def _read(self, control: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            message, fds, _, _ = socket.recv_fds(control, 256, MAX_FILES + 1)
            if not message:
                raise SidecarError("unavailable", "the server closed the socket for descriptors")
            while len(self._arrived) >= MAX_TICKETS:  # of calls that were given up
                _close(self._arrived.pop(next(iter(self._arrived))))
            self._arrived[message.decode("ascii", "replace")] = fds


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
