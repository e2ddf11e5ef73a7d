"""Frames that are hostile, broken or early, without a process."""

from __future__ import annotations

import asyncio
import json
import unittest
from collections.abc import Mapping
from typing import Any
from unittest import mock

from glue_sidecar import wire
from glue_sidecar.errors import SidecarError


class Sink:
    """Takes what a connection writes, as messages. It can be full."""

    def __init__(self) -> None:
        self.data = b""
        self.room = asyncio.Event()
        self.room.set()

    def write(self, data: bytes) -> None:
        self.data += data

    async def drain(self) -> None:
        await self.room.wait()

    def messages(self) -> list[dict[str, Any]]:
        out, rest = [], self.data
        while rest:
            head, rest = rest.split(b"\r\n\r\n", 1)
            size = int(head.split(b":")[1])
            out.append(json.loads(rest[:size].decode("utf-8")))
            rest = rest[size:]
        return out


def frame(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def call(ident: Any, method: str, params: Any = None) -> bytes:
    return frame(json.dumps({"jsonrpc": "2.0", "id": ident, "method": method, "params": params}).encode())


class Frames(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().slow_callback_duration = 60
        self.sink = Sink()
        self.cancelled = 0
        self.reader = asyncio.StreamReader(limit=64 << 10)
        methods = {"echo": self.echo, "wait": self.wait, "fail": self.failing, "odd": self.odd, "long": self.long, "wordy": self.wordy}
        self.connection = wire.Connection(self.reader, self.sink, methods)

    async def echo(self, params: Mapping[str, Any]) -> Any:
        return dict(params)

    async def wait(self, params: Mapping[str, Any]) -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def failing(self, params: Mapping[str, Any]) -> Any:
        raise SidecarError("noSpace", "full", hint="make room", path="/x")

    async def long(self, params: Mapping[str, Any]) -> Any:
        return {"text": "x" * 2000}

    async def wordy(self, params: Mapping[str, Any]) -> Any:
        raise SidecarError("noSpace", "m" * 1_000_000, hint="h" * 1_000_000, path="p" * 1_000_000)

    async def odd(self, params: Mapping[str, Any]) -> Any:
        return {"name": "half \udc80 a surrogate, é"}

    async def talk(self, *frames: bytes) -> list[dict[str, Any]]:
        """Sends frames, ends, and gives the answers."""
        for f in frames:
            self.reader.feed_data(f)
        self.reader.feed_eof()
        await self.connection.serve()
        return self.sink.messages()

    async def answers(self, count: int, *frames: bytes) -> list[dict[str, Any]]:
        """Sends frames to a connection that goes on, and waits for so many answers."""
        serving = asyncio.create_task(self.connection.serve())
        self.addAsyncCleanup(self._stop, serving)
        for f in frames:
            self.reader.feed_data(f)
        await asyncio.wait_for(self._have(count), 60)
        return self.sink.messages()

    async def _have(self, count: int) -> None:
        while len(self.sink.messages()) < count:
            await asyncio.sleep(0)

    async def _stop(self, serving: asyncio.Task[None]) -> None:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    async def test_X14_content_that_is_wrong_is_answered_and_the_next_call_works(self) -> None:
        deep = b"[" * 100_000
        for body, code in (
            (b"", -32700),
            (b"\xff\xfe", -32700),
            (b"{", -32700),
            (deep, -32700),
            (b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{"n":NaN}}', -32700),
            (b"[]", -32600),
            (b'"text"', -32600),
            (b'{"id":1}', -32600),
            (b'{"id":1,"method":7}', -32600),
            (b'{"id":{},"method":"echo"}', -32600),
            (b'{"id":[1],"method":"echo"}', -32600),
            (b'{"id":true,"method":"echo"}', -32600),
            (b'{"id":1.5,"method":"echo"}', -32600),
            (b'{"id":1%b,"method":"echo"}' % (b"0" * 3000), -32600),
            (b'{"id":"%b","method":"echo"}' % (b"x" * 100_000), -32600),
            (b'{"id":3,"method":"echo","params":[1]}', -32602),
            (b'{"id":3,"method":"none"}', -32601),
            (b'{"id":3,"method":"fail"}', -32803),
        ):
            with self.subTest(body=body[:60]):
                await self.asyncSetUp()
                got = await self.answers(2, frame(body), call("next", "echo", {"a": 1}))
                self.assertEqual(got[0]["error"]["code"], code)
                self.assertIn({"jsonrpc": "2.0", "id": "next", "result": {"a": 1}}, got)

    async def test_X14_messages_that_nobody_waits_for_are_let_go(self) -> None:
        notes = (
            frame(b'{"method":"echo"}'),
            frame(b'{"method":"$/cancelRequest"}'),
            frame(b'{"method":"$/cancelRequest","params":[7]}'),
            frame(b'{"method":"$/cancelRequest","params":{"id":{}}}'),
            frame(b'{"method":"$/cancelRequest","params":{"id":"nobody"}}'),
        )
        got = await self.answers(1, *notes, call(1, "echo", {}))
        self.assertEqual(got, [{"jsonrpc": "2.0", "id": 1, "result": {}}])

    async def test_X14_a_length_that_cannot_be_told_ends_the_connection(self) -> None:
        for head in (
            b"Content-Length: -5\r\n\r\n",
            b"Content-Length: 12x\r\n\r\n",
            b"Content-Length: 99999999999999999999999\r\n\r\n",
            b"Content-Length: 8388609\r\n\r\n",
            b"Content-Length: \xd9\xa3\r\n\r\n",
            b"\r\n",
            b"x" * 200_000,
            b"X-Filler: y\r\n" * 1000,
        ):
            with self.subTest(head=head[:40]):
                await self.asyncSetUp()
                self.reader.feed_data(head)
                with self.assertRaises(wire.FramingError):
                    await self.connection.serve()

    async def test_half_a_frame_is_the_end(self) -> None:
        for part in (b"Content-Le", b"Content-Length: 10\r\n", b"Content-Length: 10\r\n\r\nabc"):
            await self.asyncSetUp()
            self.assertEqual(await self.talk(part), [])

    async def test_a_call_that_is_cancelled_is_answered_once(self) -> None:
        stop = frame(b'{"method":"$/cancelRequest","params":{"id":1}}')
        got = await self.answers(2, call(1, "wait"), stop, stop, call(2, "echo", {}))
        self.assertEqual({m["id"]: m.get("error", {}).get("code") for m in got}, {1: -32800, 2: None})
        self.assertEqual(self.cancelled, 1)

    async def test_an_answer_that_is_going_out_cannot_be_cancelled(self) -> None:
        self.sink.room.clear()
        await self.answers(1, call(1, "echo", {"first": 1}))
        self.reader.feed_data(call(2, "echo", {}))
        self.reader.feed_data(frame(b'{"method":"$/cancelRequest","params":{"id":2}}'))
        for _ in range(20):
            await asyncio.sleep(0)
        self.sink.room.set()
        for _ in range(20):
            await asyncio.sleep(0)
        self.assertEqual([m["id"] for m in self.sink.messages()], [1, 2])
        self.assertNotIn("error", self.sink.messages()[1])

    async def test_an_id_in_use_is_refused_and_its_call_goes_on(self) -> None:
        got = await self.answers(1, call(1, "wait"), call(1, "echo", {}))
        self.assertEqual((got[0]["id"], got[0]["error"]["code"]), (None, -32600))
        self.assertEqual(self.cancelled, 0)

    async def test_too_many_calls_at_once_are_refused(self) -> None:
        with mock.patch.object(wire, "MAX_CALLS", 50):
            got = await self.answers(3, *(call(n, "wait") for n in range(53)))
        self.assertEqual([m["id"] for m in got], [50, 51, 52])

    async def test_the_end_of_input_cancels_what_is_under_way(self) -> None:
        got = await self.talk(call(1, "wait"))
        self.assertLessEqual(self.cancelled, 1)
        self.assertEqual([m["error"]["data"]["kind"] for m in got if "error" in m], ["unavailable"] * self.cancelled)

    async def test_an_answer_that_is_too_large_is_an_error_and_the_next_call_works(self) -> None:
        with mock.patch.object(wire, "MAX_BODY", 2000):
            got = await self.answers(2, call(1, "long", {}), call(2, "echo", {}))
            await self.connection.notify("news", {"text": "x" * 2000})
        self.assertEqual([m["id"] for m in got], [1, 2])
        self.assertEqual((got[0]["error"]["data"]["kind"], got[1]["result"]), ("tooLarge", {}))
        self.assertEqual(len(self.sink.messages()), 2)

    async def test_what_an_error_says_is_bounded(self) -> None:
        got = await self.answers(2, call(1, "wordy", {}), call(2, "x" * 1_000_000, {}))
        for answer in got:
            self.assertLess(len(json.dumps(answer)), 4 * wire.MAX_MESSAGE)

    async def test_text_that_is_not_unicode_is_still_JSON(self) -> None:
        got = await self.answers(1, call(1, "odd"))
        self.assertEqual(got[0]["result"]["name"], "half \udc80 a surrogate, é")


if __name__ == "__main__":
    unittest.main()
