"""Carries an agent's bytes through commands of a sandbox.

Down to the agent there are several lanes, each a command of its own with a socket from
the server beside it: the SDK answers one write before the next may go, so that one lane
alone costs a round trip per frame. A socket carries batches, each with its length in
four bytes (big endian) before it; one byte goes back when the lane can take its first
batch, and when the sandbox has taken one. Up from the agent there is one standard
output, and plain bytes.

A network that is away for a while is waited out: the SDK numbers what it writes and
reads by offsets, so that a call that is made again neither repeats nor loses a byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from .calls import CALL_TIMEOUT, bounded
from .descriptors import Descriptors
from .errors import SidecarError, explain, invalid
from .params import Reader
from .sandboxes import Held, Notify, Sandboxes

if TYPE_CHECKING:
    from modal.container_process import ContainerProcess

log = logging.getLogger(__name__)

TAKEN = b"\x01"
MAX_BATCH = 4 << 20
MAX_LANES = 32
CHUNK = 64 << 10
# A cut is given this long; the agent keeps what it has meanwhile.
PATIENCE = 60.0
PAUSE = 0.25


class ServerLeft(Exception):
    """The server has closed its end of a tunnel."""


@dataclass
class Tunnel:
    """An open one."""

    id: str
    held: Held
    sockets: list[socket.socket] = field(repr=False)
    first: ContainerProcess[bytes] | None = field(default=None, repr=False)
    tasks: list[asyncio.Task[None]] = field(default_factory=list, repr=False)


class Tunnels:
    """The tunnels of this process, by id."""

    def __init__(self, sandboxes: Sandboxes, descriptors: Descriptors, notify: Notify) -> None:
        self._sandboxes = sandboxes
        self._descriptors = descriptors
        self._notify = notify
        self._open: dict[str, Tunnel] = {}
        self._farewells: set[asyncio.Task[None]] = set()

    async def open(self, p: Reader) -> dict[str, Any]:
        """Starts the lanes' commands. The first descriptor of the ticket is for what
        comes up, the others are for the lanes: the first of these feeds argv's standard
        input, the others laneArgv's. It answers when the first one runs."""
        held = self._sandboxes.get(p)
        argv, lane_argv = p.texts("argv"), p.texts("laneArgv", [])
        lanes = p.number("lanes", 1)
        if not 1 <= lanes <= MAX_LANES:
            raise invalid("lanes", f"must be from 1 to {MAX_LANES}")
        ident = p.text("ticket")
        up, *down = await self._descriptors.take(ident, lanes + 1)
        tunnel = Tunnel(ident, held, [up, *down])
        self._open[ident] = tunnel
        # The others start beside the first: they are of use when frames are many.
        starts = [asyncio.create_task(self._start(held, argv, quiet=False))]
        starts += [asyncio.create_task(self._start(held, lane_argv, quiet=True)) for _ in down[1:]]
        try:
            # A command that was asked for is known to the end: it may start all the same.
            tunnel.first = await asyncio.shield(starts[0])
        except BaseException:
            self._open.pop(ident, None)
            self._close(tunnel)
            for start in starts:
                self._later(self._hang_up_started(start))
            raise
        pumps = [partial(self._up, tunnel.first, up), partial(self._down, tunnel.first, down[0])]
        pumps += [partial(self._late, start, s) for start, s in zip(starts[1:], down[1:], strict=True)]
        tunnel.tasks = [asyncio.create_task(self._guard(tunnel, pump)) for pump in pumps]
        return {"tunnelId": ident}

    async def close(self, p: Reader) -> dict[str, Any]:
        tunnel = self._open.pop(p.text("tunnelId"), None)
        if tunnel is not None:
            self._close(tunnel)
        return {}

    async def _start(self, held: Held, argv: list[str], quiet: bool) -> ContainerProcess[bytes]:
        from modal.stream_type import StreamType

        out = StreamType.DEVNULL if quiet else StreamType.PIPE
        command = held.sandbox.exec.aio(*argv, text=False, stdout=out, stderr=StreamType.DEVNULL)
        process: ContainerProcess[bytes] = await bounded(command, CALL_TIMEOUT, "starting the agent")
        return process

    async def _guard(self, tunnel: Tunnel, pump: Callable[[], Awaitable[None]]) -> None:
        """One pump's end is the tunnel's: half of it is of no use."""
        message = ""
        try:
            await pump()
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except ServerLeft:
            pass
        except Exception as raised:
            message = explain(raised).message
        if self._open.pop(tunnel.id, None) is None:
            return
        current = asyncio.current_task()
        tunnel.tasks = [t for t in tunnel.tasks if t is not current]
        self._close(tunnel)
        await self._notify("tunnel/closed", {"tunnelId": tunnel.id, "message": message})

    def _close(self, tunnel: Tunnel) -> None:
        for task in tunnel.tasks:
            task.cancel()
        for s in tunnel.sockets:
            s.close()
        if tunnel.first is not None:
            self._later(self._hang_up(tunnel.first))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    async def _hang_up(self, process: ContainerProcess[bytes]) -> None:
        """The end of one lane's input is the end of the stream, and so of all lanes. The
        agent notices by itself what does not get through, later."""
        with contextlib.suppress(Exception):
            process.stdin.write_eof()
            await asyncio.wait_for(process.stdin.drain.aio(), CALL_TIMEOUT)

    async def _hang_up_started(self, start: asyncio.Task[ContainerProcess[bytes]]) -> None:
        with contextlib.suppress(Exception):
            await self._hang_up(await start)

    async def _up(self, process: ContainerProcess[bytes], s: socket.socket) -> None:
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

    async def _late(self, start: asyncio.Task[ContainerProcess[bytes]], s: socket.socket) -> None:
        """A lane that cannot be started is never ready, and so never used."""
        try:
            process = await asyncio.shield(start)
        except asyncio.CancelledError:
            self._later(self._hang_up_started(start))
            raise
        except Exception as raised:
            log.warning("the tunnel goes on without one of its lanes: %s", explain(raised).message)
            await asyncio.Event().wait()  # its end would be the tunnel's
            return
        await self._down(process, s)

    async def _down(self, process: ContainerProcess[bytes], s: socket.socket) -> None:
        await _send(s, TAKEN)
        async for batch in _batches(s):
            process.stdin.write(batch)
            await self._drain(process)
            await _send(s, TAKEN)

    async def _drain(self, process: ContainerProcess[bytes]) -> None:
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
