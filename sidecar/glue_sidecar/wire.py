"""JSON-RPC 2.0 in frames with a Content-Length header, as in the Language Server
Protocol. Calls run side by side; their answers come in the order in which they are
ready."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from . import errors

log = logging.getLogger(__name__)

Params = Mapping[str, Any]
Method = Callable[[Params], Awaitable[Any]]

MAX_HEADER = 4 << 10
MAX_BODY = 8 << 20


class Writer(Protocol):
    """Where frames go; an asyncio.StreamWriter is one."""

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...


class Connection:
    """One peer."""

    def __init__(self, reader: asyncio.StreamReader, writer: Writer, methods: Mapping[str, Method]) -> None:
        self._reader = reader
        self._writer = writer
        self._methods = methods
        self._calls: dict[Any, asyncio.Task[None]] = {}
        self._sending = asyncio.Lock()

    async def serve(self) -> None:
        """Answers calls until the peer ends its side."""
        try:
            while (body := await self._frame()) is not None:
                await self._take(body)
        finally:
            for call in list(self._calls.values()):
                call.cancel()

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Tells the peer something; it waits while the peer does not read."""
        await self._send({"jsonrpc": "2.0", "method": method, "params": params})

    async def _frame(self) -> bytes | None:
        length = -1
        seen = 0
        while True:
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return None
            seen += len(line)
            if seen > MAX_HEADER:
                raise ValueError("the header of a frame is too long")
            name, _, value = line.partition(b":")
            if not line.strip():
                break
            if name.strip().lower() == b"content-length":
                length = int(value)
        if not 0 <= length <= MAX_BODY:
            raise ValueError(f"a frame of {length} bytes cannot be taken")
        try:
            return await self._reader.readexactly(length)
        except asyncio.IncompleteReadError:
            return None

    async def _take(self, body: bytes) -> None:
        try:
            message = json.loads(body)
        except ValueError:
            await self._fail(None, errors.PARSE_ERROR, "the frame is not JSON")
            return
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            await self._fail(None, errors.INVALID_REQUEST, "the frame is not a call")
            return
        method, params, ident = message["method"], message.get("params") or {}, message.get("id")
        if method == "$/cancelRequest":
            call = self._calls.get(params.get("id"))
            if call is not None:
                call.cancel()
            return
        if ident is None:
            return  # there are no notifications but that one
        task = asyncio.create_task(self._call(ident, method, params))
        self._calls[ident] = task
        task.add_done_callback(lambda _: self._calls.pop(ident, None))

    async def _call(self, ident: Any, name: str, params: Any) -> None:
        method = self._methods.get(name)
        if method is None:
            await self._fail(ident, errors.METHOD_NOT_FOUND, f"there is no method {name}")
            return
        if not isinstance(params, dict):
            await self._fail(ident, errors.INVALID_PARAMS, "params must be an object")
            return
        try:
            result = await method(params)
        except BaseException as raised:
            if isinstance(raised, (KeyboardInterrupt, SystemExit)):
                raise
            e = errors.explain(raised)
            if e is not raised and not isinstance(raised, asyncio.CancelledError):
                log.debug("%s failed", name, exc_info=raised)
            data = {"kind": e.kind, "operation": name, "hint": e.hint, "path": e.path}
            await self._fail(ident, e.code, e.message, {k: v for k, v in data.items() if v})
            return
        await self._send({"jsonrpc": "2.0", "id": ident, "result": result})

    async def _fail(self, ident: Any, code: int, message: str, data: Mapping[str, Any] | None = None) -> None:
        error: dict[str, Any] = {"code": code, "message": message}
        if data:
            error["data"] = data
        await self._send({"jsonrpc": "2.0", "id": ident, "error": error})

    async def _send(self, message: Mapping[str, Any]) -> None:
        body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        async with self._sending:
            self._writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            await self._writer.drain()
