"""Whose the token is, and whether Modal takes it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .calls import bounded
from .errors import explain
from .network import Network, addresses, silence
from .params import Reader

# What is asked beside the token itself is for information.
DETAIL_TIMEOUT = 2.0


class Account:
    """Answers doctor."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def auth(self, p: Reader) -> dict[str, Any]:
        """Really asks Modal whose the token is, and whether there is the environment. No
        network is an error, and a token that is refused an answer."""
        environment = p.optional_text("environment")
        seconds = p.number("timeoutMs", 60_000) / 1000
        said: dict[str, Any] = {"tokenValid": False, "workspace": "", "server": "", "source": ""}
        results: Sequence[Any]
        try:
            try:
                await asyncio.wait_for(self._network.ready(), seconds)
            except asyncio.TimeoutError:
                raise silence() from None
            results = await asyncio.gather(_workspace(), _environment(environment), return_exceptions=True)
        except Exception as raised:
            results = [raised]
        said["server"], said["source"] = _server(), _source()
        for result in results:
            if isinstance(result, dict):
                said.update(result)
                continue
            if isinstance(result, Exception):
                e = explain(result)
                if e.kind == "notAuthenticated":
                    return {**said, "message": e.message, "hint": e.hint}
                if len(results) == 1:
                    raise e from result
        return {**said, "tokenValid": True}


async def _workspace() -> dict[str, Any]:
    """The name of the workspace that the token is for. One person's own is called after
    them."""
    import modal

    found = modal.Workspace.from_context()
    await bounded(found.hydrate.aio(), DETAIL_TIMEOUT, "asking for the workspace")
    return {"workspace": found.name or ""}


async def _environment(name: str | None) -> dict[str, Any]:
    """The environment in use; none is made."""
    import modal

    found = modal.Environment.from_name(name) if name else modal.Environment.from_context()
    try:
        await bounded(found.hydrate.aio(), DETAIL_TIMEOUT, "asking for the environment")
    except Exception as raised:
        if type(raised).__name__ == "NotFoundError":
            return {"environment": name or os.environ.get("MODAL_ENVIRONMENT", ""), "environmentMissing": True}
        raise
    return {"environment": found.name or name or ""}


def _server() -> str:
    try:
        return ", ".join(host for host, _ in addresses())
    except Exception:
        return ""


def _source() -> str:
    """Where the SDK has its token from, by name."""
    set_here = [name for name in ("MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET") if os.environ.get(name)]
    if set_here:
        return " and ".join(set_here)
    try:
        from modal import config
    except Exception:
        return ""
    path = getattr(config, "user_config_path", "")
    return str(path) if path and Path(path).exists() else ""
