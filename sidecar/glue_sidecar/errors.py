"""What went wrong, in the words of the server's contract."""

from __future__ import annotations

import asyncio
import re
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
# newer versions add and move some.
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
    "ResourceExhaustedError": "runtimeUnavailable",
    "RemoteError": "runtimeUnavailable",
    "ConnectionError": "unavailable",
    "ServiceError": "unavailable",
    "InternalError": "unavailable",
    "InvalidError": "invalidParams",
    "ConflictError": "conflict",
    "TimeoutError": "timeout",
}

_HINTS = {
    "notAuthenticated": "run: modal token new, or set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET",
    "unavailable": "is the network up? the same call can be made again",
}

_SECRETS = re.compile(r"\b(a[ks]-[A-Za-z0-9]{6,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_.-]+)|(?<=://)[^/@\s]+@")


def without_secrets(text: str) -> str:
    """Takes tokens, and user names and passwords in URLs, out of a text."""
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
    name = type(error).__name__
    kind = _KINDS.get(name, "unavailable")
    message = without_secrets(str(error)).strip() or name
    return SidecarError(kind, message, hint=_HINTS.get(kind, ""))
