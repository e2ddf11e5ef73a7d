"""Lines for people: log lines and progress, told to the server as notifications.

They are many when something is wrong, and nobody waits for them. So they are bounded:
what the server does not take in time is left out, and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from .errors import without_secrets

MAX_WAITING = 256
MAX_LINE = 4096

Notify = Callable[[str, dict[str, Any]], Coroutine[Any, Any, None]]


def shortened(text: str) -> str:
    """Cuts a line that is too long for anybody to read."""
    return text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]}… ({len(text)} characters)"


def take_over(*names: str) -> None:
    """Takes a library's own handlers from its loggers: their lines reach ours anyway."""
    for name in names:
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            logger.removeHandler(handler)


class Notices:
    """Waiting lines, and the task that passes them on. It belongs to one event loop."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[str, dict[str, Any]]] = deque()
        self._left_out = 0
        self._sender: asyncio.Task[None] | None = None

    def add(self, method: str, params: Mapping[str, Any]) -> None:
        """Takes a line, from the loop's own thread."""
        if len(self._waiting) >= MAX_WAITING:
            self._left_out += 1
            return
        self._waiting.append((method, dict(params)))
        if self._sender is None or self._sender.done():
            self._sender = self._loop.create_task(self._send())

    def add_from_anywhere(self, method: str, params: Mapping[str, Any]) -> None:
        """Takes a line from any thread: the SDK has one of its own."""
        # When the loop has ended, so has everybody who listened.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.add, method, params)

    async def _send(self) -> None:
        while self._waiting:
            await self._notify(*self._waiting.popleft())
            if self._left_out and not self._waiting:
                line = f"{self._left_out} lines were left out"
                self._left_out = 0
                self._waiting.append(("log", {"level": "warning", "message": line}))


class Handler(logging.Handler):
    """Sends log records to the server while one is connected, else to standard error."""

    def __init__(self, notices: Notices, connected: Callable[[], bool], otherwise: logging.Handler) -> None:
        super().__init__()
        self._notices = notices
        self._connected = connected
        self._otherwise = otherwise

    def emit(self, record: logging.LogRecord) -> None:
        if not self._connected():
            self._otherwise.handle(record)
            return
        message = shortened(without_secrets(self.format(record)))
        self._notices.add_from_anywhere("log", {"level": record.levelname.lower(), "message": message})
