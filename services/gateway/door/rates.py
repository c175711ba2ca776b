"""How often somebody may ask: a bucket each, with the headers that say how much is left."""

import math
import time
from collections.abc import Callable

MOST_BUCKETS = 10_000


class Rates:
    """A bucket a name: `burst` at once, `per_second` in the long run. `policy` is what the headers call it.

    Of more than MOST_BUCKETS names, those that asked longest ago are forgotten.
    """

    def __init__(self, per_second: float, burst: int, policy: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._policy, self._clock = per_second, burst, policy, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> tuple[bool, dict[str, str]]:
        """Whether one more request is taken, and the headers that say how many more would be."""
        now = self._clock()
        level, since = self._buckets.pop(name, (float(self._burst), now))
        level = min(float(self._burst), level + (now - since) * self._rate)
        taken = level >= 1
        self._buckets[name] = (level - 1 if taken else level, now)
        if len(self._buckets) > MOST_BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        left = max(0, math.floor(level - 1))
        wait = 0 if taken else math.ceil((1 - level) / self._rate)
        headers = {
            "RateLimit-Policy": f'"{self._policy}";q={self._burst};w={math.ceil(self._burst / self._rate)}',
            "RateLimit": f'"{self._policy}";r={left};t={wait}',
        }
        return taken, headers if taken else headers | {"Retry-After": str(wait)}
