"""What is wrong in a document: each problem with its place, all of them together as one error. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a document: where (JSON pointer; "" is the whole) and what was expected."""

    path: str
    message: str


class RuleError(ValueError):
    """The document is not a definition. `problems` lists everything that is wrong, in reading order."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.path or '/'}: {problem.message}" for problem in problems))
        self.problems = problems
