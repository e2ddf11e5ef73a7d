"""What becomes of sandboxes whose server is gone.

For each sandbox the server says beforehand (sandbox/setEnding) how what it has not yet
captured is written to a file inside, and where on this machine that file goes. When the
server's end of the pipe closes, or on SIGTERM, that is done, and then the sandbox is ended:
it would cost money for nobody. Where it cannot be captured, its files are kept as an image,
and only where that fails too it is left alone, to its cap and to the next server.

While a sandbox with an ending is held here, its lock is: a server that starts meanwhile
waits for it, and then finds what this process left.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .calls import CALL_TIMEOUT, MAX_COMPLAINT, bounded, tail
from .errors import SidecarError, explain
from .params import Reader
from .pipes import keep
from .tags import change

if TYPE_CHECKING:
    from .sandboxes import Held, Sandboxes

log = logging.getLogger(__name__)

# An ending may take this long for each sandbox. A capture that hangs leaves the time that
# keeping the files as an image takes, and that leaves some for the note.
ENDING_TIMEOUT = 300.0
SNAPSHOT_TIMEOUT = 120.0
CAPTURE_TIMEOUT = 150.0
# The status of an agent that wrote all down but files that it could only name.
LEFT_INSIDE = 3
# The pause before a capture that the network kept from being made is tried again.
PAUSE = 2.0


# The pause before a lock that somebody has is tried again: who looks at it has it for a moment.
LOCK_PAUSE = 0.1


class Lock:
    """The lock on a file, taken now or as soon as it is free: nothing here waits for it."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._trying = None if self._taken() else asyncio.create_task(self._try())

    def _taken(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    async def _try(self) -> None:
        while True:
            await asyncio.sleep(LOCK_PAUSE)
            if self._taken():
                return

    def close(self) -> None:
        if self._trying is not None:
            self._trying.cancel()
        os.close(self._fd)


@dataclass
class Ending:
    """What to do before a sandbox is ended without its server."""

    # Writes what is not captured to `path` inside; empty where nothing can do that.
    argv: list[str]
    path: str
    # Where the file goes. Beside it lies a note about what was done, see `_note`.
    local_path: str
    # Of the file; more is not brought here.
    max_bytes: int
    # Ends the sandbox afterwards.
    terminate: bool = True
    # Keeps the sandbox's files as an image where no file can be had.
    snapshot: bool = True
    lock_path: str = ""
    # Changed when it stays: nobody holds it any more. An empty one goes away.
    tags: dict[str, str] = field(default_factory=dict)
    _lock: Lock | None = field(default=None, repr=False)

    def lock(self) -> None:
        if self.lock_path and self._lock is None:
            self._lock = Lock(self.lock_path)

    def unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


class Endings:
    """The endings of this process's sandboxes."""

    def __init__(self, sandboxes: Sandboxes) -> None:
        self._sandboxes = sandboxes

    async def set(self, p: Reader) -> dict[str, Any]:
        """Says what to do with a sandbox when the server is gone, see `Ending`."""
        held = self._sandboxes.get(p)
        ending = Ending(
            argv=p.texts("argv", []),
            path=p.text("path", ""),
            local_path=p.text("localPath", ""),
            max_bytes=p.number("maxBytes", 1 << 40),
            terminate=p.flag("terminate", True),
            snapshot=p.flag("snapshot"),
            lock_path=p.text("lockPath", ""),
            tags=p.table("tags"),
        )
        if held.ending is not None and held.ending.lock_path == ending.lock_path:
            ending._lock, held.ending._lock = held.ending._lock, None
        held.set_ending(ending)
        ending.lock()
        return {}

    async def end_all(self) -> None:
        """Captures and ends what is still held."""
        held = self._sandboxes.all()
        await asyncio.gather(*(self._end(h) for h in held), self._sandboxes.settle())

    async def _end(self, held: Held) -> None:
        if held.watcher is not None:
            held.watcher.cancel()
        if held.ending is None and held.joined:
            return
        note: dict[str, Any] = {"sandboxId": held.id, "captured": False, "ended": False}
        safe = True
        try:
            safe = await asyncio.wait_for(self._keep(held, note), ENDING_TIMEOUT)
        except Exception as raised:
            safe = False
            note["problem"] = explain(raised).message or "it took too long"
        if held.ending is not None and not held.ending.terminate:
            log.warning("sandbox %s stays, as delete_on_close says", held.id)
            await self._let_go(held, held.ending)
        elif not safe:
            # It is left to its cap: the next start of the server tries again.
            log.error("sandbox %s: its last changes were not captured: %s", held.id, note.get("problem"))
        else:
            note["ended"] = await self._sandboxes.end_for_certain(held.sandbox)
        if held.ending is not None:
            self._tell(held.ending, note)
            held.ending.unlock()

    async def _let_go(self, held: Held, ending: Ending) -> None:
        if not ending.tags:
            return
        try:
            await change(held.sandbox, ending.tags)
        except Exception as raised:
            log.warning("sandbox %s: setting its tags: %s", held.id, explain(raised).message)

    async def _keep(self, held: Held, note: dict[str, Any]) -> bool:
        """Brings what is not captured here, or keeps it in Modal. False says that it is
        only in the sandbox."""
        ending = held.ending
        if ending is None or not ending.local_path:
            return True
        if ending.argv:
            outcome = await self._try_capture(held, ending)
            if isinstance(outcome, SidecarError):
                note["problem"] = outcome.message
                if outcome.kind == "executorDead" and await held.sandbox.poll.aio() is not None:
                    return True  # it has ended already, and nothing is left to be had
            else:
                note["captured"] = True
                if outcome == 0:
                    return True
        if not ending.terminate:
            return False  # nor does it go away
        if not ending.snapshot:
            note.setdefault("problem", "nothing in it can write down what changed")
            return False
        kept = await bounded(held.sandbox.snapshot_filesystem.aio(), SNAPSHOT_TIMEOUT, "keeping the sandbox's files")
        note["imageId"] = kept.object_id
        self._tell(ending, note)  # before the sandbox goes
        return True

    async def _try_capture(self, held: Held, ending: Ending) -> SidecarError | int:
        """Captures, again while it is the network that fails. Gives the agent's status, or
        says what failed."""
        until = time.monotonic() + CAPTURE_TIMEOUT
        while True:
            try:
                status: int = await bounded(self._capture(held, ending), until - time.monotonic(), "capturing its last changes")
                return status
            except Exception as raised:
                e = explain(raised)
                log.warning("sandbox %s: capturing its last changes: %s", held.id, e.message)
                if e.kind not in ("unavailable", "timeout") or time.monotonic() + PAUSE > until:
                    return e
            await asyncio.sleep(PAUSE)

    async def _capture(self, held: Held, ending: Ending) -> int:
        process = await bounded(held.sandbox.exec.aio(*ending.argv, text=False), CALL_TIMEOUT, "starting the last capture")
        code: int
        complaint: bytes
        code, complaint = await asyncio.gather(process.wait.aio(), tail(process.stderr, MAX_COMPLAINT))
        if code not in (0, LEFT_INSIDE):
            text = complaint.decode("utf-8", "replace").strip()
            raise SidecarError("unsupported", f"the agent answered with status {code}: {text[-2000:]}")
        files = held.sandbox.filesystem
        info = await bounded(files.stat.aio(ending.path), CALL_TIMEOUT, "looking at the last capture")
        if info.size > ending.max_bytes:
            raise SidecarError("tooLarge", f"the last capture has {info.size} bytes, and {ending.max_bytes} can be taken")
        part = Path(ending.local_path + ".part")
        await _bring(held, ending.path, part, info.size)
        _take(part, Path(ending.local_path))
        return int(code)

    def _tell(self, ending: Ending, note: dict[str, Any]) -> None:
        """Writes the note: which sandbox it was, whether its last changes are in the file
        (captured), whether all its files are in an image (imageId), whether it is known to have ended (ended),
        and what went wrong (problem)."""
        if not ending.local_path:
            return
        part = Path(ending.local_path + ".json.part")
        try:
            part.write_text(json.dumps({**note, "at": time.time()}))
            _take(part, Path(ending.local_path + ".json"))
        except OSError as raised:
            log.error("sandbox %s: writing down how it ended: %s", note["sandboxId"], raised)


async def _bring(held: Held, path: str, part: Path, size: int) -> None:
    """Copies a file of the sandbox's here. The SDK's own way to do that has no bound, and
    the file may grow meanwhile."""
    started = held.sandbox.exec.aio("cat", "--", path, text=False)
    process = await bounded(started, CALL_TIMEOUT, "fetching the last capture")
    private = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(private, "wb") as sink:
        work = keep(process.stdout, sink, size), tail(process.stderr, MAX_COMPLAINT), process.wait.aio()
        tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(w) for w in work]
        try:
            came, complaint, code = await asyncio.gather(*tasks)
        finally:
            for task in tasks:  # one that fails ends the others
                task.cancel()
    if code != 0:
        raise SidecarError("unsupported", f"the last capture cannot be read: {complaint.decode('utf-8', 'replace').strip()[-2000:]}")
    if came != size:
        raise SidecarError("unavailable", "the last capture did not come whole")


def _take(part: Path, name: Path) -> None:
    """Gives a file that is complete its name, durably."""
    part.chmod(0o600)
    _sync(part)
    part.rename(name)
    _sync(name.parent)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
