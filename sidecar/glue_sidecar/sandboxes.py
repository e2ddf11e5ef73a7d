"""Sandboxes: made, joined, listed and ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import making
from .calls import CALL_TIMEOUT, bounded
from .errors import SidecarError, explain
from .making import EXPIRES_TAG, Made, Maker, Request
from .params import Reader

if TYPE_CHECKING:
    import modal

    from .endings import Ending

__all__ = ["CALL_TIMEOUT", "Held", "Notify", "Sandboxes", "bounded"]

log = logging.getLogger(__name__)

Notify = Callable[[str, dict[str, Any]], Coroutine[Any, Any, None]]

SNAPSHOT_TIMEOUT = 15 * 60.0
# Ending is tried this often, with pauses of 1, 2, 4, … seconds.
END_ATTEMPTS = 5
# How many sandboxes of a list are asked for their tags at once.
LIST_PARALLEL = 16


@dataclass
class Held:
    """A sandbox that this process holds."""

    id: str
    sandbox: modal.Sandbox
    expires_at: float | None = None
    # It was joined, not made here: without an ending it is not this process's to end.
    joined: bool = False
    ending: Ending | None = None
    watcher: asyncio.Task[None] | None = field(default=None, repr=False)

    def set_ending(self, ending: Ending | None) -> None:
        """Replaces what is to be done without the server. Nobody waits for the former
        one any more."""
        former, self.ending = self.ending, ending
        if former is not None:
            former.unlock()


class Sandboxes:
    """The sandboxes of this process, by id."""

    def __init__(self, notify: Notify, progress: Callable[[str], None]) -> None:
        self._notify = notify
        self._held: dict[str, Held] = {}
        self._maker = Maker(progress)
        # What goes on when whoever asked for it has left.
        self._loose: set[asyncio.Task[Any]] = set()

    def all(self) -> list[Held]:
        return list(self._held.values())

    def get(self, p: Reader) -> Held:
        """Finds the sandbox that a call is for."""
        ident = p.text("sandboxId")
        held = self._held.get(ident)
        if held is None:
            raise SidecarError("noSuchSession", f"sandbox {ident} is not held here", hint="sandbox/attach joins it")
        return held

    async def create(self, p: Reader) -> dict[str, Any]:
        """Makes a sandbox. If the call is cancelled, the sandbox that comes after all is
        ended."""
        request = making.read(p)
        task = asyncio.create_task(self._maker.make(request))
        try:
            made = await asyncio.shield(task)
        except asyncio.CancelledError:
            self._abandon(task, request)
            raise
        return {**_info(self._hold(made.sandbox, made.expires)), **made.told()}

    def _abandon(self, task: asyncio.Task[Made], request: Request) -> None:
        if not request.sent:
            task.cancel()

        async def end() -> None:
            try:
                made = await task
            except (Exception, asyncio.CancelledError):
                return  # none was made
            log.info("sandbox %s came when nobody waited for it any more: it is ended", made.sandbox.object_id)
            await self.end_for_certain(made.sandbox)

        self.go_on(end())

    def go_on(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begins what must not be left half done when a call is cancelled: whoever waits
        for it does so behind asyncio.shield."""
        task = asyncio.create_task(work)
        self._loose.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._loose.discard(task)
        if not task.cancelled() and (raised := task.exception()):
            log.debug("what went on by itself failed: %s", explain(raised).message)

    async def settle(self) -> None:
        """Waits for what goes on although nobody waits for it: sandboxes that are still
        to be ended."""
        while self._loose:
            await asyncio.wait(list(self._loose))

    async def attach(self, p: Reader) -> dict[str, Any]:
        """Joins a sandbox that somebody else made."""
        import modal

        ident = p.text("sandboxId")
        if ident in self._held:
            return _info(self._held[ident])
        try:
            sandbox = await bounded(modal.Sandbox.from_id.aio(ident), CALL_TIMEOUT, "finding the sandbox")
            ended = await bounded(sandbox.poll.aio(), CALL_TIMEOUT, "asking for the sandbox's state")
        except Exception as raised:
            e = explain(raised)
            if e.kind == "executorDead":
                e.message = f"sandbox {ident} is not there: {e.message}"
            raise e from raised
        if ended is not None:
            raise SidecarError("executorDead", f"sandbox {ident} has ended")
        expires = p.real("expiresAt")
        if expires is None:
            expires = _expiry(await _tags_if_known(sandbox))
        if ident in self._held:  # joined by another call meanwhile
            return _info(self._held[ident])
        return _info(self._hold(sandbox, expires, joined=True))

    def _hold(self, sandbox: modal.Sandbox, expires_at: float | None, *, joined: bool = False) -> Held:
        held = Held(sandbox.object_id, sandbox, expires_at, joined)
        self._held[held.id] = held
        held.watcher = asyncio.create_task(self._watch(held))
        return held

    def _forget(self, ident: str) -> Held | None:
        held = self._held.pop(ident, None)
        if held is not None and held.watcher is not None:
            held.watcher.cancel()
        return held

    async def release(self, p: Reader) -> dict[str, Any]:
        """Forgets a sandbox, which goes on: it is somebody else's, or its cap ends it."""
        held = self._forget(p.text("sandboxId"))
        if held is not None:
            held.set_ending(None)
        return {}

    async def _watch(self, held: Held) -> None:
        """Tells when the sandbox ends, and why."""
        failures = 0
        while True:
            try:
                await held.sandbox.wait.aio(raise_on_termination=True)
                reason, message = "exited", _why(held.sandbox.returncode)
                break
            except asyncio.CancelledError:
                return
            except Exception as raised:
                name = type(raised).__name__
                if name == "SandboxTimeoutError":
                    reason, message = "cap", "the sandbox reached the end of its time (modal.sandbox_timeout_seconds)"
                    break
                if name in ("SandboxTerminatedError", "NotFoundError"):
                    reason, message = "terminated", "the sandbox was ended from outside"
                    break
                failures += 1
                log.warning("waiting for sandbox %s: %s", held.id, explain(raised).message)
                await asyncio.sleep(min(30.0, 0.5 * 2**failures))
        self._held.pop(held.id, None)
        held.set_ending(None)
        await self._notify("sandbox/ended", {"sandboxId": held.id, "reason": reason, "message": message})

    async def status(self, p: Reader) -> dict[str, Any]:
        held = self.get(p)
        ended = await bounded(held.sandbox.poll.aio(), CALL_TIMEOUT, "asking for the sandbox's state")
        return {**_info(held), "running": ended is None, "exitCode": ended}

    async def list(self, p: Reader) -> dict[str, Any]:
        """Lists running sandboxes that carry all of some tags: those of one environment,
        or of all."""
        name, tags = p.text("appName"), p.table("tags")
        environments: list[str | None] = [p.optional_text("environment")]
        if p.flag("everyEnvironment"):
            environments = await _environments() or environments
        found: list[dict[str, Any]] = []
        refused: list[Exception] = []
        for environment in environments:
            try:
                app = await self._maker.app(name, environment, create=False)
                found += await bounded(_list(app, tags), CALL_TIMEOUT, "listing sandboxes")
            except Exception as raised:
                kind = explain(raised).kind
                if kind == "executorDead":
                    continue  # no such app, so no sandbox of it
                if kind not in ("permissionDenied", "notAuthenticated"):
                    raise
                refused.append(raised)  # this token has no business there
        if len(refused) == len(environments):
            raise refused[0]
        return {"sandboxes": found}

    async def terminate(self, p: Reader) -> dict[str, Any]:
        """Ends a sandbox, held or not. One that has ended already is no error. It goes on
        when the call is cancelled."""
        return await asyncio.shield(self.go_on(self._terminate(p.text("sandboxId"))))

    async def _terminate(self, ident: str) -> dict[str, Any]:
        import modal

        held = self._forget(ident)
        try:
            if held is not None:
                sandbox = held.sandbox
            else:
                sandbox = await bounded(modal.Sandbox.from_id.aio(ident), CALL_TIMEOUT, "finding the sandbox")
            await bounded(sandbox.terminate.aio(), CALL_TIMEOUT, "ending the sandbox")
        except Exception as raised:
            if explain(raised).kind != "executorDead":
                if held is not None:
                    self._held[ident] = held
                    held.watcher = asyncio.create_task(self._watch(held))
                raise
        if held is not None:
            held.set_ending(None)
        return {}

    async def end_for_certain(self, sandbox: modal.Sandbox) -> bool:
        """Ends a sandbox, as often as it takes. Says whether it worked; if not, its cap
        ends it, or whoever looks for its tags."""
        for attempt in range(END_ATTEMPTS):
            try:
                await bounded(sandbox.terminate.aio(), CALL_TIMEOUT, "ending the sandbox")
                return True
            except Exception as raised:
                e = explain(raised)
                if e.kind == "executorDead":
                    return True
                log.warning("sandbox %s: ending it: %s", sandbox.object_id, e.message)
            await asyncio.sleep(2**attempt)
        return False

    async def snapshot(self, p: Reader) -> dict[str, Any]:
        """Keeps the sandbox's files as an image that another can start from."""
        held = self.get(p)
        keeping = held.sandbox.snapshot_filesystem.aio(timeout=int(SNAPSHOT_TIMEOUT))
        image = await bounded(keeping, SNAPSHOT_TIMEOUT, "keeping the sandbox's files")
        return {"imageId": self._maker.know(image)}


def _info(held: Held) -> dict[str, Any]:
    out: dict[str, Any] = {"sandboxId": held.id}
    if held.expires_at is not None:
        out["expiresAt"] = held.expires_at
    return out


def _why(code: int | None) -> str:
    """The words for an end that was neither the cap nor asked for. The first process only
    sleeps: it does not end by itself."""
    return f"Modal ended the sandbox (status {code}): it was idle for too long, took too much memory, or its machine failed"


def _expiry(tags: dict[str, str]) -> float | None:
    value = tags.get(EXPIRES_TAG, "")
    return float(value) if value.isdecimal() and len(value) <= 12 else None


async def _tags_if_known(sandbox: modal.Sandbox) -> dict[str, str]:
    """A sandbox's tags, or none where they cannot be had: nothing depends on them."""
    with contextlib.suppress(Exception):
        tags: dict[str, str] = await bounded(sandbox.get_tags.aio(), CALL_TIMEOUT, "asking for the sandbox's tags")
        return tags
    return {}


async def _list(app: modal.App, tags: dict[str, str]) -> list[dict[str, Any]]:
    import modal

    one_of = asyncio.Semaphore(LIST_PARALLEL)

    async def line(sandbox: modal.Sandbox) -> dict[str, Any] | None:
        async with one_of:
            try:
                own = await sandbox.get_tags.aio()
            except Exception as raised:
                kind = explain(raised).kind
                if kind == "executorDead":
                    return None
                if kind != "unsupported":
                    raise
                own = tags  # by which the server found it
        if any(own.get(name) != value for name, value in tags.items()):
            return None  # a server that does not look at tags
        out: dict[str, Any] = {"sandboxId": sandbox.object_id, "tags": own}
        if (expires := _expiry(own)) is not None:
            out["expiresAt"] = expires
        return out

    found = [sandbox async for sandbox in modal.Sandbox.list.aio(app_id=app.app_id, tags=tags)]
    lines = await asyncio.gather(*(line(s) for s in found))
    return [found_line for found_line in lines if found_line is not None]


async def _environments() -> list[str | None]:
    """The names of all environments, or nothing where they cannot be had."""
    import modal

    try:
        all_of_them = await bounded(modal.Environment.objects.list.aio(), CALL_TIMEOUT, "listing environments")
    except Exception as raised:
        if explain(raised).kind == "unsupported":
            return []
        raise
    return [e.name for e in all_of_them]
