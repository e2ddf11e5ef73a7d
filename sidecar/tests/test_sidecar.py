"""The sidecar as its server sees it: a process, with the real SDK, against the emulator."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import unittest
from pathlib import Path

from .case import Case
from .client import CallError


class Handshake(Case):
    async def test_it_answers_with_the_nonce_and_its_versions(self) -> None:
        s = await self.sidecar()
        self.assertEqual(s.hello["nonce"], "abc")
        self.assertEqual(s.hello["protocolVersion"], 1)
        self.assertRegex(s.hello["sdkVersion"], r"^\d+\.\d+")

    async def test_X3_nothing_of_the_workspace_is_imported(self) -> None:
        for name in ("json.py", "modal.py", "asyncio.py", "sitecustomize.py"):
            (self.dir / name).write_text("open('imported', 'w').close()\nraise SystemExit(9)\n")
        s = await self.sidecar(cwd=str(self.dir), env={"PYTHONPATH": str(self.dir)})
        self.assertTrue((await s.call("doctor/auth"))["tokenValid"])
        self.assertFalse((self.dir / "imported").exists())

    async def test_a_wrong_token_is_told_apart(self) -> None:
        s = await self.sidecar(env={"MODAL_TOKEN_SECRET": "as-wrong"})
        self.assertFalse((await s.call("doctor/auth"))["tokenValid"])
        with self.assertRaises(CallError) as raised:
            await self.sandbox(s)
        self.assertEqual(raised.exception.kind, "notAuthenticated")
        self.assertIn("modal token", raised.exception.hint)

    async def test_bad_frames_and_parameters_are_answered(self) -> None:
        s = await self.sidecar()
        for method, params, code in (
            ("sandbox/create", {"appName": "tests"}, -32602),
            ("sandbox/create", {"appName": 3, "timeoutSeconds": 60}, -32602),
            ("sandbox/create", {"appName": "tests", "timeoutSeconds": 90000}, -32602),
            ("fs/stat", {"sandboxId": "sb-none", "path": "/"}, -32803),
            ("no/such", {}, -32601),
        ):
            with self.assertRaises(CallError) as raised:
                await s.call(method, **params)
            self.assertEqual(raised.exception.code, code, method)


class Commands(Case):
    async def test_output_input_status_and_bytes(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        out, err, end = await self.output(s, sb, "sh", "-c", "printf '\\377out'; echo err >&2; exit 5")
        self.assertEqual((out, err, end["exitCode"]), (b"\xffout", b"err\n", 5))
        started = await s.call("exec/start", sandboxId=sb, argv=["cat"], keepStdin=True)
        for word in ("one ", "two\n"):
            await s.call("exec/stdin", execId=started["execId"], data=word)
        await s.call("exec/stdin", execId=started["execId"], data="", eof=True)
        end = await s.note("exec/exit", execId=started["execId"])
        text = b"".join(
            base64.b64decode(n["params"]["data"])
            for n in s.notes
            if n["params"].get("execId") == started["execId"] and "data" in n["params"]
        )
        self.assertEqual((text, end["exitCode"]), (b"one two\n", 0))

    async def test_F27_a_time_out_ends_what_the_command_started(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        _, _, end = await self.output(s, sb, "sh", "-c", "sleep 321 & sleep 321", timeoutMs=300)
        self.assertEqual((end["exitCode"], end["timedOut"]), (124, True))
        out, _, _ = await self.output(s, sb, "sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '")
        self.assertNotIn(b"sleep 321", out)

    async def test_a_program_that_is_not_there_is_an_error(self) -> None:
        s = await self.sidecar()
        with self.assertRaises(CallError) as raised:
            await self.output(s, await self.sandbox(s), "no-such-program")
        self.assertEqual(raised.exception.kind, "fileNotFound")
        self.assertIn("no-such-program", str(raised.exception))

    async def test_calls_overlap(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        slow = await s.call("exec/start", sandboxId=sb, argv=["sleep", "60"])
        out, _, _ = await self.output(s, sb, "echo", "quick")
        self.assertEqual(out, b"quick\n")
        await s.call("exec/kill", execId=slow["execId"])
        await s.note("exec/exit", execId=slow["execId"])


class FilesInside(Case):
    async def test_they_cross_by_local_path_and_errors_have_kinds(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        there, back = self.dir / "there", self.dir / "back"
        there.write_bytes(bytes(range(256)) * 5000)
        await s.call("fs/writeFile", sandboxId=sb, path="/tmp/a b/c", localPath=str(there), token="1", mode=0o755)
        await s.call("fs/readFile", sandboxId=sb, path="/tmp/a b/c", localPath=str(back))
        self.assertEqual(back.read_bytes(), there.read_bytes())
        info = await s.call("fs/stat", sandboxId=sb, path="/tmp/a b/c")
        self.assertEqual((info["type"], info["size"], info["mode"]), ("file", 1280000, 0o755))
        await s.call("fs/copy", sandboxId=sb, path="/tmp/a b", to="/tmp/copy")
        listed = await s.call("fs/readDirectory", sandboxId=sb, path="/tmp/copy")
        self.assertEqual(listed["entries"], [{"name": "c", "type": "file", "isSymbolicLink": False}])
        await self.output(s, sb, "ln", "-s", "nowhere", "/tmp/link")
        self.assertEqual((await s.call("fs/stat", sandboxId=sb, path="/tmp/link"))["type"], "other")
        for method, params, kind in (
            ("fs/stat", {"path": "/tmp/none"}, "fileNotFound"),
            ("fs/readDirectory", {"path": "/tmp/a b/c"}, "notADirectory"),
            ("fs/readFile", {"path": "/tmp", "localPath": str(back)}, "isADirectory"),
            ("fs/delete", {"path": "/tmp/copy"}, "isADirectory"),
            ("fs/rename", {"path": "/tmp/a b", "to": "/tmp/copy"}, "fileExists"),
            ("fs/upload", {"path": "/tmp/x", "localPath": str(self.dir / "none")}, "fileNotFound"),
        ):
            with self.assertRaises(CallError) as raised:
                await s.call(method, sandboxId=sb, **params)
            self.assertEqual(raised.exception.kind, kind, method)
        await s.call("fs/delete", sandboxId=sb, path="/tmp/none", force=True)
        self.assertFalse((await s.call("fs/exists", sandboxId=sb, path="/tmp/none"))["exists"])


class Tunnels(Case):
    async def test_bytes_go_both_ways_and_survive_a_cut(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        up, up_theirs = socket.socketpair()
        down, down_theirs = socket.socketpair()
        socket.send_fds(s.control, [b"t1"], [up_theirs.fileno(), down_theirs.fileno()])
        up_theirs.close()
        down_theirs.close()
        up.setblocking(False)
        down.setblocking(False)
        await s.call("tunnel/open", sandboxId=sb, argv=["cat"], lanes=1, ticket="t1")
        loop = asyncio.get_running_loop()
        self.assertEqual(await loop.sock_recv(down, 1), b"\x01")  # ready

        async def echo(text: bytes) -> None:
            await loop.sock_sendall(down, len(text).to_bytes(4, "big") + text)
            got = b""
            while len(got) < len(text):
                got += await asyncio.wait_for(loop.sock_recv(up, 1 << 16), 30)
            self.assertEqual(got, text)
            self.assertEqual(await loop.sock_recv(down, 1), b"\x01")

        await echo(b"before")
        self.emulator.post("/cut?ms=1500")
        await echo(b"after" * 10000)
        down.close()
        await s.note("tunnel/closed", tunnelId="t1")
        up.close()


class Sandboxes(Case):
    async def test_a_sandbox_is_found_by_its_tags_and_joined(self) -> None:
        first, second = await self.sidecar(), await self.sidecar()
        sb = await self.sandbox(first, tags={"owner": "one"})
        found = await second.call("sandbox/list", appName="tests", tags={"owner": "one"})
        self.assertEqual([f["sandboxId"] for f in found["sandboxes"]], [sb])
        await second.call("sandbox/attach", sandboxId=sb)
        out, _, _ = await self.output(second, sb, "echo", "joined")
        self.assertEqual(out, b"joined\n")

    async def test_a_build_that_fails_shows_its_last_lines(self) -> None:
        s = await self.sidecar()
        with self.assertRaises(CallError) as raised:
            await self.sandbox(s, image="registry/this-image-does-not-build")
        self.assertEqual(raised.exception.kind, "runtimeUnavailable")
        self.assertIn("E: Unable to locate package", str(raised.exception))

    async def test_X10_no_token_appears_in_what_is_said_or_seen_inside(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        out, _, _ = await self.output(s, sb, "env")
        said = json.dumps(s.notes) + out.decode()
        for secret in (self.emulator.env["MODAL_TOKEN_ID"], self.emulator.env["MODAL_TOKEN_SECRET"]):
            self.assertNotIn(secret, said)
        arguments = Path(f"/proc/{s.process.pid}/cmdline").read_bytes()
        self.assertNotIn(self.emulator.env["MODAL_TOKEN_SECRET"].encode(), arguments)


if __name__ == "__main__":
    os.environ.setdefault("MODALEMU", "modalemu")
    unittest.main()
