"""Random lives of releases from a seed, with crashes between any two steps: `python -m tests.simulation.lives`.

`--lives 5000 --seed 1` plays so many and prints the rate; a life that fails says its seed, and plays alone by
`--lives 1 --seed SEED`.
"""

import argparse
import json
import random
import time
from datetime import timedelta
from typing import Any

from tests.simulation.watch import Watch
from tests.simulation.world import ORDER, Fate, World, at, pushed, registry

AGENCIES = ("all", "cyber", "drills", "not")
DISPOSITIONS = ("received", "received", "participating", "declined", "finished")
FATES: tuple[Fate | None, ...] = (
    *(None, None, (0, None), (0.5, None), (10, None), (15, None), (300, None)),
    *((0, "refused"), (3, "refused"), (12, "disabled"), (1, "removed"), (0, "backlog-full")),
    *((2, "superseded"), (2, "moot")),
)
"""What may become of a delivery: silence, taken at some time, or abandoned."""
CRASHES = 0.04
"""How likely a service dies between two of its steps."""


class Life:
    """One release, from its first statement to the end of its last window."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        first = pushed() if self._dice.random() < 0.6 else registry()
        self.world = World(first)
        self.world.fate = lambda _: self._dice.choice(FATES)
        self.world.dies = lambda _: self._dice.random() < CRASHES
        self._watch = Watch(self.world)
        self._version = 1
        self._known: dict[str, Any] = json.loads(first.model_dump_json(exclude_none=True))["agencies"]
        self._gone: list[str] = []
        self._lab = self._dice.choice(["lab", "other"])
        self._exercise = self._dice.random() < 0.1

    def play(self) -> None:
        """Lives it; AssertionError when something is otherwise than it must be."""
        self._announce()
        self._watch.look()
        deeds = (self._announce, self._withdraw, self._answer, self._pass, self._pass, self._registry, self._down)
        weights = (4, 1, 6, 3, 3, 1, 1)
        for _ in range(self._dice.randint(6, 14)):
            deed = self._dice.choices(deeds, weights)[0]
            deed()
            self._watch.look(gated=deed == self._answer)
        self.world.down.clear()
        self.world.settle().until(self.world.now + timedelta(days=130))
        self._watch.look()
        self._watch.finish()

    def _announce(self) -> None:
        dice, today = self._dice, (self.world.now - self.world.began).days
        offer: dict[str, Any] | None = {
            "opens": dice.choice([f"P{dice.randint(0, 45)}D", at(today + dice.randint(-3, 40))])
        }
        if dice.random() < 0.15:
            offer = None
        elif dice.random() < 0.3:
            offer = {**(offer or {}), "closes_at": at(today + dice.randint(-3, 60))}
        audience: dict[str, Any] = {"mode": "matching"}
        if dice.random() < 0.3:
            audience = {"mode": "listed", "agencies": sorted(dice.sample(AGENCIES, dice.randint(1, 3)))}
        if dice.random() < 0.2:
            audience["exclude"] = [dice.choice(AGENCIES)]
        more = {"stated_at": at(today - dice.randint(0, 3))} if dice.random() < 0.2 else {}
        self.world.announce(
            self._lab,
            trusted_partner_release_at=at(today + dice.choice([-2, 0.5, 2, 10, 20, 31, 45, 70])),
            early_access=offer,
            audience=audience,
            capabilities=dice.sample(["cyber", "biology", "unheard-of"], dice.randint(0, 2)),
            handling=dice.choice(["with care", "with more care", None]),
            tlp=dice.choice(["TLP:AMBER", "TLP:AMBER", "TLP:RED"]),
            exercise=self._exercise if dice.random() < 0.95 else not self._exercise,
            **more,
        )

    def _withdraw(self) -> None:
        self.world.withdraw(self._lab)

    def _answer(self) -> None:
        told = [alert for agency in AGENCIES for alert in self._watch.alerts[agency] if agency not in self._gone]
        if told:
            alert = self._dice.choice(told)
            self.world.answer(alert["agency"], self._dice.choice(DISPOSITIONS), alert=alert["alert_id"])

    def _pass(self) -> None:
        self.world.until(self.world.now + timedelta(days=self._dice.choice([0.1, 0.5, 1, 2, 3, 7, 14, 40])))

    def _registry(self) -> None:
        self._version += 1
        if self._dice.random() < 0.3 and len(self._gone) < 2:  # offboarded for good
            self._gone.append(self._dice.choice([name for name in AGENCIES if name not in self._gone]))
        agencies = {name: dict(self._known[name]) for name in AGENCIES if name not in self._gone}
        name = self._dice.choice(sorted(agencies))
        changed, known = agencies[name], self._known[name]["endpoints"]
        changed["endpoints"] = {each: known[each] for each in sorted(known) if self._dice.random() < 0.8}
        changed["interests"] = self._dice.choice([{}, {"capabilities": ["biology"]}, {"labs": ["other"]}])
        self.world.apply(
            registry(version=self._version, agencies=agencies, offboarded={name: at(0) for name in self._gone})
        )

    def _down(self) -> None:
        if self.world.down:
            self.world.down.clear()
            self.world.settle()
        else:
            self.world.down.add(self._dice.choice([service.name for service in ORDER]))


def main() -> None:
    """Plays lives and prints how many a minute."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lives", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    for seed in range(given.seed, given.seed + given.lives):
        try:
            Life(seed).play()
        except Exception as error:
            raise SystemExit(f"seed {seed}: {type(error).__name__}: {error}") from error
    minutes = (time.monotonic() - began) / 60
    print(f"{given.lives} lives, nothing otherwise than it must be: {given.lives / minutes:.0f} a minute")


if __name__ == "__main__":
    main()
