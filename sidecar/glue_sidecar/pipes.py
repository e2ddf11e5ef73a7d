"""Commands whose input and output are files of this machine: contents never cross the
protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from .calls import CALL_TIMEOUT, MAX_COMPLAINT, bounded, tail
from .errors import SidecarError, explain, invalid
from .params import Reader
from .sandboxes import Sandboxes

if TYPE_CHECKING:
    import modal

# Output that is answered and not written to a file.
MAX_ANSWER = 4 << 20
# Input in one call of the SDK's.
PIECE = 1 << 20


class Pipes:
    """The method exec/pipe."""

    def __init__(self, sandboxes: Sandboxes) -> None:
        self._sandboxes = sandboxes

    async def pipe(self, p: Reader) -> dict[str, Any]:
        """Runs a command to its end, with no shell of ours. Its input is `stdin`, in
        base64, and then the file at stdinPath; its output goes to stdoutPath, or into the
        answer in base64."""
        held = self._sandboxes.get(p)
        argv = p.texts("argv")
        if not argv:
            raise invalid("argv", "is empty")
        head = base64.b64decode(p.text("stdin", ""))
        source, target = p.optional_text("stdinPath"), p.optional_text("stdoutPath")
        limit = p.optional_number("maxBytes")
        if target is None:
            limit = MAX_ANSWER if limit is None else min(limit, MAX_ANSWER)
        try:
            process = await bounded(held.sandbox.exec.aio(*argv, text=False), CALL_TIMEOUT, "starting a command")
        except Exception as raised:
            e = explain(raised)
            if e.kind == "invalidParams":
                raise SidecarError("unsupported", f"the image has no {argv[0]}: {e.message}") from raised
            raise e from raised
        answer = bytearray()
        with contextlib.ExitStack() as files:
            sink: BinaryIO | None = None
            if target is not None:
                private = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                sink = files.enter_context(os.fdopen(private, "wb"))
            content = None if source is None else files.enter_context(Path(source).open("rb"))  # noqa: ASYNC230
            tasks = [
                asyncio.create_task(_feed(process, head, content)) if head or content else asyncio.create_task(_nothing()),
                asyncio.create_task(keep(process.stdout, answer if sink is None else sink, limit)),
                asyncio.create_task(tail(process.stderr, MAX_COMPLAINT)),
                asyncio.create_task(process.wait.aio()),
            ]
            try:
                _, size, complaint, code = await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
        out: dict[str, Any] = {"exitCode": code, "size": size, "stderr": complaint.decode("utf-8", "replace")}
        if target is None:
            out["stdout"] = base64.b64encode(answer).decode("ascii")
        return out


async def _nothing() -> None:
    """A command that is not to read its input is not given the end of it either."""


async def _feed(process: modal.container_process.ContainerProcess[bytes], head: bytes, content: BinaryIO | None) -> None:
    writer = process.stdin
    try:
        piece = head + (b"" if content is None else content.read(PIECE))
        while True:
            # The last piece goes with the end of the input, which saves a round trip.
            more = b"" if content is None else content.read(PIECE)
            writer.write(piece)
            if not more:
                writer.write_eof()
            await writer.drain.aio()
            if not more:
                return
            piece = more
    except Exception as raised:
        # A command may end without having read all of it: its status says the rest.
        if explain(raised).kind not in ("conflict", "executorDead"):
            raise


async def keep(stream: AsyncIterator[bytes], into: BinaryIO | bytearray, limit: int | None) -> int:
    """Writes all that comes, and gives its size; it fails beyond the limit."""
    size = 0
    async for chunk in stream:
        size += len(chunk)
        if limit is not None and size > limit:
            raise SidecarError("tooLarge", f"the answer has more than {limit} bytes")
        if isinstance(into, bytearray):
            into += chunk
        else:
            into.write(chunk)
    return size
