"""Calls of the SDK, which may wait for ever, made to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from .errors import SidecarError

# What is kept of a command's complaints: their end.
MAX_COMPLAINT = 16 << 10

# An unreachable server is tried for a minute by the SDK: people wait for an answer.
CALL_TIMEOUT = 10.0


async def bounded(call: Awaitable[Any], seconds: float, doing: str) -> Any:
    """Waits for a call of the SDK, but not for ever. The call is cancelled then; what
    must not be half done is not for this."""
    try:
        return await asyncio.wait_for(call, seconds)
    except asyncio.TimeoutError:
        hint = "is the network up? modal token info shows whether Modal can be reached"
        raise SidecarError("unavailable", f"{doing}: Modal did not answer within {seconds:.0f} s", hint=hint) from None


async def first(stream: AsyncIterator[bytes], most: int) -> bytes:
    """Reads all that comes, and keeps its beginning."""
    kept = bytearray()
    async for chunk in stream:
        kept += chunk[: most - len(kept)]
    return bytes(kept)


async def tail(stream: AsyncIterator[bytes], most: int) -> bytes:
    """Reads all that comes, and keeps its end."""
    kept = b""
    async for chunk in stream:
        kept = (kept + chunk)[-most:]
    return kept
