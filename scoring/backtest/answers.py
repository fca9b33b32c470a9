"""Answers computed once: whoever opens the accounts behind a number asks for the answer that the number came from.

Each process keeps the latest KEPT answers, by generation of the usage lake and question. Of 100,000 accounts one takes
2 MB and 150 bytes more for each flag. A link carries its generation, so that it leads to what was seen; one that is
gone meanwhile is computed again from the current one.
"""

from __future__ import annotations

from accounts import lake
from plgops.lib.once import Once
from scoring.backtest import lacking
from scoring.backtest.run import Answer, Question, run

KEPT = 6
_answers: Once[Answer] = Once(KEPT)
_lacking: Once[lacking.Lacking] = Once(2 * KEPT)


def answer(question: Question, *, generation: int | None = None) -> Answer:
    """The answer from the generation of the lake that was seen before, if it is still kept; else from the current one.

    Raises what `run` raises.
    """
    current = lake.standing()
    place = str(lake.folder())
    if generation is not None and (kept := _answers.peek((place, generation, question))) is not None:
        return kept
    return _answers.get((place, current.number, question), lambda: run(question))


def what_was_lacking(question: Question, found: Answer, side: int) -> lacking.Lacking:
    """What the missed of one of the answer's definitions lacked; asked of the app database once."""
    doc, missed = question.docs[side], found.results[side].missed
    key = (str(lake.folder()), found.generation, question, side)
    return _lacking.get(key, lambda: lacking.lacking(doc, missed))
