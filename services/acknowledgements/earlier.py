"""Earlier alerts of an agency: what an answer to them needs, in a few bytes however many there were.

The latest are kept whole, and so is the one that asks, with its repetitions. Of those before, alerts of one kind in a
row are kept as a run: an alert's id follows from its sequence, so any of them is known again.
"""

from schemas.alert import alert_id
from schemas.values import AlertKind, Instant, Strict, Uuid


class Sent(Strict):
    """An alert that was sent. `original`: itself, or the alert that it repeats. `due_at`: of the tier it was for.

    `sequence` None: it was noted by a version that did not keep it, and so stays whole.
    """

    kind: AlertKind
    life: int
    original: Uuid
    due_at: Instant | None = None
    sequence: int | None = None


class Run(Strict):
    """Alerts of one kind and life in a row, by their sequences. `due_at`: the latest of theirs.

    `answered`: a bit for each that was, the first one lowest, in hexadecimal. In a run each stands for itself: that one
    repeated another is no longer known.
    """

    first: int
    last: int
    kind: AlertKind
    life: int
    due_at: Instant | None = None
    answered: str = "0"

    def is_answered(self, sequence: int | None) -> bool:
        """Whether this is one of them, and was answered."""
        if sequence is None or not self.first <= sequence <= self.last:
            return False
        return bool(int(self.answered, 16) >> (sequence - self.first) & 1)

    def with_answered(self, sequence: int | None) -> "Run":
        """If this is one of them, it is answered."""
        if sequence is None or not self.first <= sequence <= self.last:
            return self
        return self.model_copy(update={"answered": f"{int(self.answered, 16) | 1 << (sequence - self.first):x}"})


def recalled(runs: tuple[Run, ...], release_id: str, agency: str, named: str) -> Sent | None:
    """The earlier alert with this id; None: there was none."""
    for run in reversed(runs):
        for sequence in range(run.last, run.first - 1, -1):
            if alert_id(release_id, agency, sequence) == named:
                return Sent(kind=run.kind, life=run.life, original=named, due_at=run.due_at, sequence=sequence)
    return None


def appended(runs: tuple[Run, ...], sent: Sent, sequence: int, answered: bool) -> tuple[Run, ...]:
    """One more that is no longer kept whole."""
    last = runs[-1] if runs else None
    if last is not None and _goes_on(last, sent, sequence):
        due_at = max(last.due_at, sent.due_at) if last.due_at is not None and sent.due_at is not None else None
        run = last.model_copy(update={"last": sequence, "due_at": due_at})
        runs = runs[:-1]
    else:
        run = Run(first=sequence, last=sequence, kind=sent.kind, life=sent.life, due_at=sent.due_at)
    return (*runs, run.with_answered(sequence) if answered else run)


def _goes_on(run: Run, sent: Sent, sequence: int) -> bool:
    same = (run.kind, run.life, run.due_at is None) == (sent.kind, sent.life, sent.due_at is None)
    return same and sequence == run.last + 1
