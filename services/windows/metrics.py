"""What windows shows: windows as they stand."""

from collections.abc import Iterable

from services.kernel import catalogue
from services.kernel.catalogue import boolean
from services.kernel.gauges import Part
from services.windows.state import WindowState


def parts(state: WindowState) -> Iterable[Part]:
    """One window; one that ended long ago is not kept."""
    if state.window is not None:
        yield Part(catalogue.WINDOWS, (state.status, boolean(state.window.exercise)))
