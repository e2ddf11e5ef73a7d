"""Sandboxes: made, joined, listed and ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import images
from .errors import SidecarError, explain, invalid
from .params import Reader

if TYPE_CHECKING:
    import modal

log = logging.getLogger(__name__)

Notify = Callable[[str, dict[str, Any]], Coroutine[Any, Any, None]]

# Modal's own bounds on a sandbox's life, in seconds.
MIN_TIMEOUT, MAX_TIMEOUT = 1, 24 * 60 * 60

# An unreachable server is tried for a minute by the SDK: people wait for an answer.
CALL_TIMEOUT = 10.0
# A sandbox of a new image can take this long.
CREATE_TIMEOUT = 15 * 60.0


@dataclass
class Ending:
    """What to do before a sandbox is ended without its server: a command writes what is
    not captured to a file inside, which is then brought here."""

    argv: list[str]
    path: str
    local_path: str
    terminate: bool = True


@dataclass
class Held:
    """A sandbox that this process holds."""

    id: str
    sandbox: modal.Sandbox
    expires_at: float | None = None
    ending: Ending | None = None
    watcher: asyncio.Task[None] | None = field(default=None, repr=False)


class Sandboxes:
    """The sandboxes of this process, by id."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._held: dict[str, Held] = {}
        self._apps: dict[tuple[str, str | None], modal.App] = {}
        self._building = asyncio.Lock()  # see images.build_log
        self._telling: set[asyncio.Task[None]] = set()

    def _progress(self, line: str) -> None:
        task = asyncio.get_running_loop().create_task(self._notify("progress", {"operation": "sandbox/create", "message": line}))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    def all(self) -> list[Held]:
        return list(self._held.values())

    def get(self, p: Reader) -> Held:
        """Finds the sandbox that a call is for."""
        ident = p.text("sandboxId")
        held = self._held.get(ident)
        if held is None:
            raise SidecarError("noSuchSession", f"sandbox {ident} is not held here", hint="sandbox/attach joins it")
        return held

    async def _app(self, name: str, environment: str | None) -> modal.App:
        import modal

        key = (name, environment)
        if key not in self._apps:
            found = modal.App.lookup.aio(name, environment_name=environment, create_if_missing=True)
            self._apps[key] = await bounded(found, CALL_TIMEOUT, "looking up the app")
        return self._apps[key]

    async def create(self, p: Reader) -> dict[str, Any]:
        """Makes a sandbox. Its cap is part of the call, so that it ends by itself
        whatever becomes of this process."""
        import modal

        timeout = p.number("timeoutSeconds")
        if not MIN_TIMEOUT <= timeout <= MAX_TIMEOUT:
            raise invalid("timeoutSeconds", f"must be from {MIN_TIMEOUT} to {MAX_TIMEOUT}, not {timeout}")
        name = p.text("appName")
        environment = p.optional_text("environment")
        options: dict[str, Any] = {"timeout": timeout, "tags": p.table("tags"), "workdir": p.optional_text("workdir")}
        options.update(_resources(p))
        for secret in p.texts("secrets", []):
            known = modal.Secret.from_name(secret, environment_name=environment)
            options.setdefault("secrets", []).append(known)
        for where, volume in p.table("volumes").items():
            known_volume = modal.Volume.from_name(volume, environment_name=environment)
            options.setdefault("volumes", {})[where] = known_volume
        app = await self._app(name, environment)
        image = images.build(p.optional_text("image"), p.optional_text("snapshot"), p.flag("withGit", True))
        began = time.time()

        await self._notify("progress", {"operation": "sandbox/create", "message": "starting a sandbox in Modal"})
        async with self._building:
            with images.build_log(self._progress) as log_of_build:
                try:
                    made = modal.Sandbox.create.aio("sleep", "infinity", app=app, image=image, **options)
                    sandbox = await bounded(made, CREATE_TIMEOUT, "making a sandbox")
                except Exception as raised:
                    raise images.explain_failure(raised, log_of_build) from raised
        return await self._hold(sandbox, began + timeout)

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
        return await self._hold(sandbox, expires)

    async def _hold(self, sandbox: modal.Sandbox, expires_at: float | None) -> dict[str, Any]:
        held = Held(sandbox.object_id, sandbox, expires_at)
        self._held[held.id] = held
        held.watcher = asyncio.create_task(self._watch(held))
        return _info(held)

    async def _watch(self, held: Held) -> None:
        """Tells when the sandbox ends, and why."""
        failures = 0
        while True:
            try:
                await held.sandbox.wait.aio(raise_on_termination=True)
                reason, message = "exited", "the sandbox's first process has ended"
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
        await self._notify("sandbox/ended", {"sandboxId": held.id, "reason": reason, "message": message})

    async def status(self, p: Reader) -> dict[str, Any]:
        held = self.get(p)
        ended = await bounded(held.sandbox.poll.aio(), CALL_TIMEOUT, "asking for the sandbox's state")
        return {**_info(held), "running": ended is None, "exitCode": ended}

    async def list(self, p: Reader) -> dict[str, Any]:
        """Lists running sandboxes that carry all of some tags."""
        import modal

        app = await self._app(p.text("appName"), p.optional_text("environment"))
        found = []

        async def collect() -> None:
            async for sandbox in modal.Sandbox.list.aio(app_id=app.app_id, tags=p.table("tags")):
                found.append({"sandboxId": sandbox.object_id, "tags": await sandbox.get_tags.aio()})

        await bounded(collect(), CALL_TIMEOUT, "listing sandboxes")
        return {"sandboxes": found}

    async def terminate(self, p: Reader) -> dict[str, Any]:
        """Ends a sandbox, held or not. One that has ended already is no error."""
        import modal

        ident = p.text("sandboxId")
        held = self._held.pop(ident, None)
        if held is not None and held.watcher is not None:
            held.watcher.cancel()
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
        return {}

    async def set_ending(self, p: Reader) -> dict[str, Any]:
        """Says what to do with a sandbox when the server is gone, see `Ending`."""
        held = self.get(p)
        held.ending = Ending(p.texts("argv"), p.text("path"), p.text("localPath"), p.flag("terminate", True))
        return {}

    async def snapshot(self, p: Reader) -> dict[str, Any]:
        """Keeps the sandbox's files as an image that another can start from."""
        held = self.get(p)
        image = await bounded(held.sandbox.snapshot_filesystem.aio(), CREATE_TIMEOUT, "keeping the sandbox's files")
        return {"imageId": image.object_id}


def _info(held: Held) -> dict[str, Any]:
    out: dict[str, Any] = {"sandboxId": held.id}
    if held.expires_at is not None:
        out["expiresAt"] = held.expires_at
    return out


def _resources(p: Reader) -> dict[str, Any]:
    """The settings that are passed on as they are."""
    out: dict[str, Any] = {}
    if (cpu := p.real("cpu")) is not None:
        out["cpu"] = cpu
    if (memory := p.optional_number("memoryMb")) is not None:
        out["memory"] = memory
    if gpu := p.optional_text("gpu"):
        out["gpu"] = gpu
    if region := p.optional_text("region"):
        out["region"] = region
    if (idle := p.optional_number("idleTimeoutSeconds")) is not None:
        out["idle_timeout"] = idle
    if env := p.table("env"):
        out["env"] = env
    network = p.text("network", "on")
    if network == "none":
        out["block_network"] = True
    elif network != "on":
        raise invalid("network", f"must be on or none, not {network}")
    return out


async def bounded(call: Awaitable[Any], seconds: float, doing: str) -> Any:
    """Waits for a call of the SDK, but not for ever."""
    try:
        return await asyncio.wait_for(call, seconds)
    except asyncio.TimeoutError:
        hint = "is the network up? modal token info shows whether Modal can be reached"
        raise SidecarError("unavailable", f"{doing}: Modal did not answer within {seconds:.0f} s", hint=hint) from None
