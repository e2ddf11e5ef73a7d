"""What the real SDK raises, in the words of the server's contract."""

from __future__ import annotations

import asyncio
import inspect
import os
import unittest
from unittest import mock

import modal.exception as sdk

from glue_sidecar.errors import SidecarError, explain, without_secrets

# Kinds that the server knows, see sandbox/errors.go.
KINDS = {
    "fileNotFound",
    "fileExists",
    "notADirectory",
    "isADirectory",
    "directoryNotEmpty",
    "permissionDenied",
    "noSpace",
    "tooLarge",
    "unsupported",
    "executorDead",
    "runtimeUnavailable",
    "notAuthenticated",
    "conflict",
    "timeout",
    "invalidParams",
    "unavailable",
}


class Errors(unittest.TestCase):
    def test_each_exception_of_the_sdk_has_a_kind_of_the_contract(self) -> None:
        for name, kind in inspect.getmembers(sdk, inspect.isclass):
            if name.startswith("_") or not issubclass(kind, Exception) or issubclass(kind, Warning):
                continue
            with self.subTest(name):
                try:
                    raised = kind("why it failed")
                except TypeError:
                    continue  # nobody raises it with a message alone
                e = explain(raised)
                self.assertIn(e.kind, KINDS)
                self.assertIn("why it failed", e.message)

    def test_those_that_a_person_meets_have_the_right_kind_and_a_hint(self) -> None:
        for raised, kind, hint in (
            (sdk.AuthError("x"), "notAuthenticated", "modal token new"),
            (sdk.ResourceExhaustedError("x"), "runtimeUnavailable", "sessions list"),
            (sdk.ImageBuildError("x", image_id="im-1"), "runtimeUnavailable", ""),
            (sdk.VersionError("x"), "runtimeUnavailable", "pip install --upgrade modal"),
            (sdk.PermissionDeniedError("x"), "permissionDenied", "administrator"),
            (sdk.ConnectionError("x"), "unavailable", "network"),
            (sdk.ServiceError("x"), "unavailable", "network"),
            (sdk.InternalError("x"), "unavailable", "status.modal.com"),
            (sdk.NotFoundError("x"), "executorDead", ""),
            (sdk.SandboxTimeoutError("x"), "executorDead", ""),
            (sdk.SandboxTerminatedError("x"), "executorDead", ""),
            (sdk.ExecTimeoutError("x"), "timeout", ""),
            (sdk.UnimplementedError("x"), "unsupported", ""),
            (sdk.InvalidError("x"), "invalidParams", ""),
            (sdk.SandboxFilesystemPathAlreadyExistsError("x"), "fileExists", ""),
            (asyncio.TimeoutError(), "timeout", ""),
            (ConnectionRefusedError("x"), "unavailable", "network"),
            (RuntimeError("x"), "unavailable", ""),
        ):
            with self.subTest(type(raised).__name__):
                e = explain(raised)
                self.assertEqual(e.kind, kind)
                self.assertIn(hint, e.hint)
                self.assertNotEqual(e.message, "")

    def test_an_error_that_is_explained_already_stays_as_it_is(self) -> None:
        e = SidecarError("noSpace", "the disk is full")
        self.assertIs(explain(e), e)

    def test_X10_no_secret_is_in_a_message(self) -> None:
        with mock.patch.dict(os.environ, {"MODAL_TOKEN_ID": "odd-id-of-mine", "MODAL_TOKEN_SECRET": "odd secret of mine"}):
            for text in (
                "token ak-AbC123456 with as-XyZ987654321",
                "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc-_def",
                "proxy http://somebody:odd-secret-word@proxy:3128/ refused",
                "id odd-id-of-mine, secret odd secret of mine",
            ):
                said = explain(sdk.AuthError(text)).message + without_secrets(text)
                for secret in ("AbC123456", "XyZ987654321", "eyJ", "odd"):
                    self.assertNotIn(secret, said)
