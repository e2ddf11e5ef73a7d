"""Bytes through commands of a sandbox."""

from __future__ import annotations

import asyncio
import socket

from .case import Case
from .client import CallError, Sidecar

WAIT = 60.0


class Ends:
    """A server's ends of a tunnel."""

    def __init__(self, s: Sidecar, ticket: str, lanes: int) -> None:
        pairs = [socket.socketpair() for _ in range(lanes + 1)]
        socket.send_fds(s.control, [ticket.encode()], [theirs.fileno() for _, theirs in pairs])
        for mine, theirs in pairs:
            theirs.close()
            mine.setblocking(False)
        self.up, *self.down = [mine for mine, _ in pairs]

    def close(self) -> None:
        for s in (self.up, *self.down):
            s.close()

    async def taken(self, lane: int) -> None:
        loop = asyncio.get_running_loop()
        got = await asyncio.wait_for(loop.sock_recv(self.down[lane], 1), WAIT)
        assert got == b"\x01", got

    async def send(self, lane: int, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.down[lane], len(data).to_bytes(4, "big") + data)

    async def receive(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            chunk = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.up, 1 << 16), WAIT)
            assert chunk, "the tunnel ended"
            got += chunk
        return got


class Tunnels(Case):
    async def ends(self, s: Sidecar, ticket: str, lanes: int) -> Ends:
        ends = Ends(s, ticket, lanes)
        self.addCleanup(ends.close)
        return ends

    async def test_tunnels_that_are_opened_at_once_do_not_mix(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        tickets = [f"t{n}" for n in range(4)]
        # The descriptors come in another order than they are asked for.
        ends = {t: await self.ends(s, t, 1) for t in reversed(tickets)}
        await asyncio.gather(*(s.call("tunnel/open", sandboxId=sb, argv=["cat"], lanes=1, ticket=t) for t in tickets))
        for t in tickets:
            await ends[t].taken(0)
            await ends[t].send(0, t.encode() * 100)
        for t in tickets:
            self.assertEqual(await ends[t].receive(200), t.encode() * 100)
            await ends[t].taken(0)

    async def test_a_large_batch_arrives_whole_and_a_too_large_one_ends_the_tunnel(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        ends = await self.ends(s, "t", 1)
        await s.call("tunnel/open", sandboxId=sb, argv=["cat"], lanes=1, ticket="t")
        await ends.taken(0)
        content = bytes(range(256)) * (1 << 12)
        sending = asyncio.create_task(ends.send(0, content))
        self.assertEqual(await ends.receive(len(content)), content)
        await sending
        await ends.taken(0)
        await asyncio.get_running_loop().sock_sendall(ends.down[0], b"\xff\xff\xff\xff")
        note = await s.note("tunnel/closed", tunnelId="t")
        self.assertIn("cannot be taken", note["message"])

    async def test_the_end_of_a_tunnel_ends_the_command_that_carried_it(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        ends = await self.ends(s, "t", 1)
        argv = ["sh", "-c", "cat; echo over >/tmp/over"]
        await s.call("tunnel/open", sandboxId=sb, argv=argv, lanes=1, ticket="t")
        await ends.taken(0)
        ends.close()
        await s.note("tunnel/closed", tunnelId="t")
        for _ in range(int(WAIT / 0.1)):
            if (await s.call("fs/exists", sandboxId=sb, path="/tmp/over"))["exists"]:
                return
            await asyncio.sleep(0.1)
        self.fail("the command goes on")

    async def test_the_end_of_the_command_ends_the_tunnel(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        ends = await self.ends(s, "t", 1)
        await s.call("tunnel/open", sandboxId=sb, argv=["echo", "last"], lanes=1, ticket="t")
        self.assertEqual(await ends.receive(5), b"last\n")
        await s.note("tunnel/closed", tunnelId="t")

    async def test_other_descriptors_than_were_promised_are_refused(self) -> None:
        s = await self.sidecar()
        sb = await self.sandbox(s)
        await self.ends(s, "t", 2)
        with self.assertRaises(CallError) as raised:
            await s.call("tunnel/open", sandboxId=sb, argv=["cat"], lanes=1, ticket="t")
        self.assertIn("1 were asked for, 2 came", str(raised.exception))
