"""What tests of the running sidecar share."""

from __future__ import annotations

import asyncio
import base64
import tempfile
import unittest
from pathlib import Path
from typing import Any

from .client import Sidecar
from .emulator import Emulator


class Case(unittest.IsolatedAsyncioTestCase):
    emulator: Emulator

    @classmethod
    def setUpClass(cls) -> None:
        cls.emulator = Emulator()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.emulator.close()

    async def asyncSetUp(self) -> None:
        # Tests run with asyncio's complaints on; that this machine is slow is none.
        asyncio.get_running_loop().slow_callback_duration = 60
        self.emulator.post("/faults")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = Path(folder.name)

    async def sidecar(self, **options: Any) -> Sidecar:
        s = Sidecar()
        env = {**self.emulator.env, **options.pop("env", {})}
        await s.start(env, **options)
        self.addAsyncCleanup(s.stop)
        return s

    async def sandbox(self, s: Sidecar, **options: Any) -> str:
        created = await s.call("sandbox/create", **{"appName": "tests", "timeoutSeconds": 120, **options})
        ident: str = created["sandboxId"]
        return ident

    def line(self, sandbox: str) -> dict[str, Any]:
        """What the emulator knows of a sandbox."""
        lines: list[dict[str, Any]] = self.emulator.stats()["sandboxes"]
        return next(line for line in lines if line["id"] == sandbox)

    async def output(self, s: Sidecar, sandbox: str, *argv: str, **options: Any) -> tuple[bytes, bytes, dict[str, Any]]:
        started = await s.call("exec/start", sandboxId=sandbox, argv=list(argv), **options)
        end = await s.note("exec/exit", execId=started["execId"])
        out = {"stdout": b"", "stderr": b""}
        for n in s.notes:
            if n["method"] == "exec/output" and n["params"]["execId"] == started["execId"]:
                out[n["params"]["stream"]] += base64.b64decode(n["params"]["data"])
        return out["stdout"], out["stderr"], end
