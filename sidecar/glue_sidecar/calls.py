"""Calls of the SDK, which may wait for ever, made to end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from .errors import SidecarError

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
