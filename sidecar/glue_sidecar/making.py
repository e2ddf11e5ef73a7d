"""Makes sandboxes: what was asked for, checked, and the one call that costs money."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import images
from .calls import CALL_TIMEOUT, bounded
from .errors import SidecarError, explain, invalid
from .params import Reader

if TYPE_CHECKING:
    import modal

# Modal's own bounds on a sandbox's life, in seconds.
MIN_TIMEOUT, MAX_TIMEOUT = 1, 24 * 60 * 60

# A new image can take this long to build, and a machine this long to be found.
BUILD_TIMEOUT = 15 * 60.0

# The tag that says when a sandbox ends by itself, in whole seconds of Unix time. Modal
# does not tell it to those who join later.
EXPIRES_TAG = "glue-expires"


@dataclass
class Request:
    """A sandbox that was asked for."""

    app: str
    environment: str | None
    timeout: int
    image: str | None
    snapshot: str | None
    with_git: bool
    tags: dict[str, str]
    secrets: list[str]
    volumes: dict[str, str]
    options: dict[str, Any] = field(repr=False)
    # Whether the call went out that makes it: from then on it may exist.
    sent: bool = False


@dataclass
class Made:
    """A sandbox that was made, and of what."""

    sandbox: modal.Sandbox
    expires: float
    image_id: str
    kept: bool = False
    notes: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """What the server is told of it besides the sandbox."""
        return {"imageId": self.image_id, "kept": self.kept, "notes": self.notes}


def read(p: Reader) -> Request:
    """Reads and checks the parameters of a call."""
    timeout = p.number("timeoutSeconds")
    if not MIN_TIMEOUT <= timeout <= MAX_TIMEOUT:
        raise invalid("timeoutSeconds", f"must be from {MIN_TIMEOUT} to {MAX_TIMEOUT}, not {timeout}")
    return Request(
        app=p.text("appName"),
        environment=p.optional_text("environment"),
        timeout=timeout,
        image=p.optional_text("image"),
        snapshot=p.optional_text("snapshot"),
        with_git=p.flag("withGit", True),
        tags=p.table("tags"),
        secrets=p.texts("secrets", []),
        volumes=p.table("volumes"),
        options=_options(p),
    )


def _options(p: Reader) -> dict[str, Any]:
    """The settings that are passed on as they are."""
    out: dict[str, Any] = {}
    if workdir := p.optional_text("workdir"):
        out["workdir"] = workdir
    if (cpu := p.real("cpu")) is not None:
        out["cpu"] = cpu
    if (memory := p.optional_number("memoryMb")) is not None:
        out["memory"] = memory
    if gpu := p.optional_text("gpu"):
        out["gpu"] = gpu
    if region := p.optional_text("region"):
        out["region"] = region
    if (idle := p.optional_number("idleTimeoutSeconds")) is not None:
        out["idle_timeout"] = idle
    if env := p.table("env"):
        out["env"] = env
    network = p.text("network", "on")
    if network == "none":
        out["block_network"] = True
    elif network != "on":
        raise invalid("network", f"must be on or none, not {network}")
    return out


class Maker:
    """Makes sandboxes for one account."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._apps: dict[tuple[str, str | None], modal.App] = {}
        self._snapshots: dict[str, modal.Image] = {}
        self._building = asyncio.Lock()  # see images.build_log

    async def app(self, name: str, environment: str | None, create: bool = True) -> modal.App:
        """Finds an app, and makes it if need be."""
        import modal

        key = (name, environment)
        if key not in self._apps:
            found = modal.App.lookup.aio(name, environment_name=environment, create_if_missing=create)
            self._apps[key] = await bounded(found, CALL_TIMEOUT, "looking up the app")
        return self._apps[key]

    def know(self, snapshot: modal.Image) -> str:
        """Remembers a snapshot, which then need not be looked up. Gives its id."""
        ident: str = snapshot.object_id
        self._snapshots[ident] = snapshot
        return ident

    async def make(self, r: Request) -> Made:
        """Makes a sandbox. Where the snapshot that it should begin with is gone, it begins
        with the usual image, and says so."""
        gone = ""
        if r.snapshot:
            try:
                app = await self.app(r.app, r.environment)
                return await self._make(r, await self._snapshot(r.snapshot, app), [])
            except Exception as raised:
                e = explain(raised)
                if e.kind not in ("executorDead", "unsupported", "invalidParams"):
                    raise _explain(raised, r) from raised
                self._snapshots.pop(r.snapshot, None)
                gone = f"the snapshot {r.snapshot} of an earlier setup cannot be used any more: {e.message}"
        try:
            image, notes = await self._image(r, await self.app(r.app, r.environment))
            return await self._make(r, image, [gone, *notes] if gone else notes)
        except Exception as raised:
            # An app that somebody removed is looked up anew the next time.
            self._apps.pop((r.app, r.environment), None)
            raise _explain(raised, r) from raised

    async def _make(self, r: Request, image: modal.Image, notes: list[str]) -> Made:
        """Its cap and its tags are part of the one call that makes the sandbox, so that it
        ends, and can be found, whatever becomes of this process."""
        import modal

        app = await self.app(r.app, r.environment)
        self._progress("starting a sandbox in Modal")
        expires = time.time() + r.timeout
        r.sent = True
        sandbox = await modal.Sandbox.create.aio(
            "sleep",
            "infinity",
            app=app,
            image=image,
            timeout=r.timeout,
            tags={**r.tags, EXPIRES_TAG: str(int(expires))},
            secrets=[modal.Secret.from_name(s, environment_name=r.environment) for s in r.secrets],
            volumes={where: modal.Volume.from_name(v, environment_name=r.environment) for where, v in r.volumes.items()},
            **r.options,
        )
        return Made(sandbox, expires, image.object_id, kept=image.object_id == r.snapshot, notes=notes)

    async def _snapshot(self, ident: str, app: modal.App) -> modal.Image:
        import modal

        if known := self._snapshots.get(ident):
            return known
        image = modal.Image.from_id(ident)
        await bounded(image.build.aio(app), CALL_TIMEOUT, "looking up a snapshot")
        return image

    async def _image(self, r: Request, app: modal.App) -> tuple[modal.Image, list[str]]:
        """Builds the image. Where git cannot be added to a pinned one, it is taken as it
        is: files go in without git too."""
        name = r.image or None
        try:
            return await self._build(images.build(name, r.with_git), app), []
        except images.BuildFailed as failed:
            if not r.with_git or not images.is_augmented(name):
                raise
            image = await self._build(images.build(name, False), app)
            return image, [f"git could not be added to the image {name}, so commits cannot be made inside: {failed.last_line}"]

    async def _build(self, image: modal.Image, app: modal.App) -> modal.Image:
        async with self._building:
            with images.build_log(self._progress) as log:
                try:
                    await bounded(image.build.aio(app), BUILD_TIMEOUT, "building the image")
                except Exception as raised:
                    raise images.explain_failure(raised, log) from raised
        return image


def _explain(raised: Exception, r: Request) -> SidecarError:
    """Says what of a request Modal does not have or take: here nothing has died yet, and
    what is wrong are settings rather than parameters."""
    e = explain(raised)
    if isinstance(raised, SidecarError) or e.kind not in ("executorDead", "invalidParams", "conflict"):
        return e
    given = {"image": r.image, "environment": r.environment, "secrets": r.secrets, "volumes": r.volumes}
    asked = [f"modal.{name}" for name, value in given.items() if value]
    asked += [setting for option, setting in _SETTINGS.items() if option in r.options]
    return SidecarError("runtimeUnavailable", e.message, hint=f"check {', '.join(asked)}" if asked else "")


# The settings that options of a call come from.
_SETTINGS = {
    "cpu": "modal.cpu",
    "memory": "modal.memory_mb",
    "gpu": "modal.gpu",
    "region": "modal.region",
    "idle_timeout": "modal.idle_timeout_seconds",
    "env": "modal.env",
    "block_network": "modal.network",
}
