"""The way to Modal: looked for early, and where there is none that is said at once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import importlib.util
import os
import socket
import sys
import time
import urllib.parse
import urllib.request
from typing import Any

from .errors import SidecarError, explain, without_secrets
from .notices import take_over

# The SDK tries for a minute. People wait for this, and what starts before it and comes
# after it takes time too.
CONNECT_TIMEOUT = 6.0

# A connection that was seen to work so long ago is looked at again: a machine may have been
# carried off since, and what comes after would wait for the SDK.
FRESH = 20.0

# A network that comes up just now, as after sleep, is given two looks.
LOOKS = (0.7, 1.0)
LOOK_TIMEOUT = 3.0

_HINT = "check the network, and HTTPS_PROXY if you need one, then try again"


class Network:
    """One connection to Modal, which whoever needs it first waits for."""

    def __init__(self) -> None:
        self._connecting: asyncio.Task[Any] | None = None
        self._seen = 0.0  # when it was connected

    def warm(self) -> None:
        """Begins to connect. What goes wrong is for those who need the connection."""
        if self._connecting is None or (self._connecting.done() and not self._fresh(self._connecting)):
            self._connecting = asyncio.create_task(_connect())
            self._connecting.add_done_callback(self._note)

    def _fresh(self, done: asyncio.Task[Any]) -> bool:
        return not done.cancelled() and done.exception() is None and time.monotonic() - self._seen < FRESH

    def _note(self, done: asyncio.Task[Any]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._seen = time.monotonic()

    async def ready(self) -> Any:
        """Waits for the connection and gives the SDK's client. A failure is not kept: the
        next who asks tries again."""
        self.warm()
        assert self._connecting is not None
        return await asyncio.shield(self._connecting)


async def _connect() -> Any:
    # Its import takes a while, and errors of the configuration file are raised there.
    loop = asyncio.get_running_loop()
    try:
        await loop.run_in_executor(None, importlib.import_module, "modal")
        # What was imported stays: collections need not look at it while calls wait.
        gc.freeze()
    except Exception as raised:
        e = explain(raised)
        raise SidecarError("runtimeUnavailable", f"the package modal cannot be used: {e.message}", hint=e.hint) from raised
    take_over("modal-client", "modal-utils")
    call, watch = asyncio.create_task(_hello()), asyncio.create_task(_hopeless())
    try:
        await asyncio.wait({call, watch}, timeout=CONNECT_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        if call.done():
            return call.result()
        if watch.done():
            raise watch.result()
        raise silence()
    finally:
        for task in (call, watch):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


def silence() -> SidecarError:
    """The error where nobody answers."""
    names = ", ".join(name for name, _ in addresses())
    return SidecarError("runtimeUnavailable", f"Modal cannot be reached: no answer from {names} in time", hint=_HINT)


async def _hello() -> Any:
    from modal.client import Client

    try:
        client: Any = await Client.from_env.aio()
        await client.hello.aio()
    except Exception as raised:
        e = explain(raised)
        if e.kind == "unsupported":  # whoever answers so has been reached
            return client
        if e.kind in ("unavailable", "timeout"):
            raise SidecarError("runtimeUnavailable", f"Modal cannot be reached: {e.message}", hint=_HINT) from raised
        raise e from raised
    return client


async def _hopeless() -> SidecarError:
    """Returns once it is clear that no call can get through, and else never."""
    while True:
        for pause in LOOKS:
            await asyncio.sleep(pause)
            why = await _obstacle()
            if why is None:
                break
        else:
            assert why is not None
            return why


async def _obstacle() -> SidecarError | None:
    """Says what is in the way, if that can be told for certain."""
    found = addresses()
    if proxied(found[0][0]):
        if importlib.util.find_spec("python_socks") is None:
            message = "Modal cannot be reached: a proxy is set (HTTPS_PROXY), and the package that can use it is not installed"
            install = f"{sys.executable} -m pip install 'modal[api-proxy-support]'"
            hint = f"run: {install}, or set MODAL_DISABLE_API_PROXY=1 to go without the proxy"
            return SidecarError("runtimeUnavailable", message, hint=hint)
        return None  # the proxy's way is the SDK's business
    reasons = await asyncio.gather(*(_try(host, port) for host, port in found))
    if any(r is None for r in reasons):
        return None
    return SidecarError("runtimeUnavailable", f"Modal cannot be reached: {'; '.join(r for r in reasons if r)}", hint=_HINT)


async def _try(host: str, port: int) -> str | None:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), LOOK_TIMEOUT)
    except asyncio.TimeoutError:
        return None  # it may be slow
    except socket.gaierror:
        return f"the name {host} cannot be resolved"
    except OSError as raised:
        return f"{host}:{port}: {os.strerror(raised.errno) if raised.errno else raised}"
    writer.close()
    return None


def addresses() -> list[tuple[str, int]]:
    """The servers that the SDK is told to use."""
    from modal.config import config

    out = []
    for url in str(config.get("server_url")).split(","):
        parsed = urllib.parse.urlparse(url.strip())
        with contextlib.suppress(ValueError):
            default = 80 if parsed.scheme == "http" else 443
            out.append((parsed.hostname or without_secrets(url.strip()), parsed.port or default))
    return out or [("MODAL_SERVER_URL", 443)]


def proxied(host: str) -> bool:
    """Whether the SDK goes through a proxy to a server."""
    from modal.config import config

    if config.get("disable_api_proxy") or urllib.request.proxy_bypass(host):
        return False
    found = urllib.request.getproxies()
    scheme = urllib.parse.urlparse(str(config.get("server_url"))).scheme
    return bool(found.get(scheme) or found.get("all"))
