"""File operations without an agent in the sandbox. Contents cross by local path."""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import uploads
from .calls import MAX_COMPLAINT, tail
from .errors import SidecarError, explain
from .params import Reader
from .sandboxes import Held, Sandboxes

if TYPE_CHECKING:
    from modal.types import FileInfo

MAX_LINKS = 40


class Files:
    """The methods under fs/."""

    def __init__(self, sandboxes: Sandboxes, tell: Callable[[str, dict[str, Any]], None]) -> None:
        self._sandboxes = sandboxes
        self._tell = tell

    def _where(self, p: Reader, field: str = "path") -> tuple[Held, str]:
        path = p.text(field)
        if not path.startswith("/"):
            raise SidecarError("invalidParams", f"{field}: must be absolute", code=-32602)
        return self._sandboxes.get(p), posixpath.normpath(path).replace("//", "/", 1)

    async def stat(self, p: Reader) -> dict[str, Any]:
        """Describes a path. Type, size and time are those of a link's target."""
        held, path = self._where(p)
        info = await held.sandbox.filesystem.stat.aio(path)
        out: dict[str, Any] = {"isSymbolicLink": info.is_symlink()}
        if info.is_symlink():
            out["target"] = info.symlink_target or ""
            followed = await self._follow(held, path, info)
            if followed is None:
                return {**out, "type": "other", "size": info.size, "mtime": info.modified_time * 1000, "mode": info.mode & 0o7777}
            info = followed
        kind = "directory" if info.is_dir() else "file" if _regular(info) else "other"
        return {**out, "type": kind, "size": info.size, "mtime": info.modified_time * 1000, "mode": info.mode & 0o7777}

    async def _follow(self, held: Held, path: str, info: FileInfo) -> FileInfo | None:
        for _ in range(MAX_LINKS):
            if not info.is_symlink():
                return info
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), info.symlink_target or ""))
            try:
                info = await held.sandbox.filesystem.stat.aio(path)
            except Exception as raised:
                if explain(raised).kind in ("fileNotFound", "notADirectory"):
                    return None
                raise
        return None

    async def exists(self, p: Reader) -> dict[str, Any]:
        held, path = self._where(p)
        try:
            await held.sandbox.filesystem.stat.aio(path)
        except Exception as raised:
            if explain(raised).kind in ("fileNotFound", "notADirectory", "permissionDenied"):
                return {"exists": False}
            raise
        return {"exists": True}

    async def read_directory(self, p: Reader) -> dict[str, Any]:
        held, path = self._where(p)
        entries = []
        for info in await held.sandbox.filesystem.list_files.aio(path):
            followed = await self._follow(held, posixpath.join(path, info.name), info) if info.is_symlink() else info
            kind = "other"
            if followed is not None:
                kind = "directory" if followed.is_dir() else "file" if _regular(followed) else "other"
            entries.append({"name": info.name, "type": kind, "isSymbolicLink": info.is_symlink()})
        entries.sort(key=lambda e: str(e["name"]).encode("utf-8", "surrogateescape"))
        return {"entries": entries}

    async def download(self, p: Reader) -> dict[str, Any]:
        """Copies a file of the sandbox to a path of this machine."""
        held, path = self._where(p)
        local = p.text("localPath")
        await held.sandbox.filesystem.copy_to_local.aio(path, local)
        return {}

    async def upload(self, p: Reader) -> dict[str, Any]:
        """Copies a file of this machine into the sandbox, parents included. With a
        `progressId` it tells under that id how far it is."""
        held, path = self._where(p)
        ident = p.optional_text("progressId")

        def told(done: int, total: int) -> None:
            self._tell("fs/progress", {"execId": ident, "done": done, "total": total})

        await uploads.upload(held.sandbox, p.text("localPath"), path, told if ident else None)
        return {}

    async def write_file(self, p: Reader) -> dict[str, Any]:
        """Like upload, but under a temporary name first, so that nobody sees half of it.
        Once it has begun it goes on, also when the call is cancelled."""
        held, path = self._where(p)
        exists = (await self.exists(p))["exists"]
        if exists and not p.flag("overwrite", True):
            raise SidecarError("fileExists", "the file is there already", path=path)
        if not exists and not p.flag("create", True):
            raise SidecarError("fileNotFound", "no such file", path=path)
        temporary = posixpath.join(posixpath.dirname(path), f".glue-{p.text('token')}")
        mode = p.optional_number("mode")
        replacing = self._replace(held, p.text("localPath"), temporary, path, 0o644 if mode is None else mode)
        await asyncio.shield(self._sandboxes.go_on(replacing))
        return {}

    async def _replace(self, held: Held, local: str, temporary: str, path: str, mode: int) -> None:
        try:
            await held.sandbox.filesystem.copy_from_local.aio(local, temporary)
            await self._run(held, path, "chmod", f"{mode:o}", temporary)
            await self._run(held, path, "mv", "-fT", "--", temporary, path)
        except Exception:
            with contextlib.suppress(Exception):
                await held.sandbox.filesystem.remove.aio(temporary)
            raise

    async def create_directory(self, p: Reader) -> dict[str, Any]:
        held, path = self._where(p)
        await held.sandbox.filesystem.make_directory.aio(path, create_parents=p.flag("recursive", True))
        return {}

    async def delete(self, p: Reader) -> dict[str, Any]:
        """Removes by the rules of rm(1)."""
        held, path = self._where(p)
        recursive, force = p.flag("recursive"), p.flag("force")
        try:
            info = await held.sandbox.filesystem.stat.aio(path)
            if info.is_dir() and not recursive:
                raise SidecarError("isADirectory", "a directory is only removed with recursive", path=path)
            await held.sandbox.filesystem.remove.aio(path, recursive=recursive)
        except Exception as raised:
            if force and explain(raised).kind == "fileNotFound":
                return {}
            raise
        return {}

    async def rename(self, p: Reader) -> dict[str, Any]:
        return await self._to(p, "mv", "-T")

    async def copy(self, p: Reader) -> dict[str, Any]:
        return await self._to(p, "cp", "-RPp", "-T")

    async def _to(self, p: Reader, *command: str) -> dict[str, Any]:
        held, path = self._where(p)
        _, to = self._where(p, "to")
        if not p.flag("overwrite"):
            try:
                await held.sandbox.filesystem.stat.aio(to)
            except Exception as raised:
                if explain(raised).kind != "fileNotFound":
                    raise
            else:
                raise SidecarError("fileExists", "there is something at the new path already", path=to)
        await self._run(held, path, *command, "--", path, to)
        return {}

    async def _run(self, held: Held, path: str, *argv: str) -> None:
        """Runs one of the image's own programs."""
        try:
            process = await held.sandbox.exec.aio(*argv, text=False)
        except Exception as raised:
            if explain(raised).kind == "invalidParams":
                raise SidecarError("unsupported", f"the image has no {argv[0]}", path=path) from raised
            raise
        code, complaint = await asyncio.gather(process.wait.aio(), tail(process.stderr, MAX_COMPLAINT))
        if code == 0:
            return
        text = complaint.decode("utf-8", "replace").strip()
        kinds = {
            "No such file": "fileNotFound",
            "Not a directory": "notADirectory",
            "Is a directory": "isADirectory",
            "not empty": "directoryNotEmpty",
            "Permission denied": "permissionDenied",
            "Read-only": "permissionDenied",
            "No space": "noSpace",
        }
        kind = next((k for words, k in kinds.items() if words in text), "unavailable")
        raise SidecarError(kind, text or f"{argv[0]} failed with status {code}", path=path)


def _regular(info: FileInfo) -> bool:
    return info.mode & 0o170000 == 0o100000
