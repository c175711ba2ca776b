"""Which release a person means: by its opaque id, or by its lab and reference."""

from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from schemas.values import Uuid
from services.kernel.connection import Connection
from services.kernel.registry_log import in_force
from services.kernel.settings import SettingsError

Release = Annotated[str, typer.Argument(help="Its id, or `<lab>/<reference>`.")]

_UUID = TypeAdapter[str](Uuid)


async def release_id_of(connection: Connection, release: str) -> str:
    """The release's id. Raises SettingsError naming what would be right."""
    try:
        return _UUID.validate_python(release)
    except ValidationError:
        lab, slash, reference = release.partition("/")
    registry = await in_force(connection)
    if not slash or not reference:
        raise SettingsError(f"{release}: write the release's id, or <lab>/<reference>")
    if lab not in {*registry.labs, *registry.offboarded}:
        raise SettingsError(f"{lab} is no lab of the registry: `herald registry show` lists them")
    return registry.release_id(lab, reference)
