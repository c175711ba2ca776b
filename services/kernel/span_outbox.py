"""Where spans wait until a thread of their own has sent them. Bounded: what is too much is dropped and counted."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.kernel import catalogue
from services.kernel.observe import log
from services.kernel.settings import SettingsError
from services.kernel.span_encoding import Row

SAY_SECONDS = 60.0
"""So often at the most a log says that spans were dropped."""

_PREFIX = "OTEL_BSP_"


class Limits(BaseSettings):
    """OpenTelemetry's settings of a batch processor. A transaction of 2,000 events waits whole: more than there."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore", frozen=True)

    max_queue_size: int = Field(default=16_384, ge=1)
    max_export_batch_size: int = Field(default=2048, ge=1)
    schedule_delay: int = Field(default=5000, ge=1)
    """Milliseconds."""

    @classmethod
    def load(cls) -> "Limits":
        """From the environment; raises SettingsError naming the variable and the rule."""
        try:
            return cls()
        except ValidationError as error:
            problem = error.errors()[0]
            raise SettingsError(f"{_PREFIX}{str(problem['loc'][0]).upper()}: {problem['msg']}") from None


class Outbox:
    """What waits. `send` says whether they were taken; it runs in the thread."""

    def __init__(self, send: Callable[[Sequence[Row]], bool], limits: Limits) -> None:
        self._send = send
        self._most = limits.max_queue_size
        self._batch = min(limits.max_export_batch_size, limits.max_queue_size)
        self._pause = limits.schedule_delay / 1000
        self._waiting: deque[Row] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._dropped, self._said_at = 0, -SAY_SECONDS
        self._thread = threading.Thread(target=self._work, name="spans", daemon=True)
        self._thread.start()

    def put(self, rows: Sequence[Row]) -> None:
        """Takes what there is room for, and never waits. From one thread alone."""
        room = self._most - len(self._waiting)
        if room < len(rows):
            self._drop(len(rows) - room)
            rows = rows[:room]
        self._waiting.extend(rows)
        if len(self._waiting) >= self._batch:
            self._wake.set()

    def close(self, seconds: float) -> None:
        """Sends what waits, for so long at the most."""
        self._closing = True
        self._wake.set()
        self._thread.join(seconds)

    def _work(self) -> None:
        while not self._closing:
            woken = self._wake.wait(self._pause)
            self._wake.clear()
            while len(self._waiting) >= (self._batch if woken else 1):
                self._send_some()
                woken = True
        while self._waiting:
            self._send_some()

    def _send_some(self) -> None:
        rows = [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]
        try:
            taken = self._send(rows)
        except Exception as error:  # an error of ours: the next ones may be sent
            log.error("spans_not_sent", error=repr(error), exc_info=error)
            taken = False
        catalogue.SPANS.labels("exported" if taken else "failed").inc(len(rows))

    def _drop(self, count: int) -> None:
        catalogue.SPANS.labels("dropped").inc(count)
        self._dropped += count
        now = time.monotonic()
        if now - self._said_at >= SAY_SECONDS:
            log.warning("spans_dropped", count=self._dropped, most=self._most)
            self._dropped, self._said_at = 0, now
