"""A command's outputs on their way to the server: whole, in order, and no faster than
they are taken."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING

from .errors import explain

if TYPE_CHECKING:
    from modal.io_streams import StreamReader

# Bytes in one notification.
PIECE = 256 << 10

# Bytes of a status with the end of its line.
MAX_STATUS = 16

# How long a stream may wait for the server to take what came.
PATIENCE = 0.3

# How often a stream that broke is taken up again. The SDK has tried for a while itself.
ATTEMPTS = 8

Send = Callable[[bytes], Awaitable[None]]


class Marked:
    """Takes the lines that the wrapper writes out of a stream, see `shell.start`."""

    def __init__(self, word: str) -> None:
        self._mark = f"\x1e{word} end ".encode()
        self._held = b""
        self.status: int | None = None

    def feed(self, chunk: bytes) -> bytes:
        """Gives what of the stream so far is the command's own."""
        data = self._held + chunk
        self._held = b""
        if self.status is not None:
            return data
        at = data.find(self._mark)
        while at >= 0:
            after = at + len(self._mark)
            line, end, _ = data[after : after + MAX_STATUS].partition(b"\n")
            if end and line.strip().isdigit():
                self.status = int(line)
                return data[:at] + data[after + len(line) + 1 :]
            if not end and len(line) < MAX_STATUS:
                break  # more of it may come
            # A command that found the word printed this.
            at = data.find(self._mark, after)
        else:
            at = _begins(data, self._mark)
        self._held = data[at:]
        return data[:at]

    def rest(self) -> bytes:
        """Gives what was held back, at the end of the stream."""
        held, self._held = self._held, b""
        return held


def _begins(data: bytes, mark: bytes) -> int:
    """Where the end of data could be the beginning of mark."""
    at = max(0, len(data) - len(mark) + 1)
    while (at := data.find(mark[:1], at)) >= 0:
        if mark.startswith(data[at:]):
            return at
        at += 1
    return len(data)


class Window:
    """What the server has room for. Without a size there is no end of it."""

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._sent = self._taken = 0
        self._opened = asyncio.Event()
        self._opened.set()

    async def room(self) -> int:
        """Waits for room, and says how much there is."""
        if self._size is None:
            return PIECE
        while (room := self._taken + self._size - self._sent) <= 0:
            self._opened.clear()
            await self._opened.wait()
        return min(room, PIECE)

    def sent(self, n: int) -> None:
        self._sent += n

    def taken(self, upto: int) -> None:
        """The server has taken that many bytes since the beginning."""
        self._taken = max(self._taken, min(upto, self._sent))
        self._opened.set()

    @property
    def shut(self) -> bool:
        return not self._opened.is_set()


class Output:
    """One of a command's two outputs."""

    def __init__(self, name: str, stream: StreamReader[bytes], word: str | None, window: int | None) -> None:
        self.name = name
        self.window = Window(window)
        self._stream = stream
        self._chunks: AsyncGenerator[bytes, None] | None = None
        self._first = b""
        self.marked = None if word is None else Marked(word)
        self.ended = asyncio.Event()  # the command's own output is complete
        self.moved = 0.0  # when something last came, by the loop's clock
        self._broken = False

    @property
    def waiting(self) -> bool:
        """Whether it is the server or the network that it waits for, and not the command."""
        return self.window.shut or self._broken

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """What comes, to whoever asks next."""
        if self._chunks is None:
            self._chunks = self._iterate()
        return self._chunks

    def put_back(self, data: bytes) -> None:
        """The beginning of what is passed on."""
        self._first = data

    async def _iterate(self) -> AsyncGenerator[bytes, None]:
        """The stream, taken up again where it broke: the SDK keeps its place."""
        attempts = 0
        while True:
            try:
                async for chunk in self._stream:
                    attempts, self._broken = 0, False
                    self.moved = asyncio.get_running_loop().time()
                    yield chunk
                self._broken = False
                return
            except Exception as raised:
                attempts += 1
                self._broken = True
                if explain(raised).kind not in ("unavailable", "timeout") or attempts > ATTEMPTS:
                    raise
                await asyncio.sleep(min(8.0, 0.25 * 2**attempts))

    async def pass_on(self, send: Send) -> None:
        """Passes on what comes until the stream ends."""
        await self._take(self._first, send)
        async with contextlib.aclosing(self.chunks()) as chunks:
            async for chunk in chunks:
                await self._take(chunk, send)
        if self.marked is not None:
            await self._give(self.marked.rest(), send)
        self.ended.set()

    async def _take(self, chunk: bytes, send: Send) -> None:
        await self._give(chunk if self.marked is None else self.marked.feed(chunk), send)
        if self.marked is not None and self.marked.status is not None:
            self.ended.set()

    async def _give(self, data: bytes, send: Send) -> None:
        at = 0
        while at < len(data):
            room = await self._room()
            piece = data[at : at + room]
            at += len(piece)
            self.window.sent(len(piece))
            await send(piece)
        self.moved = asyncio.get_running_loop().time()

    async def _room(self) -> int:
        """Waits for room. A stream that nobody reads would fill the connection, and with
        it hold up every other call: one that has to wait is let go, and taken up again
        where it was."""
        try:
            return await asyncio.wait_for(self.window.room(), PATIENCE)
        except asyncio.TimeoutError:
            await self._stream.aclose()  # type: ignore[no-untyped-call]
        return await self.window.room()


def packed(ident: str, name: str, piece: bytes) -> dict[str, str]:
    """The notification that carries a piece of output."""
    return {"execId": ident, "stream": name, "data": base64.b64encode(piece).decode("ascii"), "encoding": "base64"}
