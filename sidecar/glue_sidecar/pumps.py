"""Copies bytes between sockets of the server's and commands of a sandbox. A pump runs in
any loop, and owns its socket: that is closed in the same loop, when nothing waits for it
any more.

A network that is away for a while is waited out: the SDK numbers what it writes and
reads by offsets, so that a call that is made again neither repeats nor loses a byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from .errors import SidecarError, explain

if TYPE_CHECKING:
    from modal.container_process import ContainerProcess

TAKEN = b"\x01"
MAX_BATCH = 4 << 20
CHUNK = 64 << 10
# A cut is given this long; the agent keeps what it has meanwhile.
PATIENCE = 60.0
PAUSE = 0.25


class ServerLeft(Exception):
    """The server has closed its end."""


async def up(process: ContainerProcess[bytes], s: socket.socket) -> None:
    """Copies what a command prints, to its end."""
    with contextlib.closing(s):
        since: float | None = None
        while True:
            try:
                async for chunk in process.stdout:
                    since = None
                    await _send(s, chunk)
                return
            except ServerLeft:
                raise
            except Exception as raised:
                # The stream keeps its offset: iterating it again goes on where it was.
                since = _patience(raised, since)
                await asyncio.sleep(PAUSE)


async def down(process: ContainerProcess[bytes], s: socket.socket) -> None:
    """Gives a command the batches that come, one after the other, and says when each was
    taken. The first word says that one can come."""
    with contextlib.closing(s):
        await _send(s, TAKEN)
        async for batch in _batches(s):
            process.stdin.write(batch)
            await _drain(process)
            await _send(s, TAKEN)


async def _drain(process: ContainerProcess[bytes]) -> None:
    since: float | None = None
    while True:
        try:
            await process.stdin.drain.aio()
            return
        except Exception as raised:
            # The buffer is only cleared once the write has been answered.
            since = _patience(raised, since)
            await asyncio.sleep(PAUSE)


def _patience(raised: Exception, since: float | None) -> float:
    """Says since when a network has been away, or raises what cannot be waited out."""
    now = asyncio.get_running_loop().time()
    if explain(raised).kind not in ("unavailable", "timeout"):
        raise raised
    if since is not None and now - since > PATIENCE:
        raise raised
    return now if since is None else since


async def _send(s: socket.socket, data: bytes) -> None:
    try:
        await asyncio.get_running_loop().sock_sendall(s, data)
    except OSError as raised:
        raise ServerLeft from raised


async def _receive(s: socket.socket, into: memoryview) -> int:
    try:
        n = await asyncio.get_running_loop().sock_recv_into(s, into)
    except OSError as raised:
        raise ServerLeft from raised
    if n == 0:
        raise ServerLeft
    return n


async def _batches(s: socket.socket) -> AsyncIterator[bytearray]:
    """The batches that come over a lane, until the server leaves. It sends one only when
    the one before was taken, so that most come whole with one read."""
    chunk = memoryview(bytearray(CHUNK))
    while True:
        have = 0
        while have < 4:
            have += await _receive(s, chunk[have:])
        size = int.from_bytes(chunk[:4], "big")
        if size > MAX_BATCH or have > 4 + size:
            raise SidecarError("tooLarge", f"a batch of {size} bytes cannot be taken")
        batch = bytearray(size)
        done = have - 4
        batch[:done] = chunk[4:have]
        rest = memoryview(batch)
        while done < size:
            done += await _receive(s, rest[done:])
        yield batch
