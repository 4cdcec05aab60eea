"""What a saving comes to: hours and money a day over the fleet."""

from __future__ import annotations

from dataclasses import dataclass

NS_PER_HOUR = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Fleet:
    """How often a trace runs, everywhere, and what an hour of it costs (in the user's currency)."""

    agents: int = 100
    runs_per_day: int = 1000
    cost_per_hour: float = 0.05

    def hours_per_day(self, saved_ns: float) -> float:
        """Give the hours a day that `saved_ns` in each trace come to."""
        return saved_ns * self.agents * self.runs_per_day / NS_PER_HOUR

    def once_a_day(self, saved_ns: float, traces: int) -> float:
        """Give what to count as saved in each trace of what a process saves once, in all of its `traces` together.

        Taken as one process a day for each agent: a service that is deployed daily.
        """
        return saved_ns * traces / max(1, self.runs_per_day)

    def cost_per_day(self, saved_ns: float) -> float:
        """Give the money a day that `saved_ns` in each trace come to."""
        return self.hours_per_day(saved_ns) * self.cost_per_hour
