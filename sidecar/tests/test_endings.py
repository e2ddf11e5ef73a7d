"""What becomes of sandboxes when the sidecar's server is gone."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import unittest
from typing import Any

from .case import Case
from .client import CallError, Sidecar


class Endings(Case):
    async def ending(self, s: Sidecar, sandbox: str, script: str | None, **options: Any) -> dict[str, Any]:
        """Sets one by which a script writes the file inside."""
        argv = [] if script is None else ["sh", "-c", script]
        local = str(self.dir / "ending")
        await s.call("sandbox/setEnding", sandboxId=sandbox, argv=argv, path="/tmp/last", localPath=local, **options)
        return options

    def note(self) -> dict[str, Any]:
        note: dict[str, Any] = json.loads((self.dir / "ending.json").read_text())
        return note

    async def test_S6_without_its_server_it_captures_and_ends_the_sandbox(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        await self.ending(s, sb, "echo last >/tmp/last", lockPath=str(self.dir / "lock"))
        self.assertEqual(await s.end(), 0)
        self.assertEqual((self.dir / "ending").read_text(), "last\n")
        self.assertEqual((self.dir / "ending").stat().st_mode & 0o777, 0o600)
        note = self.note()
        self.assertEqual((note["sandboxId"], note["captured"], note["ended"]), (sb, True, True))
        self.assertFalse(self.line(sb)["alive"])
        self.assertEqual(sorted(p.name for p in self.dir.iterdir()), ["ending", "ending.json", "lock"])

    async def test_F17_SIGTERM_does_the_same(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        await self.ending(s, sb, "echo last >/tmp/last")
        s.process.send_signal(signal.SIGTERM)
        self.assertEqual(await s.wait(), 0)
        self.assertEqual((self.dir / "ending").read_text(), "last\n")
        self.assertFalse(self.line(sb)["alive"])

    async def test_a_sandbox_in_which_nothing_was_done_is_just_ended(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        await s.end()
        self.assertFalse(self.line(sb)["alive"])

    async def test_whoever_comes_meanwhile_finds_the_lock_held_until_all_is_done(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        lock = self.dir / "lock"
        await self.ending(s, sb, "sleep 1; echo last >/tmp/last", lockPath=str(lock))
        ending = asyncio.create_task(s.end())
        with lock.open("rb") as held:
            with self.assertRaises(BlockingIOError):
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            await asyncio.get_running_loop().run_in_executor(None, fcntl.flock, held, fcntl.LOCK_EX)
            self.assertTrue((self.dir / "ending").exists())
            self.assertTrue(self.note()["ended"])
        await ending

    async def test_the_lock_goes_with_the_sandbox(self) -> None:
        s = await self.sidecar()
        lock = self.dir / "lock"
        for end in ("sandbox/terminate", "sandbox/release"):
            sb = await self.sandbox(s)
            await self.ending(s, sb, "true", lockPath=str(lock))
            await self.ending(s, sb, "exit 0", lockPath=str(lock))  # said again, it is still one lock
            await s.call(end, sandboxId=sb)
            with lock.open("rb") as free:
                fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)

    async def test_F16_a_sandbox_that_shall_stay_is_captured_and_stays_and_says_that_nobody_has_it(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s, tags={"glue-holder": "me", "other": "stays"})
        await self.ending(s, sb, "echo last >/tmp/last", terminate=False, tags={"glue-holder": ""})
        await s.end()
        line = self.line(sb)
        self.assertTrue(line["alive"])
        self.assertNotIn("glue-holder", line["tags"])
        self.assertEqual(line["tags"]["other"], "stays")
        self.assertEqual((self.dir / "ending").read_text(), "last\n")
        self.assertFalse(self.note()["ended"])

    async def test_a_sandbox_that_was_only_joined_is_left_alone(self) -> None:
        first, second = await self.sidecar(), await self.sidecar()
        sb = await self.sandbox(first)
        await second.call("sandbox/attach", sandboxId=sb)
        await second.end()
        self.assertTrue(self.line(sb)["alive"])

    async def test_L4_a_termination_that_fails_is_tried_again(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        self.emulator.post("/faults", {"terminateFails": 1})
        await s.end()
        self.assertFalse(self.line(sb)["alive"])

    async def test_S6_what_cannot_be_captured_is_kept_as_an_image(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        await self.output(s, sb, "sh", "-c", "echo kept >/tmp/kept")
        await self.ending(s, sb, "echo the agent is gone >&2; exit 1", snapshot=True)
        await s.end()
        self.assertFalse(self.line(sb)["alive"])
        note = self.note()
        self.assertFalse(note["captured"])
        self.assertIn("the agent is gone", note["problem"])
        again = await self.sidecar()
        later = await self.sandbox(again, snapshot=note["imageId"])
        out, _, _ = await self.output(again, later, "cat", "/tmp/kept")
        self.assertEqual(out, b"kept\n")

    async def test_S6_what_can_neither_be_captured_nor_kept_is_not_ended(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        await self.ending(s, sb, "exit 1")
        await s.end()
        self.assertTrue(self.line(sb)["alive"])
        self.assertFalse(self.note()["ended"])

    async def test_X7_a_capture_that_is_larger_than_it_may_be_is_not_taken(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        await self.ending(s, sb, "head -c 3000 /dev/zero >/tmp/last", maxBytes=2000)
        await s.end()
        self.assertFalse((self.dir / "ending").exists())
        self.assertIn("3000", self.note()["problem"])

    async def test_S6_a_network_that_comes_back_loses_nothing(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        await self.ending(s, sb, "echo last >/tmp/last")
        self.emulator.post("/cut?ms=3000")
        await s.end()
        self.assertEqual((self.dir / "ending").read_text(), "last\n")
        self.assertFalse(self.line(sb)["alive"])

    async def test_S6_a_sandbox_that_was_still_being_made_is_ended(self) -> None:
        s = await self.sidecar()
        await self.sandbox(s)  # what is asked for the first time takes longer
        before = self.emulator.stats()
        self.emulator.post("/faults", {"createDelayMs": 1000})
        making = asyncio.create_task(self.sandbox(s))
        while self.emulator.stats()["calls"]["SandboxCreateV2"] == before["calls"]["SandboxCreateV2"]:
            await asyncio.sleep(0.02)
        await s.end()
        with self.assertRaises((CallError, ConnectionError)):
            await making
        others = {b["id"] for b in before["sandboxes"][:-1]}
        left = [b["id"] for b in self.emulator.stats()["sandboxes"] if b["alive"] and b["id"] not in others]
        self.assertEqual(left, [])

    async def test_S4_the_end_of_a_sandbox_is_told_with_its_reason(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s, timeoutSeconds=1)
        self.assertEqual((await s.note("sandbox/ended", sandboxId=sb))["reason"], "cap")
        sb = await self.sandbox(s)
        self.emulator.post(f"/sandboxes/{sb}/end?how=terminated")
        self.assertEqual((await s.note("sandbox/ended", sandboxId=sb))["reason"], "terminated")

    async def test_S5_tags_are_changed_one_by_one(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s, tags={"a": "1", "b": "2"})
        await s.call("sandbox/setTags", sandboxId=sb, tags={"b": "", "c": "3"})
        tags = (await s.call("sandbox/tags", sandboxId=sb))["tags"]
        self.assertEqual({k: v for k, v in tags.items() if k in "abc"}, {"a": "1", "c": "3"})


if __name__ == "__main__":
    os.environ.setdefault("MODALEMU", "modalemu")
    unittest.main()
