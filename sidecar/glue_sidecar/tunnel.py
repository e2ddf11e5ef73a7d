"""Carries an agent's bytes through commands of a sandbox.

Down to the agent there are several lanes, each a command of its own with a socket from
the server beside it: the SDK answers one write before the next may go, so that one lane
alone costs a round trip per frame. A socket carries batches, each with its length in
four bytes (big endian) before it; one byte goes back when the lane can take its first
batch, and when the sandbox has taken one. Up from the agent there is one standard
output, and plain bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from . import pumps
from .calls import CALL_TIMEOUT, bounded
from .descriptors import Descriptors
from .errors import explain, invalid
from .loops import Place
from .params import Reader
from .sandboxes import Held, Notify, Sandboxes

if TYPE_CHECKING:
    from modal.container_process import ContainerProcess

log = logging.getLogger(__name__)

MAX_LANES = 32


@dataclass
class Tunnel:
    """An open one."""

    id: str
    held: Held
    place: Place = field(default_factory=Place, repr=False)
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
        tunnel = Tunnel(ident, held)
        self._open[ident] = tunnel
        # The others start beside the first: they are of use when frames are many.
        starts = [asyncio.create_task(self._start(tunnel, argv, quiet=False))]
        starts += [asyncio.create_task(self._start(tunnel, lane_argv, quiet=True)) for _ in down[1:]]
        try:
            # A command that was asked for is known to the end: it may start all the same.
            tunnel.first = await asyncio.shield(starts[0])
        except BaseException:
            self._open.pop(ident, None)
            for s in (up, *down):
                s.close()
            for start in starts:
                self._later(self._hang_up_started(start))
            raise
        ways = [partial(pumps.up, tunnel.first, up), partial(pumps.down, tunnel.first, down[0])]
        work: list[Callable[[], Awaitable[None]]] = [partial(tunnel.place.run, way) for way in ways]
        work += [partial(self._late, tunnel, start, s) for start, s in zip(starts[1:], down[1:], strict=True)]
        tunnel.tasks = [asyncio.create_task(self._guard(tunnel, pump)) for pump in work]
        return {"tunnelId": ident}

    async def close(self, p: Reader) -> dict[str, Any]:
        tunnel = self._open.pop(p.text("tunnelId"), None)
        if tunnel is not None:
            self._close(tunnel)
        return {}

    async def _start(self, tunnel: Tunnel, argv: list[str], quiet: bool) -> ContainerProcess[bytes]:
        from modal.stream_type import StreamType

        out = StreamType.DEVNULL if quiet else StreamType.PIPE
        command = tunnel.held.sandbox.exec.aio(*argv, text=False, stdout=out, stderr=StreamType.DEVNULL, secrets=tunnel.place)
        process: ContainerProcess[bytes] = await bounded(command, CALL_TIMEOUT, "starting the agent")
        return process

    async def _guard(self, tunnel: Tunnel, pump: Callable[[], Awaitable[None]]) -> None:
        """One pump's end is the tunnel's: half of it is of no use."""
        message = ""
        try:
            await pump()
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except pumps.ServerLeft:
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

    async def _late(self, tunnel: Tunnel, start: asyncio.Task[ContainerProcess[bytes]], s: socket.socket) -> None:
        """A lane that cannot be started is never ready, and so never used."""
        try:
            process = await asyncio.shield(start)
        except asyncio.CancelledError:
            s.close()
            self._later(self._hang_up_started(start))
            raise
        except Exception as raised:
            log.warning("the tunnel goes on without one of its lanes: %s", explain(raised).message)
            with contextlib.closing(s):
                await asyncio.Event().wait()  # its end would be the tunnel's
        else:
            await tunnel.place.run(partial(pumps.down, process, s))
