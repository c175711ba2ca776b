"""What deliveries count, beside what the kernel counts of every service."""

from prometheus_client import Counter, Histogram

ATTEMPTS = Counter(
    "herald_delivery_attempts_total", "Attempts at endpoints, by channel and what came of it.", ["channel", "outcome"]
)
ATTEMPT_SECONDS = Histogram("herald_delivery_attempt_seconds", "How long an attempt took, in seconds.", ["channel"])
