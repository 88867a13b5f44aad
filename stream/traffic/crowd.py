"""Who writes: many people who write little, few who write much, and some who mean harm."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Literal

from stream.traffic.style import Habit
from stream.traffic.templates import Corpus, corpora

Role = Literal["ordinary", "spammer", "scammer", "harasser"]
BAD_ROLES: tuple[tuple[Role, float], ...] = (("spammer", 0.01), ("scammer", 0.008), ("harasser", 0.012))
"""Bad actors and their shares of the population."""

FOREIGN_SHARE = 0.12
"""Share of people one of whose subjects is in a language other than English."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user; `subjects` are what they write of, of which the first is the dearest to them."""

    id: str
    role: Role
    habit: Habit
    subjects: tuple[Corpus, ...]
    says_lang: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """All people; the `activity` of the ordinary ones is cumulative, as `Random.choices` takes it."""

    ordinary: tuple[Person, ...]
    activity: tuple[float, ...]
    bad: dict[Role, tuple[Person, ...]]

    @classmethod
    def draw(cls, rng: Random, *, users: int) -> Crowd:
        """`users` people of whom at least one is of each bad role. Raises `ValueError` for fewer than 10."""
        if users < 10:
            raise ValueError("a crowd needs at least 10 users")
        roles: list[Role] = [role for role, share in BAD_ROLES for _ in range(max(1, round(share * users)))]
        roles += ["ordinary"] * (users - len(roles))
        names = rng.sample(range(16**6), users)
        people = [_person(rng, f"u_{name:06x}", role) for name, role in zip(names, roles, strict=True)]
        ordinary = tuple(person for person in people if person.role == "ordinary")
        # A Pareto tail, cut so that one person is never the whole chat.
        weights = (min(rng.paretovariate(1.15), 60.0) for _ in ordinary)
        bad = {role: tuple(person for person in people if person.role == role) for role, _ in BAD_ROLES}
        return cls(ordinary=ordinary, activity=tuple(accumulate(weights)), bad=bad)

    def speaker(self, rng: Random) -> Person:
        """An ordinary person, drawn by activity."""
        return rng.choices(self.ordinary, cum_weights=self.activity)[0]


def _person(rng: Random, name: str, role: Role) -> Person:
    english = [corpus for corpus in corpora()["benign"] if corpus.lang == "en"]
    foreign = [corpus for corpus in corpora()["benign"] if corpus.lang != "en"]
    subjects = rng.sample(english, 3)
    if rng.random() < FOREIGN_SHARE:
        subjects.insert(0, rng.choice(foreign))
    return Person(id=name, role=role, habit=Habit.draw(rng), subjects=tuple(subjects), says_lang=rng.random() < 0.6)
