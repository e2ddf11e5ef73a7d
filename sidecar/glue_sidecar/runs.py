"""Short commands of the server's own in a sandbox: what they say is the answer."""

from __future__ import annotations

import asyncio
from typing import Any

from .calls import CALL_TIMEOUT, bounded, first
from .params import Reader
from .sandboxes import Sandboxes

# What is kept of each output; the rest is read and forgotten.
MAX_OUTPUT = 64 << 10
DEFAULT_TIMEOUT_MS = 60_000


class Runs:
    """The method exec/run."""

    def __init__(self, sandboxes: Sandboxes) -> None:
        self._sandboxes = sandboxes

    async def run(self, p: Reader) -> dict[str, Any]:
        """Runs a command to its end, without a shell and without input."""
        held = self._sandboxes.get(p)
        options: dict[str, Any] = {"text": False}
        if cwd := p.optional_text("cwd"):
            options["workdir"] = cwd
        if env := p.table("env"):
            options["env"] = env
        limit = p.number("timeoutMs", DEFAULT_TIMEOUT_MS) / 1000
        started = held.sandbox.exec.aio(*p.texts("argv"), **options)
        process = await bounded(started, CALL_TIMEOUT, "starting a command")

        async def whole() -> tuple[int, bytes, bytes]:
            code, out, err = await asyncio.gather(process.wait.aio(), first(process.stdout, MAX_OUTPUT), first(process.stderr, MAX_OUTPUT))
            return code, out, err

        code, out, err = await bounded(whole(), limit, "running a command")
        return {"exitCode": code, "stdout": out.decode("utf-8", "replace"), "stderr": err.decode("utf-8", "replace")}
