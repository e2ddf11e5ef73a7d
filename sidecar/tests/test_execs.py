"""Commands without an agent, with the real SDK against the emulator."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import unittest
from typing import Any
from unittest import mock

from glue_sidecar import execs
from glue_sidecar.errors import SidecarError
from glue_sidecar.execs import Command, Execs
from glue_sidecar.sandboxes import Held

from .case import Case
from .client import CallError, Sidecar


class Commands(Case):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.s = await self.sidecar()
        self.sb = await self.sandbox(self.s)

    async def run_in(self, *argv: str, **options: Any) -> tuple[bytes, bytes, dict[str, Any]]:
        return await self.output(self.s, self.sb, *argv, **options)

    async def sh(self, script: str, **options: Any) -> tuple[bytes, bytes, dict[str, Any]]:
        return await self.run_in("bash", "-c", script, **options)

    async def until(self, script: str) -> None:
        """Waits until a command succeeds inside."""
        for _ in range(600):
            done = await self.s.call("exec/pipe", sandboxId=self.sb, argv=["sh", "-c", script])
            if done["exitCode"] == 0:
                return
            await asyncio.sleep(0.05)
        self.fail(f"never: {script}")

    async def test_status_and_outputs_are_exact(self) -> None:
        out, err, end = await self.sh(r"printf '\377\0no end'; printf 'x\n' >&2; exit 7")
        self.assertEqual((out, err, end["exitCode"], end.get("signal")), (b"\xff\0no end", b"x\n", 7, None))
        _, err, end = await self.sh("kill -SEGV $$")
        self.assertEqual((end["exitCode"], end["signal"], err), (139, "SIGSEGV", b""))

    async def test_argv_runs_programs_and_not_what_a_shell_has_by_that_name(self) -> None:
        out, _, end = await self.run_in("printf", "%s|", "a b", "$(x)", "-", "", "new\nline")
        self.assertEqual((out, end["exitCode"]), (b"a b|$(x)|-||new\nline|", 0))
        await self.sh("echo text > /tmp/text; chmod 644 /tmp/text")
        for argv, kind in ((["cd", "/"], "fileNotFound"), (["/etc"], "permissionDenied"), (["/tmp/text"], "permissionDenied")):
            with self.subTest(argv=argv), self.assertRaises(CallError) as raised:
                await self.run_in(*argv)
            self.assertEqual(raised.exception.kind, kind)

    async def test_a_folder_that_cannot_be_started_in_is_told_by_kind(self) -> None:
        for cwd, kind in (("/none/at all", "fileNotFound"), ("/etc/passwd", "notADirectory"), ("/etc/passwd/x", "notADirectory")):
            with self.subTest(cwd=cwd), self.assertRaises(CallError) as raised:
                await self.run_in("true", cwd=cwd)
            self.assertEqual(raised.exception.kind, kind)
            self.assertIn(cwd, str(raised.exception))

    async def test_F5_arguments_and_variables_that_are_not_utf_8_arrive(self) -> None:
        argv = [b"sh", b"-c", b'printf %s "$0$X$Y"', b"\xff\x00"[:1] + b"it's\n\n"]
        started = await self.s.call(
            "exec/start",
            sandboxId=self.sb,
            argvBytes=[base64.b64encode(a).decode() for a in argv],
            env={"Y": "y'"},
            envBytes={"X": base64.b64encode(b"\xfe").decode()},
        )
        await self.s.note("exec/exit", execId=started["execId"])
        self.assertEqual(self.printed(started["execId"]), b"\xffit's\n\n\xfey'")

    async def test_arguments_may_be_longer_than_a_call_carries(self) -> None:
        long = "x" * 100_000
        out, _, _ = await self.sh('printf %s "${#0} ${#V}"; ls -a /tmp | grep -c glue-arg', env={"V": long})
        self.assertEqual(out, b"4 1000000\n".replace(b"1000000", b"1000000"[:6] + b"0"))
        with self.assertRaises(CallError) as raised:
            await self.run_in("true", "x" * (1 << 17))
        self.assertEqual(raised.exception.kind, "tooLarge")

    def printed(self, ident: str, stream: str = "stdout") -> bytes:
        mine = [n["params"] for n in self.s.notes if n["method"] == "exec/output" and n["params"]["execId"] == ident]
        return b"".join(base64.b64decode(p["data"]) for p in mine if p["stream"] == stream)

    async def test_F27_a_time_out_ends_all_of_it_and_counts_milliseconds(self) -> None:
        began = asyncio.get_running_loop().time()
        out, _, end = await self.sh(
            "echo up; (setsid sh -c 'trap \"\" TERM; while :; do sleep 0.1; done' >/dev/null 2>&1 &); sleep 1000", timeoutMs=1250
        )
        took = asyncio.get_running_loop().time() - began
        self.assertEqual((out, end["exitCode"], end["timedOut"]), (b"up\n", 124, True))
        self.assertGreaterEqual(took, 1.25)
        left = await self.s.call("exec/pipe", sandboxId=self.sb, argv=["sh", "-c", "grep -l GLUE_EXEC /proc/[0-9]*/environ"])
        self.assertEqual(base64.b64decode(left["stdout"]), b"")

    async def test_a_signal_reaches_the_group_and_one_without_a_name_is_refused(self) -> None:
        ident = (await self.s.call("exec/start", sandboxId=self.sb, argv=["sleep", "1000"]))["execId"]
        with self.assertRaises(CallError) as raised:
            await self.s.call("exec/kill", execId=ident, signal="SIGNONSENSE")
        self.assertEqual(raised.exception.kind, "invalidParams")
        await self.s.call("exec/kill", execId=ident, signal="SIGINT")
        end = await self.s.note("exec/exit", execId=ident)
        self.assertEqual((end["exitCode"], end["signal"]), (130, "SIGINT"))
        with self.assertRaises(CallError) as raised:
            await self.s.call("exec/kill", execId=ident, signal="SIGINT")
        self.assertEqual(raised.exception.kind, "noSuchExec")

    async def test_what_a_command_left_running_is_known_and_can_be_ended(self) -> None:
        out, _, end = await self.sh("sleep 1000 & echo done")
        self.assertEqual((out, end["exitCode"]), (b"done\n", 0))
        ident = end["execId"]
        self.assertEqual((await self.s.call("exec/background", sandboxId=self.sb, execIds=[ident, "other"]))["execIds"], [ident])
        await self.s.call("exec/kill", execId=ident)
        self.assertEqual((await self.s.call("exec/background", sandboxId=self.sb, execIds=[ident]))["execIds"], [])

    async def test_input_arrives_whole_and_in_order(self) -> None:
        ident = (await self.s.call("exec/start", sandboxId=self.sb, argv=["sha256sum"], keepStdin=True))["execId"]
        data = os.urandom(3 << 20)
        for at in range(0, len(data), 1 << 20):
            piece = base64.b64encode(data[at : at + (1 << 20)]).decode()
            await self.s.call("exec/stdin", execId=ident, data=piece, encoding="base64", eof=at + (1 << 20) >= len(data))
        await self.s.note("exec/exit", execId=ident)
        self.assertEqual(self.printed(ident).split()[0].decode(), hashlib.sha256(data).hexdigest())

    async def test_no_more_output_comes_than_there_is_room_for(self) -> None:
        ident = (await self.s.call("exec/start", sandboxId=self.sb, argv=["head", "-c", "3000000", "/dev/zero"], windowBytes=1_000_000))[
            "execId"
        ]
        for taken in (1_000_000, 2_000_000, 3_000_000):
            for _ in range(600):
                if len(self.printed(ident)) == taken:
                    break
                await asyncio.sleep(0.05)
            # Another command goes all the way round, in which more could have come, and
            # which takes longer than a stream that has to wait is kept open.
            await self.run_in("sleep", "0.6")
            self.assertEqual(len(self.printed(ident)), taken)
            await self.s.call("exec/ack", execId=ident, stdout=taken)
        end = await self.s.note("exec/exit", execId=ident)
        self.assertEqual(end["exitCode"], 0)

    async def test_a_terminal_has_its_size_and_is_told_another(self) -> None:
        ident = (
            await self.s.call(
                "exec/start",
                sandboxId=self.sb,
                argv=["bash", "-c", "stty size; trap 'stty size; exit 4' WINCH; touch /tmp/up; while :; do sleep 0.02; done"],
                pty={"rows": 31, "cols": 97},
            )
        )["execId"]
        await self.until("[ -e /tmp/up ]")
        await self.s.call("exec/resize", execId=ident, rows=12, cols=200)
        end = await self.s.note("exec/exit", execId=ident)
        self.assertEqual((self.printed(ident), end["exitCode"]), (b"31 97\r\n12 200\r\n", 4))

    async def test_X9_a_command_that_prints_the_last_words_changes_nothing(self) -> None:
        text = "\\036" + "0" * 32 + " end 0\\n\\036"
        out, _, end = await self.sh(f"printf '{text}'; exit 3")
        self.assertEqual((out, end["exitCode"]), (b"\x1e" + b"0" * 32 + b" end 0\n\x1e", 3))

    async def test_contents_cross_by_files(self) -> None:
        source, target = self.dir / "in", self.dir / "out"
        source.write_bytes(os.urandom(5 << 20))
        head = base64.b64encode(b"head").decode()
        done = await self.s.call("exec/pipe", sandboxId=self.sb, argv=["cat"], stdin=head, stdinPath=str(source), stdoutPath=str(target))
        self.assertEqual(done["exitCode"], 0)
        self.assertEqual(target.read_bytes(), b"head" + source.read_bytes())
        with self.assertRaises(CallError) as raised:
            await self.s.call("exec/pipe", sandboxId=self.sb, argv=["cat", "/dev/zero"], stdoutPath=str(target), maxBytes=1 << 20)
        self.assertEqual(raised.exception.kind, "tooLarge")
        early = await self.s.call("exec/pipe", sandboxId=self.sb, argv=["sh", "-c", "echo no >&2; exit 5"], stdinPath=str(source))
        self.assertEqual((early["exitCode"], early["stderr"]), (5, "no\n"))


class WithoutAShell(Case):
    async def test_F19_programs_run_and_what_needs_a_shell_is_refused_by_name(self) -> None:
        s: Sidecar = await self.sidecar()
        sb = await self.sandbox(s, image="gcr.io/distroless/base", withGit=False)
        out, _, end = await self.output(s, sb, "printf", "%s", "ran")
        self.assertEqual((out, end["exitCode"]), (b"ran", 0))
        ident = (await s.call("exec/start", sandboxId=sb, argv=["sleep", "2"]))["execId"]
        for call in ({"signal": "SIGINT"}, {}):
            with self.subTest(call=call), self.assertRaises(CallError) as raised:
                await s.call("exec/kill", execId=ident, **call)
            self.assertEqual(raised.exception.kind, "unsupported")
        with self.assertRaises(CallError) as raised:
            await s.call("exec/start", sandboxId=sb, argv=["no-such-program"])
        self.assertEqual(raised.exception.kind, "fileNotFound")
        _, _, end = await self.output(s, sb, "sleep", "1000", timeoutMs=300)
        self.assertEqual((end["exitCode"], end["timedOut"]), (124, True))


class TimeOut(unittest.IsolatedAsyncioTestCase):
    """One whose command cannot be ended at once, or at all."""

    async def end(self, leader: int, failures: list[Exception]) -> dict[str, Any]:
        told = asyncio.Queue[dict[str, Any]]()

        async def notify(method: str, params: dict[str, Any]) -> None:
            await told.put(params)

        async def ending(held: Held, ident: str, leader: int) -> None:
            if failures:
                raise failures.pop(0)
            ended.set()

        async def outcome(c: Command) -> int:
            await ended.wait()
            return 143

        ended = asyncio.Event()
        status = asyncio.create_task(asyncio.Event().wait())
        self.addCleanup(status.cancel)
        e = Execs(mock.Mock(), notify)
        c = Command("e", Held("sb-1", mock.Mock()), mock.Mock(), mock.Mock(), [], status, leader=leader)
        with mock.patch.multiple(e, _end=ending, _outcome=outcome), mock.patch.object(execs, "PLAIN_GRACE", 0.05):
            await e._run(c, 0.01)
        return await told.get()

    async def test_F27_ending_it_is_tried_again(self) -> None:
        end = await self.end(7, [SidecarError("unavailable", "no network")])
        self.assertEqual((end["exitCode"], end["timedOut"], end.get("error")), (124, True, None))

    async def test_F27_one_that_cannot_be_ended_is_an_error(self) -> None:
        end = await self.end(7, [SidecarError("permissionDenied", "not yours")])
        self.assertEqual((end["timedOut"], end["error"]["kind"]), (True, "timeout"))
        self.assertIn("not yours", end["error"]["message"])

    async def test_F27_without_a_shell_nobody_waits_for_ever(self) -> None:
        end = await self.end(0, [])
        self.assertEqual((end["timedOut"], end["error"]["kind"]), (True, "timeout"))


if __name__ == "__main__":
    unittest.main()
