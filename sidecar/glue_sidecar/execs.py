"""Commands, without an agent in the sandbox.

The SDK can start a command, but neither signal it nor tell its process id. So a
command runs under a small shell script that puts it into a session of its own and
writes that session's id where a second command finds it. Images without a shell run
commands as they are; what cannot be done there is refused by name.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import SidecarError, explain
from .params import Reader
from .sandboxes import CALL_TIMEOUT, Held, Notify, Sandboxes, bounded

if TYPE_CHECKING:
    import modal

log = logging.getLogger(__name__)

PLACE = "/tmp/.glue-exec"

# $1 is where the id goes. A process that leads its group already has a session of its
# own; setsid would fork there, and its status would be lost.
_START = f"""mkdir -p {PLACE} && id="{PLACE}/$1" && shift
read -r _ _ _ _ group _ </proc/$$/stat
if [ "$group" != $$ ] && command -v setsid >/dev/null 2>&1; then
  exec setsid sh -c 'echo $$ >"$0"; exec "$@"' "$id" "$@"
fi
echo $$ >"$id"; exec "$@"
"""
_KILL = f"""p=$(cat "{PLACE}/$1") && [ -n "$p" ] && {{ kill -s "$2" -- "-$p" 2>/dev/null || kill -s "$2" "$p"; }}"""

KILL_GRACE = 2.0
# Stdin that was not taken yet is gathered up to this.
MAX_STDIN = 8 << 20


@dataclass
class Command:
    """A command that was started."""

    id: str
    held: Held
    process: modal.container_process.ContainerProcess[bytes]
    wrapped: bool
    timed_out: bool = False
    task: asyncio.Task[None] | None = field(default=None, repr=False)
    stdin: Stdin | None = field(default=None, repr=False)


class Stdin:
    """Writes of one command's input: the SDK takes one at a time, and loses what is
    written while another is under way."""

    def __init__(self, process: modal.container_process.ContainerProcess[bytes]) -> None:
        self._writer = process.stdin
        self._waiting = bytearray()
        self._eof = False
        self._lock = asyncio.Lock()

    async def write(self, data: bytes, eof: bool) -> None:
        if len(self._waiting) + len(data) > MAX_STDIN:
            raise SidecarError("tooLarge", "the command does not read its input, and no more can be kept for it")
        self._waiting += data
        self._eof = self._eof or eof
        async with self._lock:
            if not self._waiting and not self._eof:
                return
            batch, self._waiting = bytes(self._waiting), bytearray()
            self._writer.write(batch)
            if self._eof:
                self._writer.write_eof()
            await self._writer.drain.aio()


class Execs:
    """The commands of this process, by id."""

    def __init__(self, sandboxes: Sandboxes, notify: Notify) -> None:
        self._sandboxes = sandboxes
        self._notify = notify
        self._commands: dict[str, Command] = {}
        self._shells: dict[str, bool] = {}

    async def start(self, p: Reader) -> dict[str, Any]:
        held = self._sandboxes.get(p)
        argv = p.texts("argv")
        if not argv:
            raise SidecarError("invalidParams", "argv: is empty", code=-32602)
        ident = p.text("execId", uuid.uuid4().hex)
        pty = p.object("pty")
        wrapped = await self._has_shell(held)
        command = ["sh", "-c", _START, "sh", ident, *argv] if wrapped else argv
        options: dict[str, Any] = {"text": False}
        if cwd := p.optional_text("cwd"):
            options["workdir"] = cwd
        if env := p.table("env"):
            options["env"] = env
        if pty is not None:
            options["pty"] = True
        started = held.sandbox.exec.aio(*command, **options)
        process = await bounded(started, CALL_TIMEOUT, "starting the command")
        c = Command(ident, held, process, wrapped)
        c.stdin = Stdin(process)
        self._commands[ident] = c
        if pty is not None:
            await self._resize(c, pty)
        if not p.flag("keepStdin"):
            await c.stdin.write(b"", True)
        c.task = asyncio.create_task(self._run(c, p.real("timeoutMs")))
        return {"execId": ident}

    async def _has_shell(self, held: Held) -> bool:
        if held.id not in self._shells:
            try:
                probe = await bounded(held.sandbox.exec.aio("sh", "-c", ":", text=False), CALL_TIMEOUT, "looking for a shell")
                self._shells[held.id] = await bounded(probe.wait.aio(), CALL_TIMEOUT, "looking for a shell") == 0
            except SidecarError:
                raise
            except Exception as raised:
                if explain(raised).kind not in ("invalidParams", "fileNotFound"):
                    raise
                self._shells[held.id] = False
        return self._shells[held.id]

    async def _resize(self, c: Command, pty: Reader) -> None:
        """The SDK cannot set a terminal's size: the terminal's own program does it."""
        size = f"stty rows {pty.number('rows')} cols {pty.number('cols')}"
        if c.wrapped:
            await self._inside(c.held, f'p=$(cat "{PLACE}/$1") && {size} <"/proc/$p/fd/0"', c.id)

    async def resize(self, p: Reader) -> dict[str, Any]:
        await self._resize(self._get(p), p)
        return {}

    async def _inside(self, held: Held, script: str, *args: str) -> int:
        process = await bounded(held.sandbox.exec.aio("sh", "-c", script, "sh", *args, text=False), CALL_TIMEOUT, "running a command")
        code: int = await bounded(process.wait.aio(), CALL_TIMEOUT, "running a command")
        return code

    async def _run(self, c: Command, timeout_ms: float | None) -> None:
        """Passes output on, and tells how the command ended."""
        timer = None
        if timeout_ms is not None:
            timer = asyncio.create_task(self._end_after(c, timeout_ms / 1000))
        failure: SidecarError | None = None
        code = -1
        try:
            outputs = asyncio.gather(self._pass_on(c, "stdout", c.process.stdout), self._pass_on(c, "stderr", c.process.stderr))
            code = await c.process.wait.aio()
            with contextlib.suppress(asyncio.TimeoutError):
                # Descendants may hold the pipes open for as long as they like.
                await asyncio.wait_for(outputs, 1.0)
        except asyncio.CancelledError:
            return
        except Exception as raised:
            failure = explain(raised)
        finally:
            if timer is not None:
                timer.cancel()
            self._commands.pop(c.id, None)
        end: dict[str, Any] = {"execId": c.id, "exitCode": 124 if c.timed_out else code, "timedOut": c.timed_out}
        if failure is not None:
            end["error"] = {"kind": failure.kind, "message": failure.message}
        await self._notify("exec/exit", end)

    async def _pass_on(self, c: Command, name: str, stream: AsyncIterator[bytes]) -> None:
        attempts = 0
        while True:
            try:
                async for chunk in stream:
                    attempts = 0
                    data = base64.b64encode(chunk).decode("ascii")
                    await self._notify("exec/output", {"execId": c.id, "stream": name, "data": data, "encoding": "base64"})
                return
            except Exception as raised:
                # The stream keeps its place, so that iterating it again goes on.
                attempts += 1
                if explain(raised).kind != "unavailable" or attempts > 6:
                    raise
                await asyncio.sleep(min(8.0, 0.25 * 2**attempts))

    async def _end_after(self, c: Command, seconds: float) -> None:
        await asyncio.sleep(seconds)
        c.timed_out = True
        await self._end(c)

    async def _end(self, c: Command) -> None:
        """TERM, then KILL, for the command's whole session."""
        if not c.wrapped:
            raise SidecarError("unsupported", "this image has no shell, so its commands cannot be ended one by one")
        await self._inside(c.held, _KILL, c.id, "TERM")
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(c.process.wait.aio(), KILL_GRACE)
        await self._inside(c.held, _KILL, c.id, "KILL")

    async def kill(self, p: Reader) -> dict[str, Any]:
        """Sends one signal, or, without a name, ends the command."""
        c = self._get(p)
        name = p.optional_text("signal")
        if name is None:
            await self._end(c)
            return {}
        if not c.wrapped:
            raise SidecarError("unsupported", "this image has no shell, so its commands cannot be signalled")
        if not name.removeprefix("SIG").isalnum():
            raise SidecarError("invalidParams", f"signal: {name!r} is not a signal's name", code=-32602)
        await self._inside(c.held, _KILL, c.id, name.removeprefix("SIG"))
        return {}

    async def write(self, p: Reader) -> dict[str, Any]:
        c = self._get(p)
        data = p.text("data", "")
        raw = base64.b64decode(data) if p.text("encoding", "utf-8") == "base64" else data.encode()
        assert c.stdin is not None
        await c.stdin.write(raw, p.flag("eof"))
        return {}

    def _get(self, p: Reader) -> Command:
        ident = p.text("execId")
        command = self._commands.get(ident)
        if command is None:
            raise SidecarError("noSuchExec", f"there is no command {ident}")
        return command
