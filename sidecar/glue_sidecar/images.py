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

LAST_LINES = 20

# Where a pinned image has neither git nor apt, it is taken as it is.
_INSTALL_GIT = (
    "RUN command -v git >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1"
    " || (apt-get update && apt-get install -y --no-install-recommends git)"
)


def build(name: str | None, snapshot: str | None, with_git: bool) -> modal.Image:
    """Gives an image: of a snapshot, of a registry's name, or Modal's Debian, with git
    where it can be installed."""
    import modal

    if snapshot:
        return modal.Image.from_id(snapshot)
    if name is None:
        image = modal.Image.debian_slim()
        return image.apt_install("git") if with_git else image
    image = modal.Image.from_registry(name)
    return image.dockerfile_commands(_INSTALL_GIT) if with_git else image


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


def explain_failure(raised: Exception, log: BuildLog) -> SidecarError:
    """Says why a sandbox was not made; of a failed build also what it printed last."""
    e = explain(raised)
    if "image build" not in e.message.lower():
        return e
    tail = "\n".join(log.last)
    message = f"{e.message}\n{tail}" if tail else e.message
    return SidecarError("runtimeUnavailable", message, hint="check modal.image, or leave it out for Modal's Debian image")
