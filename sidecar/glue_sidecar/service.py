"""Every method that the server can call."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
import os
import platform
import sys
from collections.abc import Mapping
from typing import Any

from . import PROTOCOL_VERSION
from .errors import SidecarError, explain
from .execs import Execs
from .files import Files
from .params import Reader
from .sandboxes import CALL_TIMEOUT, Held, Sandboxes, bounded
from .tunnel import Descriptors, Tunnels
from .wire import Connection, Method

log = logging.getLogger(__name__)

# The first version whose sandboxes have a file system interface and tags of their own.
OLDEST_SDK = (1, 6)

# An ending without a server may take this long for each sandbox.
ENDING_TIMEOUT = 300.0


class Service:
    """One server's sidecar."""

    def __init__(self, descriptors: Descriptors) -> None:
        self.connection: Connection | None = None
        self.stopping = asyncio.Event()
        self._ready = False
        self.sandboxes = Sandboxes(self._notify)
        self._execs = Execs(self.sandboxes, self._notify)
        self._files = Files(self.sandboxes)
        self._tunnels = Tunnels(self.sandboxes, descriptors, self._notify)

    async def _notify(self, method: str, params: Mapping[str, Any]) -> None:
        if self.connection is not None:
            with contextlib.suppress(ConnectionError):
                await self.connection.notify(method, params)

    def methods(self) -> dict[str, Method]:
        s, e, f, t = self.sandboxes, self._execs, self._files, self._tunnels
        calls = {
            "sandbox/create": s.create,
            "sandbox/attach": s.attach,
            "sandbox/status": s.status,
            "sandbox/list": s.list,
            "sandbox/terminate": s.terminate,
            "sandbox/setEnding": s.set_ending,
            "sandbox/snapshot": s.snapshot,
            "exec/start": e.start,
            "exec/stdin": e.write,
            "exec/resize": e.resize,
            "exec/kill": e.kill,
            "fs/stat": f.stat,
            "fs/exists": f.exists,
            "fs/readDirectory": f.read_directory,
            "fs/readFile": f.download,
            "fs/writeFile": f.write_file,
            "fs/createDirectory": f.create_directory,
            "fs/delete": f.delete,
            "fs/rename": f.rename,
            "fs/copy": f.copy,
            "fs/upload": f.upload,
            "fs/download": f.download,
            "tunnel/open": t.open,
            "tunnel/close": t.close,
            "doctor/auth": self._auth,
            "shutdown": self._shutdown,
        }
        table: dict[str, Method] = {name: self._after_initialize(call) for name, call in calls.items()}
        table["initialize"] = self._initialize
        return table

    def _after_initialize(self, call: Any) -> Method:
        async def checked(params: Mapping[str, Any]) -> Any:
            if not self._ready:
                raise SidecarError("invalidParams", "initialize has to come first", code=-32002)
            return await call(Reader(params))

        return checked

    async def _initialize(self, params: Mapping[str, Any]) -> dict[str, Any]:
        p = Reader(params)
        asked = p.number("protocolVersion")
        if asked != PROTOCOL_VERSION:
            raise SidecarError("invalidParams", f"protocolVersion: this sidecar speaks {PROTOCOL_VERSION}, not {asked}")
        nonce = p.text("nonce")
        version = sdk_version()
        # The SDK takes a moment to import: not in the way of this answer.
        asyncio.get_running_loop().run_in_executor(None, importlib.import_module, "modal")
        self._ready = True
        return {
            "protocolVersion": PROTOCOL_VERSION,
            "nonce": nonce,
            "sdkVersion": version,
            "python": platform.python_version(),
            "pid": os.getpid(),
        }

    async def _auth(self, p: Reader) -> dict[str, Any]:
        """Really asks Modal whose the token is."""
        from modal.client import Client

        try:
            client = await bounded(Client.from_env.aio(), CALL_TIMEOUT, "connecting to Modal")
            await bounded(client.hello.aio(), CALL_TIMEOUT, "checking the token")
            workspace = await bounded(_workspace(), CALL_TIMEOUT, "asking for the workspace")
        except Exception as raised:
            e = explain(raised)
            if e.kind == "notAuthenticated":
                return {"tokenValid": False, "workspace": "", "message": e.message, "hint": e.hint}
            raise e from raised
        return {"tokenValid": True, "workspace": workspace}

    async def _shutdown(self, _: Reader) -> dict[str, Any]:
        self.stopping.set()
        return {}

    async def end_all(self) -> None:
        """Captures and ends what is still held: the server is gone."""
        held = self.sandboxes.all()
        await asyncio.gather(*(self._end(h) for h in held))

    async def _end(self, held: Held) -> None:
        if held.watcher is not None:
            held.watcher.cancel()
        ending = held.ending
        if ending is not None and ending.argv:
            try:
                await asyncio.wait_for(self._capture(held), ENDING_TIMEOUT)
            except Exception as raised:
                log.error("sandbox %s: its last changes were not captured: %s", held.id, explain(raised).message)
                # It is left to its cap: the next start of the server tries again.
                return
        if ending is not None and not ending.terminate:
            log.warning("sandbox %s stays, as delete_on_close says", held.id)
            return
        for attempt in range(5):
            try:
                await bounded(held.sandbox.terminate.aio(), CALL_TIMEOUT, "ending the sandbox")
                return
            except Exception as raised:
                log.warning("sandbox %s: ending it: %s", held.id, explain(raised).message)
                await asyncio.sleep(2**attempt)

    async def _capture(self, held: Held) -> None:
        assert held.ending is not None
        process = await held.sandbox.exec.aio(*held.ending.argv, text=False)
        code = await process.wait.aio()
        if code != 0:
            text = (await process.stderr.read.aio()).decode("utf-8", "replace").strip()
            raise SidecarError("unavailable", f"the agent answered with status {code}: {text}")
        await held.sandbox.filesystem.copy_to_local.aio(held.ending.path, held.ending.local_path)


async def _workspace() -> str:
    import modal

    workspace = getattr(modal, "Workspace", None)
    if workspace is not None:
        with contextlib.suppress(Exception):
            found = workspace.from_context()
            await found.hydrate.aio()
            return str(found.name)
    return ""


def sdk_version() -> str:
    """The installed SDK's version, or an error that says how to install it."""
    hint = f"run: {sys.executable} -m pip install --user modal"
    try:
        version = importlib.metadata.version("modal")
    except importlib.metadata.PackageNotFoundError:
        raise SidecarError("runtimeUnavailable", f"{sys.executable} has no package modal", hint=hint) from None
    parts = tuple(int(n) for n in version.split(".")[:2] if n.isdigit())
    if parts < OLDEST_SDK:
        needed = ".".join(map(str, OLDEST_SDK))
        message = f"modal {version} is too old, {needed} or later is needed"
        raise SidecarError("runtimeUnavailable", message, hint=f"{hint} --upgrade")
    return version
