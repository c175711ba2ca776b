"""What each race has to reach, and what it aims at: the one place of these figures."""

from dataclasses import dataclass

HERALD = "Herald"
RAW, IDIOM, GETMANY = "raw aiokafka", "FastStream's idiom", "raw getmany"
DEFAULTS, QUICK = "Kafka Streams, its defaults", "Kafka Streams, commit.interval.ms=10"
BARE_DOOR, BARE_COURIER = "bare FastAPI and aiokafka", "a bare loop"
WITHOUT, HALFWAY = "the same without dead ones", "itself halfway"
UNTRACED = "tracing off"
FEWEST, MEAN = "1,000 live windows", "its mean"


@dataclass(frozen=True, slots=True)
class Bound:
    """Of one ratio. `at_least`: more is better. `aim` None: there is no further one."""

    reach: float
    aim: float | None = None
    at_least: bool = False

    @property
    def sign(self) -> str:
        """Which way it holds."""
        return "≥" if self.at_least else "≤"

    def says(self, ratio: float) -> str:
        """`aim`, `reach` or `missed`."""
        if self.aim is not None and self._holds(ratio, self.aim):
            return "aim"
        return "reach" if self._holds(ratio, self.reach) else "missed"

    def _holds(self, ratio: float, figure: float) -> bool:
        return ratio >= figure if self.at_least else ratio <= figure


def at_least(reach: float, aim: float | None = None) -> Bound:
    """More is better."""
    return Bound(reach, aim, at_least=True)


BOUNDS = {
    ("announce to alert at 20/s, p50", DEFAULTS): Bound(0.1, 0.05),
    ("announce to alert at 100/s, p50", DEFAULTS): Bound(0.15, 0.08),
    ("announce to alert at 20/s, p50", QUICK): Bound(1.2, 0.7),
    ("announce to alert at 20/s, p99", QUICK): Bound(1.2, 0.7),
    ("announce to alert at 100/s, p50", QUICK): Bound(1.2, 0.7),
    ("announce to alert at 100/s, p99", QUICK): Bound(1.2, 0.7),
    ("backlog of announcements", RAW): at_least(0.6, 0.85),
    ("backlog of announcements", IDIOM): at_least(60, 100),
    ("fan-out to 8 agencies", RAW): at_least(0.6, 0.9),
    ("fan-out to 100 agencies", RAW): at_least(0.6, 0.9),
    ("fan-out to 1,000 agencies", RAW): at_least(0.6, 0.9),
    ("restore of state", GETMANY): at_least(0.5, 0.8),
    ("door, POST /v1/releases", BARE_DOOR): at_least(0.6),
    ("door, p99", BARE_DOOR): Bound(1.67),
    ("deliveries by webhook", BARE_COURIER): at_least(0.7),
    ("endpoints, one in ten dead, p99", WITHOUT): Bound(1.5),
    ("endpoints, memory at the end", HALFWAY): Bound(1.1),
    ("tracing, every event exported", UNTRACED): at_least(0.9),
    ("100,000 live windows, CPU an event", FEWEST): Bound(1.2),
}
"""By race and peer; a ratio without a bound is only printed."""
