"""What becomes of sandboxes when the sidecar's server is gone."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import unittest
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from glue_sidecar import endings
from glue_sidecar.endings import Ending, Endings
from glue_sidecar.errors import SidecarError
from glue_sidecar.sandboxes import Held

from .case import Case
from .client import CallError, Sidecar


@dataclass
class FileInfo:
    size: int


class Process:
    """A command of a sandbox that prints something, or, with None, does not end."""

    def __init__(self, out: bytes | None) -> None:
        self.out = out
        self.stdout, self.stderr = self._stream(), self._stream()
        self.wait = self

    async def _stream(self) -> AsyncIterator[bytes]:
        yield self.out or b""

    async def aio(self) -> int:
        if self.out is None:
            await asyncio.Event().wait()
        return 0


class WithoutServer(Case):
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

    async def test_F17_nothing_waits_for_one_that_captures(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        await self.ending(s, sb, "while [ ! -e /tmp/go ]; do sleep 0.05; done; echo last >/tmp/last")
        waiting = s.answer(s.send("exec/run", {"sandboxId": sb, "argv": ["sleep", "100"], "timeoutMs": 90_000}))
        await s.call("sandbox/status", sandboxId=sb)  # so that the call before it has begun
        s.process.send_signal(signal.SIGTERM)
        with self.assertRaises(CallError) as told:
            await asyncio.wait_for(waiting, 60)
        self.assertEqual(told.exception.kind, "unavailable")
        self.assertIn("ending", str(told.exception))
        await asyncio.wait_for(s.ended(), 60)
        self.assertIsNone(s.process.returncode)  # it still captures
        other = await self.sidecar()
        await other.call("sandbox/attach", sandboxId=sb)
        await other.call("exec/run", sandboxId=sb, argv=["touch", "/tmp/go"])
        self.assertEqual(await s.wait(), 0)
        self.assertEqual((self.dir / "ending").read_text(), "last\n")

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

    async def test_a_lock_that_somebody_has_is_taken_once_it_is_free(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        lock = self.dir / "lock"
        with lock.open("wb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            await self.ending(s, sb, "true", lockPath=str(lock))
            await self.ending(s, sb, "exit 0", lockPath=str(lock))  # said again, it still tries
        await asyncio.wait_for(self.until_locked(lock), 60)
        await s.call("sandbox/release", sandboxId=sb)
        self.assertFalse(self.locked(lock))

    async def until_locked(self, lock: Path) -> None:
        while not self.locked(lock):
            await asyncio.sleep(0.01)

    @staticmethod
    def locked(lock: Path) -> bool:
        with lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

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

    async def test_U4_what_a_capture_leaves_inside_is_kept_as_an_image_too(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        await self.output(s, sb, "sh", "-c", "echo large >/tmp/large")
        await self.ending(s, sb, "echo last >/tmp/last; exit 3", snapshot=True)
        await s.end()
        self.assertFalse(self.line(sb)["alive"])
        self.assertEqual((self.dir / "ending").read_text(), "last\n")
        note = self.note()
        self.assertTrue(note["captured"])
        again = await self.sidecar()
        later = await self.sandbox(again, snapshot=note["imageId"])
        out, _, _ = await self.output(again, later, "cat", "/tmp/large")
        self.assertEqual(out, b"large\n")

    async def test_U4_where_that_fails_the_sandbox_is_not_ended(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        await self.ending(s, sb, "echo last >/tmp/last; exit 3")
        await s.end()
        self.assertTrue(self.line(sb)["alive"])
        note = self.note()
        self.assertEqual((note["captured"], note["ended"]), (True, False))

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

    async def test_X7_a_capture_that_grows_while_it_is_taken_is_not_taken(self) -> None:
        stat = FileInfo(size=10)
        sandbox = mock.Mock()
        sandbox.filesystem.stat.aio = mock.AsyncMock(return_value=stat)
        sandbox.exec.aio = mock.AsyncMock(side_effect=lambda *argv, text: Process(b"x" * 1000 if argv[0] == "cat" else b""))
        ending = Ending(["capture"], "/tmp/last", str(self.dir / "ending"), max_bytes=1 << 30)
        held = Held("sb-1", sandbox, ending=ending)
        problem = await Endings(mock.Mock())._try_capture(held, ending)
        assert isinstance(problem, SidecarError)
        self.assertEqual(problem.kind, "tooLarge")
        self.assertFalse((self.dir / "ending").exists())
        self.assertLess((self.dir / "ending.part").stat().st_size, 1000)

    async def test_S6_a_capture_that_hangs_leaves_time_to_keep_the_files(self) -> None:
        sb = "sb-1"
        sandbox = mock.Mock()
        sandbox.exec.aio = mock.AsyncMock(side_effect=lambda *argv, text: Process(None))
        sandbox.snapshot_filesystem.aio = mock.AsyncMock(return_value=mock.Mock(object_id="im-1"))
        ending = Ending(["capture"], "/tmp/last", str(self.dir / "ending"), max_bytes=1 << 30)
        note: dict[str, Any] = {"sandboxId": sb}
        with mock.patch.object(endings, "CAPTURE_TIMEOUT", 0.2):
            self.assertTrue(await Endings(mock.Mock())._keep(Held(sb, sandbox, ending=ending), note))
        self.assertEqual(note["imageId"], "im-1")
        self.assertLess(endings.CAPTURE_TIMEOUT + endings.SNAPSHOT_TIMEOUT, endings.ENDING_TIMEOUT)

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

    async def test_one_that_is_asked_for_a_sandbox_is_not_idle(self) -> None:
        s = await self.sidecar()
        before = self.emulator.stats()["calls"]["SandboxCreateV2"]
        self.emulator.post("/faults", {"createDelayMs": 2000})
        making = asyncio.create_task(self.sandbox(s))
        while self.emulator.stats()["calls"]["SandboxCreateV2"] == before:
            await asyncio.sleep(0.02)
        self.assertFalse((await s.call("shutdown", ifIdle=True))["stopping"])
        sb = await making
        self.assertFalse((await s.call("shutdown", ifIdle=True))["stopping"])
        await s.call("sandbox/terminate", sandboxId=sb)
        self.assertTrue((await s.call("shutdown", ifIdle=True))["stopping"])
        self.assertEqual(await s.wait(), 0)

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
