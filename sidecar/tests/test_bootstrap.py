"""What a sandbox is made of, and what goes up to it first."""

from __future__ import annotations

import os
from typing import Any

from .case import Case
from .client import CallError, Sidecar


class ImageTest(Case):
    made_by: Sidecar

    async def created(self, **options: Any) -> dict[str, Any]:
        if not hasattr(self, "made_by"):
            self.made_by = await self.sidecar()
        s = self.made_by
        made: dict[str, Any] = await s.call("sandbox/create", **{"appName": "tests", "timeoutSeconds": 120, **options})
        return made

    async def has_git(self, made: dict[str, Any]) -> bool:
        _, _, end = await self.output(self.made_by, made["sandboxId"], "sh", "-c", "command -v git")
        return bool(end["exitCode"] == 0)

    def dockerfile(self, made: dict[str, Any]) -> str:
        (found,) = [s for s in self.emulator.stats()["sandboxes"] if s["id"] == made["sandboxId"]]
        return "\n".join(found["image"])

    async def test_the_default_image_is_debian_with_git(self) -> None:
        made = await self.created()
        self.assertIn("FROM python:", self.dockerfile(made))  # Modal's Debian is built on it
        self.assertTrue(await self.has_git(made))
        self.assertRegex(made["imageId"], r"^im-")
        self.assertEqual([], made["notes"])

    async def test_L5_a_pinned_image_gets_git_where_it_has_none_and_its_id_is_told(self) -> None:
        made = await self.created(image="python:3.12-slim")
        self.assertIn("FROM python:3.12-slim", self.dockerfile(made))
        self.assertTrue(await self.has_git(made))
        self.assertRegex(made["imageId"], r"^im-")

    async def test_F19_an_image_without_apt_is_taken_as_it_is(self) -> None:
        made = await self.created(image="alpine:3.20")
        self.assertIn("FROM alpine:3.20", self.dockerfile(made))

    async def test_F19_an_image_without_a_shell_to_add_git_with_is_taken_as_it_is_and_says_so(self) -> None:
        made = await self.created(image="gcr.io/distroless/static")
        self.assertFalse("command -v git" in self.dockerfile(made), self.dockerfile(made))
        self.assertIn("git could not be added", " ".join(made["notes"]))

    async def test_an_image_by_id_is_that_image(self) -> None:
        first = await self.created(image="python:3.12-slim")
        again = await self.created(image=first["imageId"])
        self.assertEqual(first["imageId"], again["imageId"])

    async def test_a_failed_build_says_what_was_printed_last(self) -> None:
        with self.assertRaises(CallError) as raised:
            await self.created(image="this-image-does-not-build:1")
        self.assertEqual("runtimeUnavailable", raised.exception.kind)
        self.assertIn("Unable to locate package", str(raised.exception))
        self.assertIn("modal.image", raised.exception.hint)

    async def test_a_sandbox_begins_with_what_another_one_kept(self) -> None:
        first = await self.created()
        await self.output(self.made_by, first["sandboxId"], "sh", "-c", "echo made >/opt/made")
        kept = await self.made_by.call("sandbox/snapshot", sandboxId=first["sandboxId"])
        # Also for a sidecar that did not make it.
        self.made_by = await self.sidecar()
        second = await self.created(snapshot=kept["imageId"])
        self.assertTrue(second["kept"])
        self.assertEqual(kept["imageId"], second["imageId"])
        out, _, _ = await self.output(self.made_by, second["sandboxId"], "cat", "/opt/made")
        self.assertEqual(b"made\n", out)

    async def test_where_the_snapshot_is_gone_the_usual_image_is_taken(self) -> None:
        for faults in ({}, {"unimplemented": ["ImageFromId"]}):
            self.emulator.post("/faults", faults)
            made = await self.created(snapshot="im-0123456789abcdef012345")
            self.assertFalse(made["kept"])
            self.assertIn("im-0123456789abcdef012345", " ".join(made["notes"]))
            self.assertTrue(await self.has_git(made))


class UploadTest(Case):
    async def test_an_upload_tells_how_far_it_is(self) -> None:
        s = await self.sidecar()
        sandbox = await self.sandbox(s)
        local = self.dir / "bundle"
        local.write_bytes(os.urandom(3 << 20))
        await s.call("fs/upload", sandboxId=sandbox, localPath=str(local), path="/tmp/glue-bootstrap.bundle", progressId="up")
        told = await s.note("fs/progress", execId="up", done=3 << 20)
        self.assertEqual(3 << 20, told["total"])
        out, _, _ = await self.output(s, sandbox, "sh", "-c", "wc -c </tmp/glue-bootstrap.bundle")
        self.assertEqual(str(3 << 20).encode(), out.strip())

    async def test_an_upload_of_a_file_that_is_not_there_says_so(self) -> None:
        s = await self.sidecar()
        sandbox = await self.sandbox(s)
        with self.assertRaises(CallError) as raised:
            await s.call("fs/upload", sandboxId=sandbox, localPath=str(self.dir / "gone"), path="/tmp/x", progressId="up")
        self.assertEqual("fileNotFound", raised.exception.kind)
