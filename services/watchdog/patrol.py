"""The watchdog at work: one round after another while it is on duty, and a heartbeat a minute."""

import asyncio
import time
from datetime import datetime, timedelta

from aiokafka.errors import KafkaError

from schemas.alert import AlertIssued
from schemas.envelope import Data
from schemas.heartbeat import HeartbeatBeat
from services.kernel.catalogue import HEARTBEAT, WATCHDOG_LAST_SUCCESS, WATCHDOG_ROUND_SECONDS
from services.kernel.clock import Clock
from services.kernel.observe import log
from services.watchdog import metrics
from services.watchdog.daily import lines
from services.watchdog.decide import answer, begin, event_id, hear, missing
from services.watchdog.state import Left, Round, reference
from services.watchdog.wire import Wire

BEAT = timedelta(minutes=1)
_LOOK_SECONDS = 2.0
"""How often it looks whether the registry has a watchdog by now."""
_WAIT_SECONDS = 1.0
STUCK_SECONDS = 45.0
"""Longer than the 40 in which Kafka's client gives a request up: who waits longer waits for what never comes."""

_LEAST_SECONDS = 0.02


class Patrol:
    """One watchdog. `every`: a round begins so often, and has failed when it is not through by the next."""

    def __init__(self, wire: Wire, clock: Clock, every: timedelta) -> None:
        self._wire, self._clock, self._every = wire, clock, every
        self._round: Round | None = None
        self._left = Left()
        self._tidy = self._takes_duty = False
        self._began = 0.0
        self._round_due = self._beat_due = self._deadline = clock.now()
        self._last_success: datetime | None = None
        self._lines_until: datetime | None = None
        self._connected = False
        metrics.hide()

    def problems(self) -> dict[str, str]:
        """What keeps it from being ready. That it stands by, or that a round fails, does not."""
        return {} if self._connected else {"kafka": "is not reached yet"}

    async def run(self) -> None:
        """Watches until it is cancelled. Raises KafkaError when Kafka cannot be reached at the start."""
        try:
            await self._wire.start()
            self._connected = True
            said, is_stuck = "", False
            while True:
                try:
                    if is_stuck:
                        await self._wire.reopen()
                    is_stuck = False
                    async with asyncio.timeout(STUCK_SECONDS):
                        await self._turn()
                    said = ""
                except TimeoutError:
                    is_stuck = True
                    log.error("watchdog_stuck", seconds=STUCK_SECONDS)
                except KafkaError as error:
                    if said != (said := repr(error)):  # what goes on is said once
                        log.warning("watchdog_interrupted", error=said)
                    await asyncio.sleep(_WAIT_SECONDS)
        finally:
            metrics.hide()

    async def _turn(self) -> None:
        if not await self._wire.entered():
            await asyncio.sleep(_LOOK_SECONDS)
            return
        self._takes_duty = await self._wire.begin() or self._takes_duty
        if self._takes_duty:
            await self._take_duty()
            self._takes_duty = False
        for event in await self._wire.hear(self._patience()):
            if isinstance(event.data, AlertIssued):
                self._left.take(event.data)
            if self._round is not None:
                at = self._round.at
                self._round, said = hear(self._round, event)
                for one in said:
                    await self._say(one, at)
        if not self._wire.on_duty:
            self._round, self._takes_duty = None, False
            metrics.hide()
        elif await self._wire.caught_up():
            await self._go_on(self._clock.now())

    def _patience(self) -> float:
        """Seconds until the next thing is due, at most one. Never none: who does not wait lets nothing else work."""
        if not self._wire.on_duty:
            return _WAIT_SECONDS
        due = min(self._deadline if self._round is not None else self._round_due, self._beat_due)
        return min(max(self._clock.seconds_until(due), _LEAST_SECONDS), _WAIT_SECONDS)

    async def _take_duty(self) -> None:
        """From here on this one watches. What is due is due at once; an earlier success counts."""
        now = self._clock.now()
        self._round, self._left, self._tidy = None, Left(), True
        self._round_due = self._beat_due = now
        last = await self._wire.last_beat()
        self._last_success = self._lines_until = last.last_success_at if last is not None else None
        WATCHDOG_LAST_SUCCESS.set((self._last_success or now).timestamp())
        log.info("watchdog_on_duty")

    async def _go_on(self, now: datetime) -> None:
        """Ends the round when it is at its end, and does what is due."""
        if self._round is not None:
            lacks = missing(self._round)
            if lacks is None:
                self._succeeded(now)
                await self._tell_lines(now)
            elif self._round.refused or now >= self._deadline:
                self._failed(lacks)
        if self._round is None and now >= self._round_due:
            await self._begin(now)
        if now >= self._beat_due:
            await self._beat(now)

    async def _begin(self, now: datetime) -> None:
        self._began, self._deadline = time.monotonic(), now + self._every
        self._round_due = self._deadline
        last = self._left.last
        self._round, statement = begin(reference(now, self._left), now)
        said: list[Data] = [statement]
        if self._tidy and last is not None and last.kind == "withdrawn" and last.asks is not None:
            said.append(answer(last))  # so that nobody is chased for what an interrupted round left
        self._tidy = False
        at = self._round.at
        for one in said:
            await self._say(one, at)

    async def _say(self, said: Data, at: datetime) -> None:
        """Says something of a round; a round that cannot be said has failed."""
        try:
            await self._wire.say(said, event_id(said, at))
        except KafkaError as error:
            self._failed("Kafka", repr(error))

    async def _beat(self, now: datetime) -> None:
        self._beat_due = now + BEAT
        await self._wire.beat(HeartbeatBeat(beat_at=now, next_by=now + 3 * BEAT, last_success_at=self._last_success))
        HEARTBEAT.set(now.timestamp())

    def _succeeded(self, now: datetime) -> None:
        seconds = time.monotonic() - self._began
        self._round, self._last_success, self._beat_due = None, now, now
        WATCHDOG_LAST_SUCCESS.set(now.timestamp())
        WATCHDOG_ROUND_SECONDS.set(seconds)
        log.info("watchdog_round_succeeded", seconds=round(seconds, 3))

    async def _tell_lines(self, now: datetime) -> None:
        """The daily lines that are due by now. What is not asked for is asked for after the next round."""
        try:
            for line in lines(await self._wire.registry(), self._lines_until or now, now):
                await self._wire.tell(line)
                log.info("daily_line", agency=line.agency, endpoint=line.endpoint)
            self._lines_until = now
        except (KafkaError, ValueError) as error:
            log.warning("daily_line_failed", error=type(error).__name__)

    def _failed(self, lacks: str, error: str | None = None) -> None:
        refused = self._round.refused if self._round is not None else ()
        seconds = round(time.monotonic() - self._began, 3)
        self._round, self._tidy = None, True
        more = {"refused": list(refused)} if refused else {"error": error} if error else {}
        log.warning("watchdog_round_failed", missing=lacks, seconds=seconds, **more)
