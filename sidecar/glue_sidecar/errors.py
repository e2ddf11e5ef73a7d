"""What went wrong, in the words of the server's contract."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from dataclasses import dataclass

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
CANCELLED = -32800
FAILED = -32803


@dataclass
class SidecarError(Exception):
    """A failed call: its kind is one of the server's, and its message is for people."""

    kind: str
    message: str
    hint: str = ""
    path: str = ""
    code: int = FAILED

    def __str__(self) -> str:
        return self.message


def invalid(field: str, problem: str) -> SidecarError:
    """A parameter that cannot be used."""
    return SidecarError("invalidParams", f"{field}: {problem}", code=INVALID_PARAMS)


# Names of the SDK's exceptions, by the kind that they become. Names rather than types:
# newer versions add and move some, and give them a base that is here.
_KINDS = {
    "AuthError": "notAuthenticated",
    "PermissionDeniedError": "permissionDenied",
    "SandboxFilesystemNotFoundError": "fileNotFound",
    "SandboxFilesystemIsADirectoryError": "isADirectory",
    "SandboxFilesystemNotADirectoryError": "notADirectory",
    "SandboxFilesystemPermissionError": "permissionDenied",
    "SandboxFilesystemPathAlreadyExistsError": "fileExists",
    "SandboxFilesystemDirectoryNotEmptyError": "directoryNotEmpty",
    "SandboxFilesystemFileTooLargeError": "tooLarge",
    "SandboxTimeoutError": "executorDead",
    "SandboxTerminatedError": "executorDead",
    "NotFoundError": "executorDead",
    "ClientClosed": "executorDead",
    "UnimplementedError": "unsupported",
    "ResourceExhaustedError": "runtimeUnavailable",
    "RequestSizeError": "tooLarge",
    "ImageBuildError": "runtimeUnavailable",
    "AlreadyExistsError": "conflict",
    "VersionError": "runtimeUnavailable",
    "RemoteError": "runtimeUnavailable",
    "ConnectionError": "unavailable",
    "ServiceError": "unavailable",
    "InternalError": "unavailable",
    "InvalidError": "invalidParams",
    "ConflictError": "conflict",
    "TimeoutError": "timeout",
}

# The environment's own secrets, whatever they look like.
_VARIABLES = ("MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET")

# Modal's own command does the same under both names.
_CLI = "modal" if shutil.which("modal") else f"{sys.executable} -m modal"

# What to do, by the kind or, before that, by the exception.
_HINTS = {
    "notAuthenticated": f"correct MODAL_TOKEN_ID and MODAL_TOKEN_SECRET, or unset them and run: {_CLI} token new"
    if any(os.environ.get(name) for name in _VARIABLES)
    else f"run: {_CLI} token new, or set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET",
    "unavailable": "check the network and status.modal.com; the same call can be made again",
    "ResourceExhaustedError": "end what is not needed (glue-lsp sessions list), or raise the limit in Modal's settings",
    "PermissionDeniedError": "the token's role does not allow it: ask an administrator of the Modal workspace",
    "InternalError": "Modal itself has trouble (status.modal.com); the same call can be made again",
    "VersionError": f"run: {sys.executable} -m pip install --upgrade modal",
}

# What looks like a secret.
_SECRETS = re.compile(r"\b([aw][ks]-[A-Za-z0-9]{6,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_.-]+)|(?<=://)[^/@\s]+@")


def without_secrets(text: str) -> str:
    """Takes tokens, and user names and passwords in URLs, out of a text."""
    for name in _VARIABLES:
        value = os.environ.get(name, "")
        if len(value) >= 6:
            text = text.replace(value, "***")
    return _SECRETS.sub("***", text)


def explain(error: BaseException) -> SidecarError:
    """Turns whatever was raised into an error that the server understands."""
    if isinstance(error, SidecarError):
        return error
    if isinstance(error, asyncio.CancelledError):
        return SidecarError("cancelled", "the call was cancelled", code=CANCELLED)
    if isinstance(error, asyncio.TimeoutError):
        return SidecarError("timeout", str(error) or "Modal did not answer in time")
    if isinstance(error, FileNotFoundError):
        return SidecarError("fileNotFound", f"{error.filename}: no such file on this machine", path=str(error.filename))
    if isinstance(error, OSError) and error.errno == 28:
        return SidecarError("noSpace", without_secrets(str(error)))
    names = [kind.__name__ for kind in type(error).__mro__]
    known = next((name for name in names if name in _KINDS), "")
    kind = _KINDS.get(known, "unavailable")
    message = without_secrets(str(error)).strip() or names[0]
    return SidecarError(kind, message, hint=_HINTS.get(known) or _HINTS.get(kind, ""))
