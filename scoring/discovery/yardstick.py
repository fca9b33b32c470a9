"""What is reachable: two models over the same early behaviours, against which a readable rule is held.

A regularised logistic regression and gradient-boosted trees (scikit-learn) learn from the earlier half and are
measured on the later one, which they never saw. They are a yardstick only: no account is shown a model's score.
scikit-learn and numpy are imported when a run needs them; pages and evaluation never do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scoring import stats
from scoring.discovery.asked import Asked, Population
from scoring.discovery.extract import Extract

MOST_ROWS = 50_000  # subjects of each half, drawn by a hash
MOST_KINDS = 60  # event types whose behaviour the models know: the most common ones
BINS = 10  # of the calibration
POINTS = 60  # of a curve that is drawn
SEED = 20_240


@dataclass(frozen=True, slots=True)
class Matrix:
    """Subjects by features: the logarithm of how often, on how many days and by how many people, for each type."""

    features: Any  # float32, one row a subject
    late: Any  # whether the subject is of the later half
    hit: Any  # whether the outcome came
    columns: tuple[tuple[int, str], ...]  # event type and measure


@dataclass(frozen=True, slots=True)
class Measured:
    """A model on the later half. Shares of calibration carry their own intervals."""

    name: str
    auc: stats.Ratio  # the area under the ROC curve with DeLong's interval
    average_precision: float
    brier: float  # mean squared error of the predicted chance; `brier_skill` is held against the half's own rate
    brier_skill: float
    calibration: list[tuple[float, stats.Share]]  # mean predicted chance of a tenth, and what came of it
    roc: list[tuple[float, float]]  # false positive rate, sensitivity
    scores: Any  # of the later half, in the matrix's order

    def precision_of(self, share: float, hit: Any) -> float | None:
        """The share of outcomes among those whom the model ranks highest, so many of all (0 to 1).

        Where several share the last rank, as many of them as there is room for, of average luck.
        """
        import numpy as np  # noqa: PLC0415

        many = round(share * len(hit))
        if not many:
            return None
        last = np.sort(self.scores)[-many]
        above, tied = self.scores > last, self.scores == last
        room = many - int(above.sum())
        return float((hit[above].sum() + room * hit[tied].mean()) / many)


def matrix(extract: Extract, asked: Asked) -> Matrix:
    """What the models see, of a sample at most."""
    import numpy as np  # noqa: PLC0415

    kinds = extract.searched[:MOST_KINDS]
    subjects, rows = extract.sample(kinds, most=MOST_ROWS)
    columns = tuple((kind, measure) for kind in kinds for measure in asked.measures)
    place = {kind: i for i, kind in enumerate(kinds)}
    features = np.zeros((len(subjects["no"]), len(columns)), dtype=np.float32)
    if len(rows["no"]):
        row = np.searchsorted(subjects["no"], rows["no"])
        first = np.array([place[int(kind)] for kind in rows["type"]]) * len(asked.measures)
        for i, measure in enumerate(asked.measures):
            features[row, first + i] = np.log1p(np.asarray(rows[measure], dtype=np.float64))
    return Matrix(features, np.asarray(subjects["late"]) == 1, np.asarray(subjects["hit"]), columns)


def models(table: Matrix, population: Population, *, threads: int) -> list[Measured]:
    """Both models, learned from the earlier half and measured on the later one."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegressionCV  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    early, late = ~table.late, table.late
    regression = LogisticRegressionCV(
        Cs=[0.001, 0.01, 0.1, 1.0],
        l1_ratios=(0.0,),
        cv=3,
        scoring="neg_log_loss",
        max_iter=500,
        tol=1e-3,
        use_legacy_attributes=False,
    )
    trees = HistGradientBoostingClassifier(
        learning_rate=0.06,
        max_iter=200,
        max_leaf_nodes=15,
        min_samples_leaf=30,
        l2_regularization=1.0,
        early_stopping=True,
        validation_fraction=0.15,
        random_state=SEED,
    )
    named = (
        ("Logistic regression", make_pipeline(StandardScaler(), regression)),
        ("Gradient-boosted trees", trees),
    )
    found = []
    with threadpool_limits(limits=threads):
        for name, model in named:
            model.fit(table.features[early], table.hit[early])
            chance = model.predict_proba(table.features[late])[:, 1]
            found.append(measured(name, chance, table.hit[late], design=population.later.design))
    return found


def measured(name: str, chance: Any, hit: Any, *, design: float = 1.0) -> Measured:
    """How good predicted chances are of what came. `design` widens the intervals, as for shares."""
    import numpy as np  # noqa: PLC0415
    from sklearn.metrics import average_precision_score, roc_curve  # noqa: PLC0415

    rate = float(hit.mean())
    brier = float(np.mean((chance - hit) ** 2))
    against = rate * (1 - rate)
    false, true, _ = roc_curve(hit, chance)
    # equal chances stay together, so there may be fewer than ten
    cuts = np.unique(np.quantile(chance, np.arange(1, BINS) / BINS, method="higher"))
    tenth = np.searchsorted(cuts, chance, side="right")
    parts = [tenth == place for place in np.unique(tenth)]
    return Measured(
        name=name,
        auc=auc(chance, hit, design=design),
        average_precision=float(average_precision_score(hit, chance)),
        brier=brier,
        brier_skill=1 - brier / against if against else 0.0,
        calibration=[
            (float(chance[part].mean()), stats.share(int(hit[part].sum()), int(part.sum()), design=design))
            for part in parts
        ],
        roc=thinned([(float(x), float(y)) for x, y in zip(false, true, strict=True)]),
        scores=chance,
    )


def auc(chance: Any, hit: Any, *, design: float = 1.0) -> stats.Ratio:
    """The chance that one with the outcome is ranked above one without, with the interval of DeLong et al. (1988),
    by the ranks of Sun and Xu (2014); ties count half. The interval is the logit's, so it stays within 0 and 1."""
    import numpy as np  # noqa: PLC0415
    from scipy.stats import rankdata  # noqa: PLC0415

    hits, misses = chance[hit == 1], chance[hit == 0]
    m, n = len(hits), len(misses)
    if m < 2 or n < 2:
        return stats.Ratio(None, None, None)
    among_all = rankdata(np.concatenate([hits, misses]))
    above = (among_all[:m] - rankdata(hits)) / n
    below = 1 - (among_all[m:] - rankdata(misses)) / m
    area = float(above.mean())
    spread = math.sqrt((float(above.var(ddof=1)) / m + float(below.var(ddof=1)) / n) * design)
    if not 0 < area < 1:
        return stats.Ratio(area, area, area)
    logit, wide = math.log(area / (1 - area)), stats.Z95 * spread / (area * (1 - area))
    return stats.Ratio(area, 1 / (1 + math.exp(wide - logit)), 1 / (1 + math.exp(-wide - logit)))


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most POINTS of a curve, its ends among them, evenly along its length."""
    if len(points) <= POINTS:
        return list(points)
    lengths = [0.0]
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        lengths.append(lengths[-1] + abs(x1 - x0) + abs(y1 - y0))
    kept, step = [points[0]], lengths[-1] / (POINTS - 1)
    for point, length in zip(points[1:-1], lengths[1:-1], strict=True):
        if length >= len(kept) * step:
            kept.append(point)
    return [*kept[: POINTS - 1], points[-1]]


def rule_area(table: stats.Table) -> float | None:
    """The area under the ROC curve of a rule that says yes or no: the mean of its sensitivity and specificity."""
    misses = table.of - table.hits
    if not table.hits or not misses:
        return None
    return (table.with_hits / table.hits + table.without_misses / misses) / 2
