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
from .account import Account
from .descriptors import Descriptors
from .endings import Endings
from .errors import SidecarError
from .execs import Execs
from .files import Files
from .network import Network
from .notices import Notices
from .params import Reader
from .pipes import Pipes
from .runs import Runs
from .sandboxes import Sandboxes
from .tags import Tags
from .tunnel import Tunnels
from .wire import Connection, Method

log = logging.getLogger(__name__)

# The first version whose sandboxes have a file system interface and tags of their own.
OLDEST_SDK = (1, 6)


class Service:
    """One server's sidecar."""

    def __init__(self, descriptors: Descriptors) -> None:
        self.connection: Connection | None = None
        self.stopping = asyncio.Event()
        self._ready = False
        self.notices = Notices(self._notify)
        self._network = Network()
        self._account = Account(self._network)
        self.sandboxes = Sandboxes(self._notify, self._progress)
        self._endings = Endings(self.sandboxes)
        self._tags = Tags(self.sandboxes)
        self._execs = Execs(self.sandboxes, self._notify)
        self._runs = Runs(self.sandboxes)
        self._pipes = Pipes(self.sandboxes)
        self._files = Files(self.sandboxes, self.notices.add)
        self._tunnels = Tunnels(self.sandboxes, descriptors, self._notify)

    async def _notify(self, method: str, params: Mapping[str, Any]) -> None:
        if self.connection is not None:
            with contextlib.suppress(ConnectionError):
                await self.connection.notify(method, params)

    def _progress(self, line: str) -> None:
        self.notices.add("progress", {"operation": "sandbox/create", "message": line})

    def methods(self) -> dict[str, Method]:
        s, e, f, t = self.sandboxes, self._execs, self._files, self._tunnels
        calls = {
            "sandbox/create": self._online(s.create),
            "sandbox/attach": self._online(s.attach),
            "sandbox/status": s.status,
            "sandbox/list": self._online(s.list),
            "sandbox/terminate": self._online(s.terminate),
            "sandbox/release": s.release,
            "sandbox/setEnding": self._endings.set,
            "sandbox/tags": self._tags.get,
            "sandbox/setTags": self._tags.set,
            "sandbox/snapshot": s.snapshot,
            "exec/run": self._runs.run,
            "exec/pipe": self._pipes.pipe,
            "exec/start": e.start,
            "exec/stdin": e.write,
            "exec/resize": e.resize,
            "exec/kill": e.kill,
            "exec/ack": e.ack,
            "exec/background": e.background,
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
            "doctor/auth": self._account.auth,
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

    def _online(self, call: Any) -> Any:
        """Makes a call wait for the connection, and fail at once where there is none."""

        async def connected(p: Reader) -> Any:
            await self._network.ready()
            return await call(p)

        return connected

    async def _initialize(self, params: Mapping[str, Any]) -> dict[str, Any]:
        p = Reader(params)
        asked = p.number("protocolVersion")
        if asked != PROTOCOL_VERSION:
            raise SidecarError("invalidParams", f"protocolVersion: this sidecar speaks {PROTOCOL_VERSION}, not {asked}")
        nonce = p.text("nonce")
        version = sdk_version()
        self._network.warm()  # importing the SDK and connecting take a moment
        self._ready = True
        return {
            "protocolVersion": PROTOCOL_VERSION,
            "nonce": nonce,
            "sdkVersion": version,
            "python": platform.python_version(),
            "pid": os.getpid(),
        }

    async def _shutdown(self, p: Reader) -> dict[str, Any]:
        """Ends this process, captures and ends what it holds; or not, if that is asked,
        where it holds something or another call is under way."""
        busy = self.connection is not None and self.connection.calls > 1  # one is this
        if p.flag("ifIdle") and (busy or self.sandboxes.all()):
            return {"stopping": False}
        self.stopping.set()
        return {"stopping": True}

    async def end_all(self) -> None:
        """Captures and ends what is still held: the server is gone."""
        await self._endings.end_all()


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
