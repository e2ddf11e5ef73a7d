"""JSON-RPC 2.0 in frames with a Content-Length header, as in the Language Server
Protocol. Calls run side by side; their answers come in the order in which they are
ready.

A frame whose content is wrong is answered with an error. One whose length cannot be
told ends the connection, because nobody knows where the next begins."""

from __future__ import annotations

import asyncio
import contextlib
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
MAX_ID = 256
# Characters of an error's message, hint or path.
MAX_MESSAGE = 32 << 10
# How long calls that are cancelled with the connection have for their answers.
LAST_ANSWERS = 1.0
# Calls under way at once. A server that is in order has far fewer.
MAX_CALLS = 4096


class FramingError(Exception):
    """The peer's bytes are not frames."""


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


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
        self._calls: dict[Any, asyncio.Task[None]] = {}  # without an answer yet
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Lock()
        self._ending = False

    @property
    def calls(self) -> int:
        """How many calls have no answer yet."""
        return len(self._calls)

    async def serve(self) -> None:
        """Answers calls until the peer ends its side, or this is cancelled. Calls that
        are under way then are cancelled."""
        try:
            while (body := await self._frame()) is not None:
                await self._take(body)
        finally:
            self._ending = True
            calls = list(self._calls.values())
            for call in calls:
                call.cancel()
            if calls:
                # So that what they leave behind is known; answers nobody may read.
                await asyncio.wait(calls, timeout=LAST_ANSWERS)

    async def finish(self) -> None:
        """Waits, after `serve`, until the last answers are written; not for long, as the
        peer may not read."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=LAST_ANSWERS)

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Tells the peer something; it waits while the peer does not read."""
        data = _encoded({"jsonrpc": "2.0", "method": method, "params": params})
        if len(data) > MAX_BODY:
            log.error("%s of %d bytes is too large to be told", method, len(data))
            return
        await self._send(data)

    async def _frame(self) -> bytes | None:
        length = -1
        seen = 0
        while True:
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return None
            except asyncio.LimitOverrunError:
                raise FramingError("a line of a frame's header does not end") from None
            seen += len(line)
            if seen > MAX_HEADER:
                raise FramingError("the header of a frame is too long")
            name, _, value = line.partition(b":")
            if not line.strip():
                break
            if name.strip().lower() == b"content-length":
                length = _length(value.strip())
        if not 0 <= length <= MAX_BODY:
            raise FramingError(f"a frame of {length} bytes cannot be taken")
        try:
            return await self._reader.readexactly(length)
        except asyncio.IncompleteReadError:
            return None

    async def _take(self, body: bytes) -> None:
        try:
            message = json.loads(body, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            await self._fail(None, errors.PARSE_ERROR, "the frame is not JSON")
            return
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            await self._fail(None, errors.INVALID_REQUEST, "the frame is not a call")
            return
        method, params, ident = message["method"], message.get("params"), message.get("id")
        params = {} if params is None else params
        if method == "$/cancelRequest":
            self._cancel(params)
            return
        if ident is None:
            return  # there are no notifications but that one
        if not _is_id(ident):
            await self._fail(None, errors.INVALID_REQUEST, "id must be a whole number or a short string")
            return
        if ident in self._calls:
            await self._fail(None, errors.INVALID_REQUEST, f"a call with the id {ident!r} is under way")
            return
        if len(self._calls) >= MAX_CALLS:
            await self._fail(ident, errors.INVALID_REQUEST, f"{MAX_CALLS} calls are under way, which is the most")
            return
        task = asyncio.create_task(self._call(ident, method, params))
        self._calls[ident] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _cancel(self, params: Any) -> None:
        ident = params.get("id") if isinstance(params, dict) else None
        call = self._calls.get(ident) if _is_id(ident) else None
        if call is None:
            return

        def cancel() -> None:
            if self._calls.get(ident) is call:
                call.cancel()

        # A task that is cancelled before its first step never runs, and would not answer.
        asyncio.get_running_loop().call_soon(cancel)

    async def _call(self, ident: Any, name: str, params: Any) -> None:
        answer = await self._answer(name, params)
        # From here on it cannot be cancelled: every call has one answer.
        self._calls.pop(ident, None)
        data = _encoded({"jsonrpc": "2.0", "id": ident, **answer})
        if len(data) > MAX_BODY:
            # The peer would have to give up the connection, and all other calls with it.
            message = f"the answer has {len(data)} bytes, and can have {MAX_BODY}"
            data = _encoded({"jsonrpc": "2.0", "id": ident, **_error(errors.FAILED, message, {"kind": "tooLarge", "operation": name})})
        await self._send(data)

    async def _answer(self, name: str, params: Any) -> dict[str, Any]:
        method = self._methods.get(name)
        if method is None:
            return _error(errors.METHOD_NOT_FOUND, f"there is no method {name}")
        if not isinstance(params, dict):
            return _error(errors.INVALID_PARAMS, "params must be an object")
        try:
            return {"result": await method(params)}
        except BaseException as raised:
            if isinstance(raised, (KeyboardInterrupt, SystemExit)):
                raise
            e = errors.explain(raised)
            if e.code == errors.CANCELLED and self._ending:
                message = "the sidecar is ending, and the call with it"
                e = errors.SidecarError("unavailable", message, hint="the next operation starts it again")
            if e is not raised and not isinstance(raised, asyncio.CancelledError):
                log.debug("%s failed", name, exc_info=raised)
            data = {"kind": e.kind, "operation": name, "hint": e.hint, "path": e.path}
            return _error(e.code, e.message, {k: v for k, v in data.items() if v})

    async def _fail(self, ident: Any, code: int, message: str) -> None:
        await self._send(_encoded({"jsonrpc": "2.0", "id": ident, **_error(code, message)}))

    async def _send(self, data: bytes) -> None:
        async with self._sending:
            self._writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(data), data))
            # A peer that has left hears no answer; that it left is seen by the reading side.
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()


def _encoded(message: Mapping[str, Any]) -> bytes:
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    # A half surrogate has no UTF-8; written as an escape it is still JSON.
    return text.encode("utf-8", "backslashreplace")


def _error(code: int, message: str, data: Mapping[str, str] | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": _clipped(message)}
    if data:
        error["data"] = {name: _clipped(value) for name, value in data.items()}
    return {"error": error}


def _clipped(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "…"


def _length(value: bytes) -> int:
    if not value.isdigit() or len(value) > 12:
        raise FramingError(f"{value[:40]!r} is not the length of a frame")
    return int(value)


def _is_id(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_ID
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
