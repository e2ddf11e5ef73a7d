"""Sandboxes: made whole or not at all, found again, and ended by whoever is left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from typing import Any
from unittest import mock

from glue_sidecar import sandboxes
from glue_sidecar.errors import SidecarError
from glue_sidecar.params import Reader

from .case import Case
from .client import CallError, Sidecar


class Made(Case):
    async def refused(self, s: Sidecar, **options: Any) -> CallError:
        with self.assertRaises(CallError) as raised:
            await self.sandbox(s, **options)
        return raised.exception

    async def test_its_cap_and_its_tags_are_in_the_call_that_makes_it(self) -> None:
        s = await self.sidecar()
        before = time.time()
        made = await s.call("sandbox/create", appName="tests", timeoutSeconds=90, tags={"owner": "me"})
        line = self.line(made["sandboxId"])
        self.assertEqual(line["timeoutSeconds"], 90)
        self.assertEqual(line["tags"]["owner"], "me")
        self.assertAlmostEqual(float(line["tags"]["glue-expires"]), made["expiresAt"], delta=1)
        self.assertTrue(before + 90 <= made["expiresAt"] <= time.time() + 90)
        self.assertNotIn("SandboxTagsSetV2", self.emulator.stats()["calls"])

    async def test_every_setting_reaches_modal(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(
            s, cpu=0.5, memoryMb=256, region="eu", network="none", env={"WORD": "a b"}, idleTimeoutSeconds=600, workdir="/opt"
        )
        line = self.line(sb)
        self.assertEqual((line["milliCpu"], line["memoryMb"], line["regions"], line["blockNetwork"]), (500, 256, ["eu"], True))
        out, _, _ = await self.output(s, sb, "sh", "-c", "echo $WORD")
        self.assertEqual(out, b"a b\n")

    async def test_one_with_a_GPU_is_made_used_and_ended(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s, gpu="T4", env={"WORD": "seen"}, tags={"kind": "gpu"})
        self.assertEqual(self.line(sb)["gpu"], "T4")
        out, _, end = await self.output(s, sb, "sh", "-c", "echo $WORD")
        self.assertEqual((out, end["exitCode"]), (b"seen\n", 0))
        found = await s.call("sandbox/list", appName="tests", tags={"kind": "gpu"})
        self.assertEqual([f["sandboxId"] for f in found["sandboxes"]], [sb])
        await s.call("sandbox/terminate", sandboxId=sb)
        self.assertFalse(self.line(sb)["alive"])

    async def test_what_modal_refuses_has_a_kind_and_leaves_nothing(self) -> None:
        s = await self.sidecar()
        await self.sandbox(s)
        count = len(self.emulator.stats()["sandboxes"])
        for faults, options, kind, word in (
            ({"maxSandboxes": 1}, {}, "runtimeUnavailable", "limit of 1"),
            ({"createFails": "no machine, said ak-Secret12345 to as-emulator"}, {}, "unavailable", "no machine, said *** to ***"),
            ({"imageFails": "E: disk full"}, {"image": "debian:bookworm"}, "runtimeUnavailable", "E: disk full"),
            ({}, {"region": "the moon"}, "runtimeUnavailable", "Invalid region"),
            ({}, {"secrets": ["none"]}, "runtimeUnavailable", "Secret 'none' not found"),
            ({}, {"volumes": {"/v": "none"}}, "runtimeUnavailable", "Volume 'none' not found"),
            ({"refuseToken": True}, {}, "notAuthenticated", "Token"),
        ):
            with self.subTest(word):
                self.emulator.post("/faults", faults)
                error = await self.refused(s, **options)
                self.assertEqual(error.kind, kind)
                self.assertIn(word, str(error))
        self.emulator.post("/faults")
        self.assertEqual(len(self.emulator.stats()["sandboxes"]), count)
        await self.sandbox(s)  # and now it works

    async def test_ten_live_side_by_side_in_one_sidecar(self) -> None:
        s = await self.sidecar()
        all_of_them = await asyncio.gather(*(self.sandbox(s, env={"N": str(n)}) for n in range(10)))
        outs = await asyncio.gather(*(self.output(s, sb, "sh", "-c", "echo $N >/tmp/n; cat /tmp/n") for sb in all_of_them))
        self.assertEqual([out for out, _, _ in outs], [b"%d\n" % n for n in range(10)])
        await asyncio.gather(*(s.call("sandbox/terminate", sandboxId=sb) for sb in all_of_them))
        self.assertFalse(any(self.line(sb)["alive"] for sb in all_of_them))

    async def test_progress_of_a_build_is_told(self) -> None:
        s = await self.sidecar()
        await self.sandbox(s, image="debian:progress")
        lines = [n["params"]["message"] for n in s.notes if n["method"] == "progress"]
        self.assertTrue(any("FROM debian:progress" in line for line in lines), lines)


class Cancelled(Case):
    async def abandoned(self, tag: str) -> dict[str, Any]:
        """Waits until the sandbox that nobody waited for was made and ended."""

        def look() -> dict[str, Any] | None:
            lines = [b for b in self.emulator.stats()["sandboxes"] if b["tags"].get("tag") == tag]
            return lines[0] if lines and not lines[0]["alive"] else None

        for _ in range(600):
            if line := look():
                return line
            await asyncio.sleep(0.1)
        self.fail("no sandbox was made and ended")

    async def under_way(self, s: Sidecar, tag: str) -> tuple[int, asyncio.Future[Any]]:
        """Begins to make a sandbox, which takes a while, up to the call that makes it."""
        self.emulator.post("/faults", {"createDelayMs": 1500})
        before = self.emulator.stats()["calls"].get("SandboxCreateV2", 0)
        ident = s.send("sandbox/create", {"appName": "tests", "timeoutSeconds": 600, "tags": {"tag": tag}})
        answer = s.answer(ident)
        while self.emulator.stats()["calls"].get("SandboxCreateV2", 0) == before:
            await asyncio.sleep(0.05)
        return ident, answer

    async def test_L4_a_sandbox_that_comes_after_the_call_was_cancelled_is_ended(self) -> None:
        s = await self.sidecar()
        ident, answer = await self.under_way(s, "cancelled")
        s.tell("$/cancelRequest", {"id": ident})
        with self.assertRaises(CallError) as raised:
            await answer
        self.assertEqual(raised.exception.code, -32800)
        self.assertLess((await self.abandoned("cancelled"))["billedSeconds"], 10)

    async def test_S6_the_server_leaves_while_a_sandbox_is_made(self) -> None:
        s = await self.sidecar()
        _, answer = await self.under_way(s, "left")
        answer.cancel()
        self.assertEqual(await s.end(), 0)
        self.assertFalse((await self.abandoned("left"))["alive"])

    async def test_F17_SIGTERM_while_a_sandbox_is_made(self) -> None:
        s = await self.sidecar()
        _, answer = await self.under_way(s, "told to end")
        s.process.send_signal(signal.SIGTERM)
        with self.assertRaises((CallError, ConnectionError)):
            await answer
        self.assertEqual(await s.wait(), 0)
        self.assertFalse((await self.abandoned("told to end"))["alive"])

    async def test_L4_ending_goes_on_when_its_call_is_cancelled(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        self.emulator.post("/faults", {"callDelayMs": 300})
        ident = s.send("sandbox/terminate", {"sandboxId": sb})
        answer = s.answer(ident)
        s.tell("$/cancelRequest", {"id": ident})
        await asyncio.gather(answer, return_exceptions=True)
        await s.end()
        self.assertFalse(self.line(sb)["alive"])


class CancelledInside(Case):
    async def cancelled(self, s: Sidecar, begun: str, method: str, **params: Any) -> None:
        """Makes a call and cancels it when a call of the SDK is under way for it."""
        self.emulator.post("/faults", {"callDelayMs": 700})
        before = self.emulator.stats()["calls"].get(begun, 0)
        ident = s.send(method, params)
        answer = s.answer(ident)
        while self.emulator.stats()["calls"].get(begun, 0) == before:
            await asyncio.sleep(0.02)
        s.tell("$/cancelRequest", {"id": ident})
        with self.assertRaises(CallError):
            await answer
        self.emulator.post("/faults")

    async def until(self, s: Sidecar, sandbox: str, script: str, want: bytes) -> None:
        """Waits until a script says so."""
        out = b""
        for _ in range(600):
            out, _, _ = await self.output(s, sandbox, "sh", "-c", script)
            if out == want:
                return
            await asyncio.sleep(0.1)
        self.fail(f"{script} still says {out!r}")

    async def test_L2_a_command_whose_start_is_cancelled_does_not_run_on(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        await self.output(s, sb, "true")
        await self.cancelled(s, "TaskExecStart", "exec/start", sandboxId=sb, argv=["sleep", "4242"])
        await self.until(s, sb, "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c 'sleep[ ]4242'", b"0\n")

    async def test_a_write_that_is_cancelled_is_whole_and_leaves_nothing_beside_it(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        await self.output(s, sb, "sh", "-c", "mkdir /tmp/d; echo old >/tmp/d/f")
        (self.dir / "new").write_bytes(b"x" * (8 << 20))
        call = {"sandboxId": sb, "path": "/tmp/d/f", "localPath": str(self.dir / "new"), "token": "7"}
        await self.cancelled(s, "TaskExecStdinWriteStream", "fs/writeFile", **call)
        await self.until(s, sb, "ls -A /tmp/d; wc -c </tmp/d/f", b"f\n%d\n" % (8 << 20))


class Found(Case):
    async def test_what_joins_later_knows_when_it_ends(self) -> None:
        first, second = await self.sidecar(), await self.sidecar()
        made = await first.call("sandbox/create", appName="tests", timeoutSeconds=300, tags={"owner": "x"})
        joined = await second.call("sandbox/attach", sandboxId=made["sandboxId"])
        self.assertAlmostEqual(joined["expiresAt"], made["expiresAt"], delta=1)
        listed = (await second.call("sandbox/list", appName="tests", tags={"owner": "x"}))["sandboxes"]
        self.assertAlmostEqual(listed[0]["expiresAt"], made["expiresAt"], delta=1)
        self.assertEqual(listed[0]["tags"]["owner"], "x")
        status = await second.call("sandbox/status", sandboxId=made["sandboxId"])
        self.assertTrue(status["running"])

    async def test_those_of_every_environment_are_listed(self) -> None:
        s = await self.sidecar()
        here = await self.sandbox(s, tags={"owner": "everywhere"})
        there = await self.sandbox(s, tags={"owner": "everywhere"}, environment="other")
        one = await s.call("sandbox/list", appName="tests", tags={"owner": "everywhere"})
        every = await s.call("sandbox/list", appName="tests", tags={"owner": "everywhere"}, everyEnvironment=True)
        self.assertEqual([f["sandboxId"] for f in one["sandboxes"]], [here])
        self.assertEqual({f["sandboxId"] for f in every["sandboxes"]}, {here, there})

    async def test_environments_that_the_token_may_not_use_are_left_out(self) -> None:
        some = sandboxes.Sandboxes(mock.AsyncMock(), mock.Mock())

        async def app(name: str, environment: str, create: bool) -> Any:
            if environment in refused:
                raise SidecarError("permissionDenied", f"not {environment}")
            return environment

        async def listed(app: str, tags: dict[str, str]) -> list[dict[str, Any]]:
            return [{"sandboxId": app}]

        with (
            mock.patch.object(sandboxes, "_environments", mock.AsyncMock(return_value=["main", "theirs", "dev"])),
            mock.patch.object(sandboxes, "_list", listed),
            mock.patch.object(some._maker, "app", app),
        ):
            refused = ["theirs"]
            found = await some.list(Reader({"appName": "glue", "tags": {}, "everyEnvironment": True}))
            self.assertEqual([line["sandboxId"] for line in found["sandboxes"]], ["main", "dev"])
            refused = ["main", "theirs", "dev"]
            with self.assertRaises(SidecarError):
                await some.list(Reader({"appName": "glue", "tags": {}, "everyEnvironment": True}))

    async def test_an_app_that_was_never_made_has_none(self) -> None:
        s = await self.sidecar()
        self.assertEqual(await s.call("sandbox/list", appName="nobody", tags={"a": "b"}), {"sandboxes": []})

    async def test_one_that_ended_or_never_was_cannot_be_joined(self) -> None:
        first, second = await self.sidecar(), await self.sidecar()
        sb = await self.sandbox(first)
        await first.call("sandbox/terminate", sandboxId=sb)
        for ident in (sb, "sb-none", "sb-" + "a" * 22, "nonsense"):
            with self.assertRaises(CallError) as raised:
                await second.call("sandbox/attach", sandboxId=ident)
            self.assertEqual(raised.exception.kind, "executorDead", ident)
        await second.call("sandbox/terminate", sandboxId=sb)  # which is no error

    async def test_one_that_is_released_goes_on(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        await s.call("sandbox/release", sandboxId=sb)
        await s.end()
        self.assertTrue(self.line(sb)["alive"])

    async def test_S4_whatever_ends_it_is_told(self) -> None:
        s = await self.sidecar()
        for how, reason in (("timeout", "cap"), ("terminated", "terminated"), ("evicted", "exited"), ("internal", "exited")):
            sb = await self.sandbox(s)
            self.emulator.post(f"/sandboxes/{sb}/end?how={how}")
            note = await s.note("sandbox/ended", sandboxId=sb)
            self.assertEqual(note["reason"], reason, how)
            self.assertTrue(note["message"])

    async def test_a_snapshot_is_what_another_starts_from(self) -> None:
        first, second = await self.sidecar(), await self.sidecar()
        sb = await self.sandbox(first)
        await self.output(first, sb, "sh", "-c", "echo kept >/opt/kept")
        image = (await first.call("sandbox/snapshot", sandboxId=sb))["imageId"]
        for s in (first, second):
            again = await self.sandbox(s, snapshot=image)
            out, _, _ = await self.output(s, again, "cat", "/opt/kept")
            self.assertEqual(out, b"kept\n")


class SmallerServer(Case):
    """A server that offers only the calls without which nothing works."""

    async def test_a_whole_session_needs_nothing_more(self) -> None:
        self.emulator.post("/faults", {"coreOnly": True})
        s = await self.sidecar()
        self.assertTrue((await s.call("doctor/auth"))["tokenValid"])
        sb = await self.sandbox(s, tags={"owner": "core"}, env={"A": "b"}, network="none", cpu=1, region="us")
        out, _, end = await self.output(s, sb, "echo", "works")
        self.assertEqual((out, end["exitCode"]), (b"works\n", 0))
        (self.dir / "file").write_bytes(os.urandom(1 << 20))
        await s.call("fs/writeFile", sandboxId=sb, path="/tmp/file", localPath=str(self.dir / "file"), token="1")
        await s.call("fs/download", sandboxId=sb, path="/tmp/file", localPath=str(self.dir / "back"))
        self.assertEqual((self.dir / "back").read_bytes(), (self.dir / "file").read_bytes())
        for every in (False, True):
            found = await s.call("sandbox/list", appName="tests", tags={"owner": "core"}, everyEnvironment=every)
            self.assertEqual([f["sandboxId"] for f in found["sandboxes"]], [sb])
        await s.call("sandbox/status", sandboxId=sb)
        image = (await s.call("sandbox/snapshot", sandboxId=sb))["imageId"]
        again = await self.sandbox(s, snapshot=image)
        other = await self.sidecar()
        await other.call("sandbox/attach", sandboxId=sb)
        await other.call("sandbox/terminate", sandboxId=sb)
        await s.call("sandbox/terminate", sandboxId=again)
        self.assertFalse(self.line(sb)["alive"] or self.line(again)["alive"])

    async def test_what_it_lacks_is_said_at_once(self) -> None:
        self.emulator.post("/faults", {"coreOnly": True})
        s = await self.sidecar()
        for options in ({"gpu": "T4"}, {"secrets": ["x"]}, {"volumes": {"/v": "x"}}, {"image": "im-elsewhere"}):
            with self.subTest(options):
                began = time.monotonic()
                with self.assertRaises(CallError) as raised:
                    await self.sandbox(s, **options)
                self.assertEqual(raised.exception.kind, "unsupported")
                self.assertLess(time.monotonic() - began, 30)

    async def test_without_tags_and_names_it_still_works(self) -> None:
        gone = ["SandboxTagsGetV2", "WorkspaceNameLookup", "TokenInfoGet", "EnvironmentList", "SandboxGetTaskIdV2", "TaskExecPoll"]
        self.emulator.post("/faults", {"unimplemented": gone})
        s = await self.sidecar()
        self.assertTrue((await s.call("doctor/auth"))["tokenValid"])
        sb = await self.sandbox(s, tags={"owner": "bare"})
        found = await s.call("sandbox/list", appName="tests", tags={"owner": "bare"}, everyEnvironment=True)
        self.assertEqual([f["sandboxId"] for f in found["sandboxes"]], [sb])
        out, _, _ = await self.output(s, sb, "echo", "works")
        self.assertEqual(out, b"works\n")


class Quiet(Case):
    async def test_X10_the_noisiest_log_holds_no_token_and_breaks_no_frame(self) -> None:
        s = await self.sidecar(env={"GLUE_SIDECAR_LOG": "DEBUG", "MODAL_LOGLEVEL": "DEBUG"})
        sb = await self.sandbox(s)
        out, _, _ = await self.output(s, sb, "echo", "works")
        self.assertEqual(out, b"works\n")
        await s.note("log")
        said = json.dumps(s.notes)
        self.assertNotIn(self.emulator.env["MODAL_TOKEN_SECRET"], said)
        self.assertNotIn(self.emulator.env["MODAL_TOKEN_ID"], said)
        self.assertNotRegex(said, r"eyJ[A-Za-z0-9_-]{10,}\.")
