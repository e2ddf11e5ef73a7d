"""Log lines and progress: bounded, and without secrets."""

from __future__ import annotations

import asyncio
import logging
import threading
import unittest
from typing import Any
from unittest import mock

from glue_sidecar import notices
from glue_sidecar.errors import without_secrets


class Bounded(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().slow_callback_duration = 60
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.room = asyncio.Event()
        self.notices = notices.Notices(self.notify)

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        await self.room.wait()
        self.got.append((method, params))

    async def settled(self) -> None:
        before = -1
        while before != len(self.got):
            before = len(self.got)
            for _ in range(10):
                await asyncio.sleep(0)

    async def test_what_is_not_taken_is_left_out_and_counted(self) -> None:
        for n in range(100_000):
            self.notices.add("progress", {"message": str(n)})
        self.room.set()
        await self.settled()
        self.assertEqual(len(self.got), notices.MAX_WAITING + 1)
        self.assertEqual([p["message"] for _, p in self.got[:3]], ["0", "1", "2"])
        self.assertEqual(self.got[-1][1]["message"], f"{100_000 - notices.MAX_WAITING} lines were left out")
        self.notices.add("progress", {"message": "later"})
        await self.settled()
        self.assertEqual(self.got[-1][1]["message"], "later")

    async def test_X10_records_of_any_thread_come_without_secrets_and_not_too_long(self) -> None:
        self.room.set()
        here = True
        otherwise = logging.NullHandler()
        with mock.patch.object(otherwise, "handle") as elsewhere:
            handler = notices.Handler(self.notices, lambda: here, otherwise)
            record = logging.LogRecord("modal", logging.WARNING, "", 0, "used ak-abcdefgh1234 for %s", ("x" * 10_000,), None)
            thread = threading.Thread(target=handler.handle, args=(record,))
            thread.start()
            thread.join()
            await self.settled()
            [(method, params)] = self.got
            self.assertEqual((method, params["level"]), ("log", "warning"))
            self.assertTrue(params["message"].startswith("used *** for xxx"))
            self.assertLess(len(params["message"]), notices.MAX_LINE + 100)
            here = False
            handler.handle(record)
            elsewhere.assert_called_once_with(record)


class Secrets(unittest.TestCase):
    def test_X10_tokens_and_passwords_are_taken_out(self) -> None:
        with mock.patch.dict("os.environ", {"MODAL_TOKEN_SECRET": "an odd one!"}):
            for text, clean in (
                ("token ak-aB3dE6gH9jK2 and as-aB3dE6gH9jK2", "token *** and ***"),
                ("wk-aB3dE6gH9jK2:ws-aB3dE6gH9jK2", "***:***"),
                ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2ln", "Bearer ***"),
                ("clone https://user:pa:ss@host/x.git", "clone https://***host/x.git"),
                ("it is an odd one! indeed", "it is *** indeed"),
                ("ask-me as-is, ak-47, https://host/a@b", "ask-me as-is, ak-47, https://host/a@b"),
            ):
                self.assertEqual(without_secrets(text), clean)


if __name__ == "__main__":
    unittest.main()
