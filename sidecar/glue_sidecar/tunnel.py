"""Carries an agent's bytes through commands of a sandbox.

Down to the agent there are several lanes, each a command of its own with a socket from
the server beside it: the SDK answers one write before the next may go, so that one lane
alone costs a round trip per frame. A socket carries batches, each with its length in
four bytes (big endian) before it; one byte goes back when the sandbox has taken a
batch. Up from the agent there is one standard output, and plain bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import SidecarError, explain
from .params import Reader
from .sandboxes import CALL_TIMEOUT, Held, Notify, Sandboxes, bounded

if TYPE_CHECKING:
    from modal.container_process import ContainerProcess

log = logging.getLogger(__name__)

MAX_BATCH = 4 << 20
MAX_LANES = 32
# A cut is given this long; the agent keeps what it has meanwhile.
PATIENCE = 60.0


@dataclass
class Tunnel:
    """An open one."""

    id: str
    held: Held
    tasks: list[asyncio.Task[None]] = field(default_factory=list, repr=False)
    sockets: list[socket.socket] = field(default_factory=list, repr=False)

    def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        for s in self.sockets:
            s.close()


class Descriptors:
    """Descriptors that the server passes over a socket of its own, by ticket."""

    def __init__(self, control: socket.socket | None) -> None:
        self._control = control
        self._arrived: dict[str, list[int]] = {}

    async def take(self, ticket: str, count: int) -> list[socket.socket]:
        """Waits for the descriptors of one ticket."""
        if self._control is None:
            raise SidecarError("unsupported", "the server passed no socket for descriptors")
        while ticket not in self._arrived:
            await self._readable(self._control)
            message, fds, _, _ = socket.recv_fds(self._control, 256, MAX_LANES + 1)
            if not message:
                raise SidecarError("unavailable", "the server closed the socket for descriptors")
            self._arrived[message.decode("ascii")] = fds
        fds = self._arrived.pop(ticket)
        sockets = [socket.socket(fileno=fd) for fd in fds]
        for s in sockets:
            s.setblocking(False)
        if len(sockets) != count:
            for s in sockets:
                s.close()
            raise SidecarError("invalidParams", f"lanes: {count - 1} were asked for, {len(fds) - 1} came", code=-32602)
        return sockets

    async def _readable(self, control: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(control, ready.set)
        try:
            await asyncio.wait_for(ready.wait(), CALL_TIMEOUT)
        except asyncio.TimeoutError:
            raise SidecarError("invalidParams", "ticket: no descriptors came", code=-32602) from None
        finally:
            loop.remove_reader(control)


class Tunnels:
    """The tunnels of this process, by id."""

    def __init__(self, sandboxes: Sandboxes, descriptors: Descriptors, notify: Notify) -> None:
        self._sandboxes = sandboxes
        self._descriptors = descriptors
        self._notify = notify
        self._open: dict[str, Tunnel] = {}

    async def open(self, p: Reader) -> dict[str, Any]:
        """Starts the lanes' commands. The first descriptor of the ticket is for what
        comes up, the others are for the lanes: the first of these feeds argv's standard
        input, the others laneArgv's."""
        held = self._sandboxes.get(p)
        argv, lane_argv = p.texts("argv"), p.texts("laneArgv", [])
        lanes = p.number("lanes", 1)
        if not 1 <= lanes <= MAX_LANES:
            raise SidecarError("invalidParams", f"lanes: must be from 1 to {MAX_LANES}", code=-32602)
        ident = p.text("ticket")
        up, *down = await self._descriptors.take(ident, lanes + 1)
        tunnel = Tunnel(ident, held, sockets=[up, *down])
        try:
            first = await self._start(held, argv, quiet=False)
            rest = await asyncio.gather(*(self._start(held, lane_argv, quiet=True) for _ in down[1:]))
        except BaseException:
            tunnel.close()
            raise
        self._open[ident] = tunnel
        pumps = [self._up(first, up)] + [self._down(c, s) for c, s in zip([first, *rest], down, strict=True)]
        tunnel.tasks = [asyncio.create_task(self._guard(tunnel, pump)) for pump in pumps]
        return {"tunnelId": ident}

    async def _start(self, held: Held, argv: list[str], quiet: bool) -> ContainerProcess[bytes]:
        from modal.stream_type import StreamType

        out = StreamType.DEVNULL if quiet else StreamType.PIPE
        command = held.sandbox.exec.aio(*argv, text=False, stdout=out, stderr=StreamType.DEVNULL)
        process: ContainerProcess[bytes] = await bounded(command, CALL_TIMEOUT, "starting the agent")
        return process

    async def _guard(self, tunnel: Tunnel, pump: Any) -> None:
        """One pump's end is the tunnel's: half of it is of no use."""
        message = ""
        try:
            await pump
        except asyncio.CancelledError:
            raise
        except Exception as raised:
            message = explain(raised).message
        if self._open.pop(tunnel.id, None) is None:
            return
        current = asyncio.current_task()
        tunnel.tasks = [t for t in tunnel.tasks if t is not current]
        tunnel.close()
        await self._notify("tunnel/closed", {"tunnelId": tunnel.id, "message": message})

    async def _up(self, process: ContainerProcess[bytes], s: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        stream = process.stdout
        since: float | None = None
        while True:
            try:
                async for chunk in stream:
                    since = None
                    await loop.sock_sendall(s, chunk)
                return
            except OSError:
                return  # the server has left
            except Exception as raised:
                # The stream keeps its offset: iterating it again goes on where it was.
                since = _patience(raised, since)
                await asyncio.sleep(0.25)

    async def _down(self, process: ContainerProcess[bytes], s: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while (head := await _exactly(s, 4)) is not None:
                size = int.from_bytes(head, "big")
                if size > MAX_BATCH:
                    raise SidecarError("tooLarge", f"a batch of {size} bytes is over {MAX_BATCH}")
                batch = await _exactly(s, size)
                if batch is None:
                    return
                process.stdin.write(batch)
                await self._drain(process)
                await loop.sock_sendall(s, b"\x01")

    async def _drain(self, process: ContainerProcess[bytes]) -> None:
        since: float | None = None
        while True:
            try:
                await process.stdin.drain.aio()
                return
            except Exception as raised:
                # The buffer is only cleared once the write has been answered.
                since = _patience(raised, since)
                await asyncio.sleep(0.25)

    async def close(self, p: Reader) -> dict[str, Any]:
        tunnel = self._open.pop(p.text("tunnelId"), None)
        if tunnel is not None:
            tunnel.close()
        return {}


def _patience(raised: Exception, since: float | None) -> float:
    """Says since when a network has been away, or raises what cannot be waited out."""
    now = asyncio.get_running_loop().time()
    if explain(raised).kind not in ("unavailable", "timeout"):
        raise raised
    if since is not None and now - since > PATIENCE:
        raise raised
    return now if since is None else since


async def _exactly(s: socket.socket, size: int) -> bytes | None:
    """Reads so many bytes, or None at a clean end."""
    loop = asyncio.get_running_loop()
    out = bytearray(size)
    view = memoryview(out)
    done = 0
    while done < size:
        n = await loop.sock_recv_into(s, view[done:])
        if n == 0:
            return None
        done += n
    return bytes(out)
