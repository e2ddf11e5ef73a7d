"""Doctor's questions, and what comes of a token or a network that is not good."""

from __future__ import annotations

import asyncio
import time
import unittest
from unittest import mock

from glue_sidecar import network
from glue_sidecar.errors import SidecarError

from .case import Case
from .client import CallError, Sidecar

# How long a person waits for the news that there is no network, in seconds.
PROMISED = 10.0


TOKEN = ("MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET")


class Account(Case):
    async def refusal(self, s: Sidecar) -> CallError:
        with self.assertRaises(CallError) as raised:
            await self.sandbox(s)
        return raised.exception

    async def test_it_names_workspace_environment_server_and_where_the_token_is_from(self) -> None:
        s = await self.sidecar()
        self.assertEqual(
            await s.call("doctor/auth"),
            {
                "tokenValid": True,
                "workspace": "emulated-workspace",
                "environment": "main",
                "server": "127.0.0.1",
                "source": "MODAL_TOKEN_ID and MODAL_TOKEN_SECRET",
            },
        )
        self.assertEqual((await s.call("doctor/auth", environment="other"))["environment"], "other")

    async def test_a_token_from_a_file_is_one_too(self) -> None:
        file = self.dir / "modal.toml"
        ready = self.emulator.ready
        file.write_text(f'[work]\ntoken_id = "{ready["tokenId"]}"\ntoken_secret = "{ready["tokenSecret"]}"\nactive = true\n')
        s = await self.sidecar(env={"MODAL_CONFIG_PATH": str(file)}, without=TOKEN)
        said = await s.call("doctor/auth")
        self.assertEqual((said["tokenValid"], said["source"]), (True, str(file)))

    async def test_without_a_token_nobody_is_asked(self) -> None:
        s = await self.sidecar(env={"MODAL_SERVER_URL": "http://127.0.0.1:1"}, without=TOKEN)
        said = await s.call("doctor/auth")
        self.assertFalse(said["tokenValid"])
        self.assertIn("Token missing", said["message"])
        self.assertIn("modal token new", said["hint"])
        self.assertEqual((await self.refusal(s)).kind, "notAuthenticated")

    async def test_a_token_that_was_revoked(self) -> None:
        self.emulator.post("/faults", {"refuseToken": True})
        s = await self.sidecar()
        said = await s.call("doctor/auth")
        self.assertFalse(said["tokenValid"])
        self.assertIn("revoked", said["message"])
        error = await self.refusal(s)
        self.assertEqual(error.kind, "notAuthenticated")
        self.assertIn("modal token new", error.hint)

    async def test_a_server_that_knows_less_still_checks_the_token(self) -> None:
        for faults in (
            {"coreOnly": True},
            {"unimplemented": ["WorkspaceNameLookup", "EnvironmentGetOrCreate", "TokenInfoGet"]},
            {"unimplemented": ["ClientHello", "WorkspaceNameLookup", "TokenInfoGet"]},
        ):
            with self.subTest(faults):
                self.emulator.post("/faults", faults)
                s = await self.sidecar()
                self.assertTrue((await s.call("doctor/auth"))["tokenValid"])

    async def test_no_network_is_told_in_time_and_why(self) -> None:
        for url, why in (
            ("http://127.0.0.1:1", "127.0.0.1:1: Connection refused"),
            ("https://modal.invalid", "modal.invalid cannot be resolved"),
        ):
            with self.subTest(url):
                s = await self.sidecar(env={"MODAL_SERVER_URL": url})
                began = time.monotonic()
                error = await self.refusal(s)
                self.assertLess(time.monotonic() - began, PROMISED)
                self.assertEqual(error.kind, "runtimeUnavailable")
                self.assertIn(why, str(error))
                self.assertIn("network", error.hint)

    async def test_a_network_that_comes_back_is_used(self) -> None:
        self.emulator.post("/cut?ms=600000")
        s = await self.sidecar()
        self.assertEqual((await self.refusal(s)).kind, "runtimeUnavailable")
        self.emulator.post("/cut?ms=0")
        self.assertTrue((await s.call("doctor/auth"))["tokenValid"])

    async def test_a_proxy_that_the_sdk_cannot_use_is_named(self) -> None:
        s = await self.sidecar(env={"HTTP_PROXY": "http://127.0.0.1:1", "MODAL_DISABLE_API_PROXY": "0", "NO_PROXY": "", "no_proxy": ""})
        error = await self.refusal(s)
        self.assertEqual(error.kind, "runtimeUnavailable")
        self.assertIn("proxy", str(error))
        self.assertIn("api-proxy-support", error.hint)

    async def test_a_configuration_file_that_cannot_be_read_is_named(self) -> None:
        file = self.dir / "modal.toml"
        file.write_text("[default\n")
        s = await self.sidecar(env={"MODAL_CONFIG_PATH": str(file)})
        error = await self.refusal(s)
        self.assertEqual(error.kind, "runtimeUnavailable")
        self.assertIn("modal.toml", str(error))


class Connecting(unittest.IsolatedAsyncioTestCase):
    async def test_all_wait_for_one_connection_and_an_old_one_is_looked_at_again(self) -> None:
        made = 0

        async def connect() -> int:
            nonlocal made
            made += 1
            await asyncio.sleep(0)
            return made

        with mock.patch.object(network, "_connect", connect):
            n = network.Network()
            n.warm()
            self.assertEqual(await asyncio.gather(n.ready(), n.ready(), n.ready()), [1, 1, 1])
            self.assertEqual(await n.ready(), 1)
            with mock.patch.object(network, "FRESH", 0.0):
                self.assertEqual(await n.ready(), 2)

    async def test_a_failure_is_told_to_all_that_wait_and_not_kept(self) -> None:
        answers = [SidecarError("runtimeUnavailable", "no network"), None]

        async def connect() -> str:
            await asyncio.sleep(0)
            failed = answers.pop(0)
            if failed is not None:
                raise failed
            return "client"

        with mock.patch.object(network, "_connect", connect):
            n = network.Network()
            both = await asyncio.gather(n.ready(), n.ready(), return_exceptions=True)
            self.assertEqual([str(e) for e in both], ["no network", "no network"])
            self.assertEqual(await n.ready(), "client")
