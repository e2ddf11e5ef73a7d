"""A server's side of the sidecar's protocol, for tests."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent


class CallError(Exception):
    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code = error["code"]
        self.kind = error.get("data", {}).get("kind", "")
        self.hint = error.get("data", {}).get("hint", "")


class Sidecar:
    """A sidecar that a test talks to."""

    def __init__(self) -> None:
        self.notes: list[dict[str, Any]] = []
        self.news = asyncio.Condition()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._next = 0

    async def start(self, env: dict[str, str] | None = None, cwd: str | None = None, without: tuple[str, ...] = ()) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {str(PACKAGE)!r}); from glue_sidecar.__main__ import main; sys.exit(main())",
            "--control-fd",
            str(theirs.fileno()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=[theirs.fileno()],
            env={name: value for name, value in {**os.environ, **(env or {})}.items() if name not in without},
            cwd=cwd,
        )
        theirs.close()
        assert self.process.stdin is not None
        self._reading = asyncio.create_task(self._read())
        self.hello = await self.call("initialize", protocolVersion=1, nonce="abc")

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while True:
            head = await self.process.stdout.readline()
            if not head:
                break
            await self.process.stdout.readline()
            body = json.loads(await self.process.stdout.readexactly(int(head.split(b":")[1])))
            if "method" in body:
                async with self.news:
                    self.notes.append(body)
                    self.news.notify_all()
                continue
            future = self._waiting.pop(body["id"])
            if future.cancelled():
                continue
            if "error" in body:
                future.set_exception(CallError(body["error"]))
            else:
                future.set_result(body["result"])
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConnectionError("the sidecar ended"))

    def send(self, method: str, params: dict[str, Any]) -> int:
        """Sends a call, and gives its id."""
        self._next += 1
        self._write({"jsonrpc": "2.0", "id": self._next, "method": method, "params": params})
        return self._next

    def tell(self, method: str, params: dict[str, Any]) -> None:
        """Sends a notification."""
        self._write({"jsonrpc": "2.0", "method": method, "params": params})

    def _write(self, message: dict[str, Any]) -> None:
        body = json.dumps(message).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    def answer(self, ident: int) -> asyncio.Future[Any]:
        """The answer to a call that was just sent."""
        future = self._waiting[ident] = asyncio.get_running_loop().create_future()
        return future

    async def call(self, method: str, **params: Any) -> Any:
        return await self.answer(self.send(method, params))

    async def note(self, method: str, **match: Any) -> dict[str, Any]:
        """Waits for a notification."""

        def found() -> dict[str, Any] | None:
            for n in self.notes:
                if n["method"] == method and all(n["params"].get(k) == v for k, v in match.items()):
                    return dict(n["params"])
            return None

        async with self.news:
            await asyncio.wait_for(self.news.wait_for(lambda: found() is not None), 30)
        params = found()
        assert params is not None
        return params

    async def ended(self) -> None:
        """Waits until it says nothing more."""
        await asyncio.shield(self._reading)

    async def end(self) -> int:
        """Closes its input, and waits for its end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return await self.wait()

    async def wait(self) -> int:
        code = await asyncio.wait_for(self.process.wait(), 60)
        await self._reading
        return code

    async def stop(self) -> None:
        if self.process.returncode is None:
            await self.end()
        self.control.close()
