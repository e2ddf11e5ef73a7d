"""What becomes of a command's output on its way, without a sandbox."""

from __future__ import annotations

import asyncio
import unittest

from glue_sidecar import shell
from glue_sidecar.outputs import Marked, Window


class LastWords(unittest.TestCase):
    def test_they_are_taken_out_wherever_the_stream_is_cut(self) -> None:
        stream = b"out\x1eput\x1eword\n\x1eword end 7\nlater"
        for first in range(len(stream)):
            for second in range(first, len(stream)):
                m = Marked("word")
                got = m.feed(stream[:first]) + m.feed(stream[first:second]) + m.feed(stream[second:]) + m.rest()
                self.assertEqual((got, m.status), (b"out\x1eput\x1eword\nlater", 7))

    def test_a_stream_without_them_is_whole_and_has_no_status(self) -> None:
        for stream in (b"", b"\x1e", b"\x1eword end ", b"\x1eword en", b"plain"):
            m = Marked("word")
            self.assertEqual(m.feed(stream) + m.rest(), stream)
            self.assertIsNone(m.status)

    def test_X11_a_command_that_prints_the_word_itself_is_passed_on_and_not_kept(self) -> None:
        for own in (b"\x1eword end garbage\n", b"\x1eword end \n", b"\x1eword end " + b"x" * 40, b"\x1eword end \x1eword end "):
            m = Marked("word")
            self.assertEqual(m.feed(own) + m.feed(b"\x1eword end 3\n"), own)
            self.assertEqual(m.status, 3)
        m = Marked("word")
        given = m.feed(b"\x1eword end ") + b"".join(m.feed(b"7" * 100) for _ in range(100))
        self.assertGreater(len(given), 9_900)

    def test_a_terminals_line_end_is_one_too(self) -> None:
        m = Marked("word")
        self.assertEqual(m.feed(b"x\r\n\x1eword end 130\r\n"), b"x\r\n")
        self.assertEqual(m.status, 130)


class Room(unittest.IsolatedAsyncioTestCase):
    async def test_no_more_goes_out_than_was_taken_and_the_window(self) -> None:
        w = Window(10)
        self.assertEqual(await w.room(), 10)
        w.sent(10)
        waiting = asyncio.create_task(w.room())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.assertTrue(w.shut)
        w.taken(4)
        self.assertEqual(await waiting, 4)
        w.taken(1 << 40)  # more than was sent cannot have been taken
        self.assertEqual(await w.room(), 10)


class Words(unittest.TestCase):
    def test_X11_a_quoted_word_is_one_word(self) -> None:
        self.assertEqual(shell.quote(b"it's $(x)\n"), b"'it'\\''s $(x)\n'")

    def test_signals_have_their_numbers_on_linux(self) -> None:
        self.assertEqual(
            {n: shell.SIGNALS[n] for n in ("INT", "KILL", "USR1", "TERM", "WINCH", "SYS")},
            {"INT": 2, "KILL": 9, "USR1": 10, "TERM": 15, "WINCH": 28, "SYS": 31},
        )


if __name__ == "__main__":
    unittest.main()
