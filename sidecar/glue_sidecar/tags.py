"""Tags of sandboxes, by which they are found and told whose they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .calls import CALL_TIMEOUT, bounded
from .params import Reader

if TYPE_CHECKING:
    import modal

    from .sandboxes import Sandboxes


class Tags:
    """The methods about tags."""

    def __init__(self, sandboxes: Sandboxes) -> None:
        self._sandboxes = sandboxes

    async def get(self, p: Reader) -> dict[str, Any]:
        held = self._sandboxes.get(p)
        tags = await bounded(held.sandbox.get_tags.aio(), CALL_TIMEOUT, "asking for the sandbox's tags")
        return {"tags": tags}

    async def set(self, p: Reader) -> dict[str, Any]:
        """Changes some tags; the others stay."""
        held = self._sandboxes.get(p)
        return {"tags": await change(held.sandbox, p.table("tags"))}


async def change(sandbox: modal.Sandbox, wanted: dict[str, str]) -> dict[str, str]:
    """Changes some tags of a sandbox; an empty one goes away."""
    former: dict[str, str] = await bounded(sandbox.get_tags.aio(), CALL_TIMEOUT, "asking for the sandbox's tags")
    tags = {name: value for name, value in {**former, **wanted}.items() if value}
    if tags != former:
        await bounded(sandbox.set_tags.aio(tags), CALL_TIMEOUT, "setting the sandbox's tags")
    return tags
