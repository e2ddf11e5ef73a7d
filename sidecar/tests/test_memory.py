"""The sidecar's own memory does not grow with what goes through it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from .case import Case
from .client import Sidecar

MIB = 1 << 20

# The SDK lets a peer send 64 MiB before somebody reads them.
READ_AHEAD = 64 * MIB


class Memory(Case):
    def measure(self, s: Sidecar, field: str) -> int:
        """Resident bytes: VmRSS is now, VmHWM is the most since the peak was forgotten."""
        for line in Path(f"/proc/{s.process.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value.split()[0]) << 10
        self.fail(f"/proc does not tell {field}")

    def forget_peak(self, s: Sidecar) -> None:
        Path(f"/proc/{s.process.pid}/clear_refs").write_text("5")

    async def idle(self) -> tuple[Sidecar, str, int]:
        """A sidecar that has done everything once."""
        s = await self.sidecar()
        sb = await self.sandbox(s)
        (self.dir / "small").write_bytes(b"x")
        await s.call("fs/upload", sandboxId=sb, path="/tmp/small", localPath=str(self.dir / "small"))
        await s.call("fs/download", sandboxId=sb, path="/tmp/small", localPath=str(self.dir / "small"))
        await self.output(s, sb, "true")
        return s, sb, self.measure(s, "VmRSS")

    async def test_64_MiB_go_up_and_come_down_through_little_of_it(self) -> None:
        s, sb, before = await self.idle()
        there, back = self.dir / "there", self.dir / "back"
        there.write_bytes(os.urandom(64 * MIB))
        self.forget_peak(s)
        await s.call("fs/upload", sandboxId=sb, path="/tmp/big", localPath=str(there))
        await s.call("fs/download", sandboxId=sb, path="/tmp/big", localPath=str(back))
        self.assertEqual(back.read_bytes(), there.read_bytes())
        self.assertLess(self.measure(s, "VmHWM") - before, 24 * MIB)

    async def test_X8_output_that_nobody_takes_is_held_back(self) -> None:
        s, sb, before = await self.idle()
        self.forget_peak(s)
        flood = ["head", "-c", str(1024 * MIB), "/dev/zero"]
        started = await s.call("exec/start", sandboxId=sb, argv=flood, windowBytes=MIB)
        steady, last = 0, 0
        while steady < 20:
            await asyncio.sleep(0.1)
            now = self.measure(s, "VmRSS")
            steady, last = (steady + 1, last) if abs(now - last) < MIB else (0, now)
            self.assertLess(self.measure(s, "VmHWM") - before, READ_AHEAD + 48 * MIB)
        await s.call("exec/kill", execId=started["execId"])
        out, _, _ = await self.output(s, sb, "echo", "still here")
        self.assertEqual(out, b"still here\n")
