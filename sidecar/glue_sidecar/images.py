"""What sandboxes are made of."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from .errors import SidecarError, explain, without_secrets

if TYPE_CHECKING:
    import modal

# How many lines of a build are kept,
LAST_LINES = 20
# and so many of them stand in the error.
SHOWN_LINES = 5

# A pinned image may have git, or no apt to add it with.
_INSTALL_GIT = (
    "RUN command -v git >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1"
    " || (apt-get update && apt-get install -y --no-install-recommends git ca-certificates)"
)

# An image that Modal has built or kept is named by its id.
_ID = re.compile(r"im-[A-Za-z0-9]+")


def build(name: str | None, with_git: bool) -> modal.Image:
    """Gives the image of that id or registry's name, or Modal's Debian, with git where it
    can be added. An id stands for exactly that image: nothing is added."""
    import modal

    if name is None:
        image = modal.Image.debian_slim()
        return image.apt_install("git") if with_git else image
    if _ID.fullmatch(name):
        return modal.Image.from_id(name)
    image = modal.Image.from_registry(name)
    return image.dockerfile_commands(_INSTALL_GIT) if with_git else image


def is_augmented(name: str | None) -> bool:
    """Tells whether git is added to an image that somebody named."""
    return name is not None and not _ID.fullmatch(name)


class BuildLog(io.TextIOBase):
    """Takes what the SDK prints while it builds an image: the last lines are kept for
    an error, and each is passed on."""

    _ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\r")

    def __init__(self, each: Callable[[str], None]) -> None:
        self._each = each
        self._part = ""
        self.last: deque[str] = deque(maxlen=LAST_LINES)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        lines = (self._part + text).split("\n")
        self._part = lines.pop()[-4096:]
        for line in lines:
            clean = without_secrets(self._ESCAPES.sub("", line)).strip()
            if clean:
                self.last.append(clean)
                self._each(clean)
        return len(text)


@contextlib.contextmanager
def build_log(each: Callable[[str], None]) -> Iterator[BuildLog]:
    """Collects what the SDK prints of a build. It prints to standard output, which is
    changed for as long as this lasts: one build at a time."""
    import modal

    log = BuildLog(each)
    former = sys.stdout
    sys.stdout = log
    try:
        with modal.enable_output():
            yield log
    finally:
        sys.stdout = former


class BuildFailed(SidecarError):
    """An image that could not be built."""

    last_line: str = ""


def explain_failure(raised: Exception, log: BuildLog) -> SidecarError:
    """Says why an image was not built, with what was printed last."""
    e = explain(raised)
    if "image build" not in e.message.lower():
        return e
    # All of it went by as progress: an error is read where there is little room.
    said = [line for line in list(log.last)[-SHOWN_LINES:] if line not in e.message]
    message = "\n".join([e.message, *said])
    failed = BuildFailed("runtimeUnavailable", message, hint="check modal.image, or leave it out for Modal's Debian image")
    failed.last_line = log.last[-1] if log.last else e.message
    return failed
