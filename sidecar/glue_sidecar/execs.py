"""Commands, without an agent in the sandbox.

The SDK can start a command, but neither signal it nor tell its process id, and it does
not say whether output is missing that a cut network kept. So a command runs under a
small shell script, see `shell`. Images without a shell run commands as they are; what
cannot be done there is refused by name.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import math
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import calls, shell
from .errors import SidecarError, explain, invalid
from .outputs import ATTEMPTS, Output, packed
from .params import Reader
from .sandboxes import CALL_TIMEOUT, Held, Notify, Sandboxes, bounded

if TYPE_CHECKING:
    import modal

log = logging.getLogger(__name__)

# Bytes of input in one call of the SDK's, which are acknowledged one after another.
MAX_WRITE = 1 << 20
# More than these bytes of arguments and environment go in a file: Modal takes 64 KiB,
# of which our scripts need some.
MAX_ARGUMENTS = 48 << 10
# The kernel takes no longer string (MAX_ARG_STRLEN in execve(2)).
MAX_ARGUMENT = (128 << 10) - 1
# What the file may have.
MAX_FILE = 4 << 20

# After a command has ended its descendants may hold its pipes open for as long as they
# like; they are listened to for so long.
GRACE = 0.2
# The same where the command ended without a word, as with a wrapper that was killed.
SILENT_GRACE = 3.0
# Without a shell it is Modal that ends a command which takes too long, a second or two
# after its time. It gets this many more.
PLAIN_GRACE = 10.0
# What is read of the answers of our own scripts.
MAX_ANSWER = 4 << 20
# How many commands that have ended can still be told by their ids.
MAX_ENDED = 4096

_REFUSALS = {
    "cwdNotFound": ("fileNotFound", "the folder to start in does not exist"),
    "cwdNotADirectory": ("notADirectory", "the folder to start in is no folder"),
    "cwdDenied": ("permissionDenied", "the folder to start in cannot be entered"),
    "fileNotFound": ("fileNotFound", "there is no such program in the sandbox"),
    "permissionDenied": ("permissionDenied", "it is not a program that can be run"),
    "arguments": ("unavailable", "the command's arguments did not arrive"),
}


@dataclass
class Command:
    """A command that was started."""

    id: str
    held: Held
    process: modal.container_process.ContainerProcess[bytes]
    stdin: Stdin
    outputs: list[Output]
    status: asyncio.Task[int] = field(repr=False)
    pumps: list[asyncio.Task[None]] = field(default_factory=list, repr=False)  # of outputs that are read already
    leader: int = 0  # of its session, 0 without a shell
    timed_out: bool = False
    stuck: SidecarError | None = None  # it took too long, and could not be ended
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def wrapped(self) -> bool:
        return self.leader != 0

    def drop(self) -> None:
        """Waits for nothing of it any more."""
        _forget(*self.pumps, self.status)


class Stdin:
    """Writes of one command's input: the SDK takes one at a time, and loses what is
    written while another is under way."""

    def __init__(self, process: modal.container_process.ContainerProcess[bytes]) -> None:
        self._writer = process.stdin
        self._lock = asyncio.Lock()
        self._ended = False

    async def write(self, data: bytes, eof: bool) -> None:
        """Returns when the sandbox has all of it."""
        async with self._lock:
            if self._ended:
                if data:
                    raise SidecarError("conflict", "the command's input has been closed")
                return
            for at in range(0, len(data), MAX_WRITE):
                self._writer.write(data[at : at + MAX_WRITE])
                if eof and at + MAX_WRITE >= len(data):
                    self._writer.write_eof()
                await self._writer.drain.aio()
            if eof and not data:
                self._writer.write_eof()
                await self._writer.drain.aio()
            self._ended = eof


@dataclass
class Wish:
    """What a call to exec/start asks for."""

    id: str
    held: Held
    argv: list[bytes]
    env: dict[bytes, bytes]
    cwd: str
    size: str | None  # of a terminal, for stty
    stdin: bool
    timeout: float | None
    window: int | None

    @classmethod
    def read(cls, p: Reader, held: Held) -> Wish:
        argv = _bytes_list(p, "argv")
        if not argv:
            raise invalid("argv", "is empty")
        env = {k.encode(): v.encode("utf-8", "surrogatepass") for k, v in p.table("env").items()}
        env.update({k.encode(): _decode("envBytes", v) for k, v in p.table("envBytes").items()})
        for name, value in env.items():
            if not name or b"=" in name or b"\0" in name + value:
                raise invalid("env", f"{name.decode()!r} cannot be a variable")
        if any(len(a) > MAX_ARGUMENT for a in argv) or sum(map(len, argv)) > MAX_FILE:
            raise SidecarError("tooLarge", f"an argument can have {MAX_ARGUMENT} bytes", hint="put it into a file and name that")
        size = None
        if (pty := p.object("pty")) is not None:
            rows, cols = pty.number("rows", 0), pty.number("cols", 0)
            size = f"rows {rows} cols {cols}" if rows > 0 and cols > 0 else ""
        ms = p.real("timeoutMs")
        return cls(
            id=p.text("execId", uuid.uuid4().hex),
            held=held,
            argv=argv,
            env=env,
            cwd=p.optional_text("cwd") or "",
            size=size,
            stdin=p.flag("keepStdin"),
            timeout=None if ms is None else ms / 1000,
            window=p.optional_number("windowBytes"),
        )

    @property
    def program(self) -> str:
        return self.argv[0].decode("utf-8", "replace")

    def texts(self) -> tuple[list[str], dict[str, str]] | None:
        """Arguments and environment as the SDK takes them, None if it cannot."""
        if sum(map(len, self.argv)) + sum(len(k) + len(v) for k, v in self.env.items()) > MAX_ARGUMENTS:
            return None
        try:
            return [a.decode() for a in self.argv], {k.decode(): v.decode() for k, v in self.env.items()}
        except UnicodeDecodeError:
            return None


class Execs:
    """The commands of this process, by id."""

    def __init__(self, sandboxes: Sandboxes, notify: Notify) -> None:
        self._sandboxes = sandboxes
        self._notify = notify
        self._commands: dict[str, Command] = {}
        self._starting: set[str] = set()
        self._ended: dict[str, Held] = {}  # the oldest first
        self._without_shell: set[str] = set()
        self._undoing: set[asyncio.Task[None]] = set()

    async def start(self, p: Reader) -> dict[str, Any]:
        """Starts a command. Standard input is at its end unless keepStdin; output comes
        as exec/output, at most windowBytes of each stream ahead of exec/ack."""
        w = Wish.read(p, self._sandboxes.get(p))
        if w.id in self._commands or w.id in self._ended or w.id in self._starting:
            raise SidecarError("conflict", f"there is a command {w.id} already")
        self._starting.add(w.id)
        starting = asyncio.create_task(self._start(w))
        starting.add_done_callback(lambda _: self._starting.discard(w.id))
        try:
            command = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # Nobody waits for it any more: what starts all the same is ended.
            starting.add_done_callback(self._undo)
            raise
        return {"execId": w.id, "pid": command.leader}

    def _undo(self, starting: asyncio.Task[Command]) -> None:
        if starting.cancelled() or starting.exception() is not None:
            return
        c = starting.result()
        if c.wrapped:
            task = asyncio.create_task(self._end(c.held, c.id, c.leader))
            self._undoing.add(task)
            task.add_done_callback(self._undone)

    def _undone(self, task: asyncio.Task[None]) -> None:
        self._undoing.discard(task)
        if not task.cancelled() and (failed := task.exception()) is not None:
            log.warning("a command that nobody waits for was not ended: %s", explain(failed).message)

    async def _start(self, w: Wish) -> Command:
        command = None
        if w.held.id not in self._without_shell:
            command = await self._start_wrapped(w)
        if command is None:
            command = await self._start_plain(w)
        self._commands[w.id] = command
        command.task = asyncio.create_task(self._run(command, w.timeout))
        return command

    async def _start_wrapped(self, w: Wish) -> Command | None:
        """Starts it under the shell, and waits until it can be signalled. None says that
        there is no shell, and that nothing was started."""
        word = secrets.token_hex(16)
        how = ("" if w.size is None else "t") + ("i" if w.stdin else "")
        argv, options = await self._carried(w, how)
        line = shell.start(word, options.pop("how"), w.cwd or "/", w.size or "", w.id, argv)
        try:
            process = await self._exec(w, line, options)
        except SidecarError as e:
            if e.kind not in ("invalidParams", "fileNotFound"):
                raise
            self._without_shell.add(w.held.id)
            return None
        c = self._command(w, process, word)
        # Whatever can be asked for now need not be waited for later.
        c.pumps = [self._pump(c, o) for o in c.outputs[1:]]
        try:
            first = await self._first_line(c.outputs[0], word)
            if first is None:
                # Without a shell some servers start what is not there, and it just ends.
                if await bounded(asyncio.shield(c.status), CALL_TIMEOUT, "starting the command") in (0, 1):
                    raise SidecarError("unavailable", "the command ended before it began")
                self._without_shell.add(w.held.id)
                c.drop()
                return None
            answer, _, detail = first.partition(" ")
            if answer != "ok":
                kind, message = _REFUSALS.get(detail, ("unavailable", detail))
                path = w.cwd if detail.startswith("cwd") else w.program
                raise SidecarError(kind, f"{path}: {message}", path=path)
        except BaseException:
            c.drop()
            raise
        c.leader = int(detail)
        return c

    def _command(self, w: Wish, process: modal.container_process.ContainerProcess[bytes], word: str | None) -> Command:
        names = ("stdout", "stderr") if w.size is None else ("stdout",)
        outputs = [Output(n, getattr(process, n), word, w.window) for n in names]
        return Command(w.id, w.held, process, Stdin(process), outputs, asyncio.create_task(_status(process)))

    def _pump(self, c: Command, o: Output) -> asyncio.Task[None]:
        async def send(piece: bytes) -> None:
            await self._notify("exec/output", packed(c.id, o.name, piece))

        return asyncio.create_task(o.pass_on(send))

    async def _carried(self, w: Wish, how: str) -> tuple[list[str], dict[str, Any]]:
        """The arguments, or the file that they are in."""
        if (texts := w.texts()) is not None:
            return texts[0], {"how": how, "env": texts[1]}
        content = shell.arguments(w.argv, w.env)
        if len(content) > MAX_FILE:
            raise SidecarError("tooLarge", f"arguments and environment can have {MAX_FILE} bytes together")
        file = f"/tmp/.glue-arguments-{secrets.token_hex(8)}"
        await bounded(w.held.sandbox.filesystem.write_bytes.aio(content, file), CALL_TIMEOUT, "sending the arguments")
        return [file], {"how": how + "f", "env": {}}

    async def _first_line(self, output: Output, word: str) -> str | None:
        """Reads what the wrapper says first. What comes after it is left in the output."""
        head = word.encode() + b" "
        seen = b""
        async for chunk in output.chunks():
            seen += chunk
            at = seen.find(head)
            if at < 0 and len(seen) < 64 << 10:
                continue
            line, end, rest = seen[at + len(head) :].partition(b"\n")
            if at >= 0 and not end and len(seen) < 64 << 10:
                continue
            if at < 0 or not end:
                return None
            output.put_back(rest)
            return line.strip().decode("utf-8", "replace")
        return None

    async def _start_plain(self, w: Wish) -> Command:
        texts = w.texts()
        if texts is None:
            raise SidecarError("unsupported", "arguments that are long or not UTF-8 need a shell (sh) in the image", path=w.program)
        options: dict[str, Any] = {"env": texts[1]}
        if w.cwd:
            options["workdir"] = w.cwd
        if w.timeout is not None:
            options["timeout"] = max(1, math.ceil(w.timeout) + 1)
        try:
            process = await self._exec(w, texts[0], options)
        except SidecarError as e:
            if e.kind == "invalidParams":
                raise SidecarError("fileNotFound", f"{w.program}: {e.message}", path=w.program) from e
            raise
        command = self._command(w, process, None)
        if not w.stdin and w.size is None:
            await command.stdin.write(b"", True)
        return command

    async def _exec(self, w: Wish, argv: list[str], options: dict[str, Any]) -> modal.container_process.ContainerProcess[bytes]:
        if not options.get("env"):
            options.pop("env", None)
        if w.size is not None:
            options["pty"] = True
        try:
            started = w.held.sandbox.exec.aio(*argv, text=False, **options)
            process: modal.container_process.ContainerProcess[bytes] = await bounded(started, CALL_TIMEOUT, "starting the command")
            return process
        except Exception as raised:
            raise explain(raised) from raised

    async def _run(self, c: Command, timeout: float | None) -> None:
        """Passes output on, and tells how the command ended."""
        outcome = asyncio.create_task(self._outcome(c))
        timer = None if timeout is None else asyncio.create_task(self._end_after(c, timeout, outcome))
        end: dict[str, Any] = {"execId": c.id}
        try:
            code = await outcome
            if c.wrapped and code > 128 and (name := shell.NAMES.get(code - 128)):
                end["signal"] = name
            end["exitCode"] = 124 if c.timed_out else code
        except (Exception, asyncio.CancelledError) as raised:
            if isinstance(raised, asyncio.CancelledError) and c.stuck is None:
                outcome.cancel()
                return
            failure = c.stuck or explain(raised)
            end.update(exitCode=-1, error={"kind": failure.kind, "message": failure.message})
        finally:
            if timer is not None and not c.timed_out:
                timer.cancel()
        if c.timed_out and timer is not None:
            # Every descendant is gone before anybody is told.
            with contextlib.suppress(Exception):
                await timer
        end["timedOut"] = c.timed_out
        self._commands.pop(c.id, None)
        self._ended[c.id] = c.held
        while len(self._ended) > MAX_ENDED:
            self._ended.pop(next(iter(self._ended)))
        await self._notify("exec/exit", end)

    async def _outcome(self, c: Command) -> int:
        """Waits for a command's end and for all that it printed."""
        pumps = [self._pump(c, o) for o in c.outputs[: len(c.outputs) - len(c.pumps)]] + c.pumps
        told = [asyncio.create_task(o.ended.wait()) for o in c.outputs]
        status = c.status
        try:
            await _first_failure([asyncio.create_task(_all(told)), status, *pumps], lambda: status.done() or all(t.done() for t in told))
            if not all(t.done() for t in told):
                await self._silence(c, pumps, told)
            await asyncio.wait(pumps, timeout=GRACE)
            _raise_failures(pumps)
            marks = [o.marked.status for o in c.outputs if o.marked is not None and o.marked.status is not None]
            if not marks and c.wrapped:
                await self._still_there(c)
            return marks[0] if marks else await status
        finally:
            _forget(*pumps, *told, status)

    async def _still_there(self, c: Command) -> None:
        """A command whose wrapper had no last words may have gone with its sandbox."""
        for pause in (0.0, 0.3, 0.7):
            await asyncio.sleep(pause)
            if await bounded(c.held.sandbox.poll.aio(), CALL_TIMEOUT, "asking for the sandbox's state") is not None:
                raise SidecarError("executorDead", "the sandbox has ended, and the command with it")

    async def _silence(self, c: Command, pumps: list[asyncio.Task[None]], told: list[asyncio.Task[Any]]) -> None:
        """Waits for the end of all outputs of a process that has ended, or until nothing
        came for a while by nobody's fault but its descendants'."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        while not all(t.done() for t in told) and loop.time() - since < SILENT_GRACE:
            await asyncio.wait([t for t in told if not t.done()], timeout=SILENT_GRACE / 10)
            _raise_failures(pumps)
            since = max(since, *(loop.time() if o.waiting else o.moved for o in c.outputs))

    async def _end_after(self, c: Command, seconds: float, outcome: asyncio.Task[int]) -> None:
        """Ends a command when its time is over. If that is not possible nobody waits for
        it any longer."""
        await asyncio.sleep(seconds)
        c.timed_out = True
        problem = "without a shell (sh) in the image it is Modal's to end it, which it did not"
        if c.wrapped:
            if (failed := await self._try_to_end(c)) is None:
                return
            problem = failed.message
            log.warning("a command that took too long was not ended: %s", problem)
        else:
            await asyncio.wait([c.status], timeout=PLAIN_GRACE)
        if not c.status.done() and not outcome.done():
            c.stuck = SidecarError("timeout", f"the command did not end within {seconds:g} s, and may still run: {problem}")
            outcome.cancel()

    async def _try_to_end(self, c: Command) -> SidecarError | None:
        """Ends a command, again while it is the network that fails, and says what did."""
        attempts = 0
        while True:
            try:
                await self._end(c.held, c.id, c.leader)
                return None
            except Exception as raised:
                e = explain(raised)
                attempts += 1
                if e.kind not in ("unavailable", "timeout") or attempts > ATTEMPTS:
                    return e
            await asyncio.sleep(min(8.0, 0.25 * 2**attempts))

    async def _end(self, held: Held, ident: str, leader: int) -> None:
        """TERM, then KILL, for all of a command."""
        if held.id in self._without_shell:
            raise SidecarError("unsupported", "this image has no shell (sh), so its commands cannot be ended one by one")
        if await self._inside(held, shell.end(ident, leader)) != 0:
            raise SidecarError("unavailable", "processes of the command could not be ended")

    async def _inside(self, held: Held, argv: list[str]) -> int:
        code, _ = await self._ask(held, argv)
        return code

    async def _ask(self, held: Held, argv: list[str]) -> tuple[int, bytes]:
        """Runs one of the scripts, and gives its status and output."""
        process = await bounded(held.sandbox.exec.aio(*argv, text=False), CALL_TIMEOUT, "running a command")
        both = asyncio.gather(process.wait.aio(), calls.first(process.stdout, MAX_ANSWER))
        code, out = await bounded(both, 3 * CALL_TIMEOUT, "running a command")
        return code, out

    async def kill(self, p: Reader) -> dict[str, Any]:
        """Sends one signal, or, without a name, ends the command and its descendants."""
        ident = p.text("execId")
        name = p.optional_text("signal")
        c = self._commands.get(ident)
        if name is None:
            held = c.held if c is not None else self._ended.get(ident)
            if held is None:
                raise SidecarError("noSuchExec", f"there is no command {ident}")
            await self._end(held, ident, 0 if c is None else c.leader)
            return {}
        c = self._get(p)
        short = name.removeprefix("SIG")
        if short not in shell.SIGNALS:
            raise invalid("signal", f"{name!r} is not a signal's name")
        if not c.wrapped:
            raise SidecarError("unsupported", "this image has no shell (sh), so its commands cannot be signalled")
        if await self._inside(c.held, shell.signal(c.leader, short)) == 3:
            raise SidecarError("noSuchExec", f"the command {c.id} has ended")
        return {}

    async def resize(self, p: Reader) -> dict[str, Any]:
        c = self._get(p)
        rows, cols = p.number("rows"), p.number("cols")
        if not c.wrapped:
            raise SidecarError("unsupported", "this image has no shell (sh), so its terminals keep their size")
        if await self._inside(c.held, shell.resize(c.leader, rows, cols)) != 0:
            raise SidecarError("unsupported", "the terminal's size could not be set: is there stty in the image?")
        return {}

    async def write(self, p: Reader) -> dict[str, Any]:
        data = p.text("data", "")
        raw = _decode("data", data) if p.text("encoding", "utf-8") == "base64" else data.encode("utf-8", "surrogatepass")
        await self._get(p).stdin.write(raw, p.flag("eof"))
        return {}

    async def ack(self, p: Reader) -> dict[str, Any]:
        """The server has taken that many bytes of each stream since the beginning."""
        c = self._commands.get(p.text("execId"))
        if c is not None:
            for o in c.outputs:
                o.window.taken(p.number(o.name, 0))
        return {}

    async def background(self, p: Reader) -> dict[str, Any]:
        """Says which of some commands have processes that run."""
        held = self._sandboxes.get(p)
        asked = p.texts("execIds")
        if not asked or held.id in self._without_shell:
            return {"execIds": []}
        _, out = await self._ask(held, shell.marks())
        marks = {line.removeprefix(b"GLUE_EXEC=").decode("ascii", "replace") for line in out.splitlines()}
        return {"execIds": [ident for ident in asked if shell.mark(ident) in marks]}

    def _get(self, p: Reader) -> Command:
        ident = p.text("execId")
        command = self._commands.get(ident)
        if command is None:
            raise SidecarError("noSuchExec", f"there is no command {ident}")
        return command


async def _status(process: modal.container_process.ContainerProcess[bytes]) -> int:
    attempts = 0
    while True:
        try:
            code: int = await process.wait.aio()
            return code
        except Exception as raised:
            attempts += 1
            if explain(raised).kind not in ("unavailable", "timeout") or attempts > ATTEMPTS:
                raise
            await asyncio.sleep(min(8.0, 0.25 * 2**attempts))


def _forget(*tasks: asyncio.Task[Any]) -> None:
    """Ends tasks whose outcome counts no more."""
    for task in tasks:
        task.cancel()
        task.add_done_callback(lambda t: t.cancelled() or t.exception())


def _raise_failures(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        if task.done() and not task.cancelled() and (failed := task.exception()) is not None:
            raise failed


async def _all(tasks: list[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks)


async def _first_failure(tasks: list[asyncio.Task[Any]], until: Callable[[], bool]) -> None:
    """Waits until what is waited for has come, or a task failed."""
    pending = set(tasks)
    while pending and not until():
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        _raise_failures(list(done))


def _bytes_list(p: Reader, field: str) -> list[bytes]:
    """A list of strings, or of base64 under the name with Bytes, which counts."""
    encoded = p.texts(field + "Bytes", [])
    values = [_decode(field + "Bytes", v) for v in encoded] if encoded else [v.encode("utf-8", "surrogatepass") for v in p.texts(field, [])]
    if any(b"\0" in v for v in values):
        raise invalid(field, "holds a NUL")
    return values


def _decode(field: str, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        raise invalid(field, "is not base64") from None
