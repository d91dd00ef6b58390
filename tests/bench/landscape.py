"""A landscape between the oracle's candidates: what training any candidate would give, at once.

Its height is a Gaussian process (Matern 5/2, one length scale a dimension) fitted to the oracle's
mean losses, as log(loss - floor): it smooths the luck out of single candidates. What a seed adds,
and the losses of single validation rows, are those that one of the nearest candidates really had,
moved to that height. Real networks differ from their neighbours by more than a smooth surface
knows; `Landscape.error` says by how much, and `--real` trains instead.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import spearmanr
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import KFold

from capsearch.families.space import rung_of
from capsearch.records import Candidate, Curve, Job, Outcome
from tests.bench.oracle import SEEDS, Ground, Oracle

NEAREST = 3
LEARN = 500  # candidates from which the length scales are learnt; all of them fix the height
WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
MS_AN_EPOCH = (3.3, 3.2, 3.3, 3.5, 3.8, 6.6, 11.7, 24.1, 62.0)  # measured: README.md, run A


def features(candidate: Candidate) -> list[float]:
    """Depth, log widths, log learning rate, penalties on a log scale with 'off' below, dropout."""

    def penalty(value: float) -> list[float]:
        return [float(value > 0.0), np.log10(max(value, 1e-9))]

    widths = [float(np.log2(u) + 1) for u in candidate.units] + [0.0] * (3 - len(candidate.units))
    return [
        float(len(candidate.units)), *widths, float(np.log10(candidate.learning_rate)),
        *penalty(candidate.l1), *penalty(candidate.l2), candidate.dropout,
    ]  # fmt: skip


def milliseconds(candidate: Candidate, epochs: float) -> float:
    """Of training on two cores, by the first layer's width."""
    width = candidate.units[0] if candidate.units else 1
    return epochs * float(np.interp(width, WIDTHS, MS_AN_EPOCH))


@dataclass(frozen=True)
class Network:
    """One of the oracle's candidates."""

    candidate: Candidate
    parameters: int
    loss: float  # its height
    epochs: int  # as for a finalist: twice as many when it was still improving


@dataclass(frozen=True)
class Landscape:
    """Fitted once for an oracle."""

    ground: Ground
    oracle: Oracle

    @cached_property
    def known(self) -> np.ndarray:
        """Which candidates have a finite loss from every seed."""
        finite: np.ndarray = np.isfinite(self.oracle.loss).all(axis=1)
        return np.flatnonzero(finite)

    @cached_property
    def floor(self) -> float:
        return 0.9 * float(np.nanmin(self.oracle.loss))

    @cached_property
    def height(self) -> np.ndarray:
        """The smoothed mean loss of every known candidate."""
        return self.loss_of([self.oracle.candidates[i] for i in self.known])

    def loss_of(self, candidates: list[Candidate]) -> np.ndarray:
        """What their replicates would average."""
        heights: np.ndarray = np.exp(self._process.predict(self._scaled(candidates)))
        return np.asarray(self.floor + heights)

    def outcome(self, job: Job) -> Outcome:
        """As if it were trained; the same job has the same outcome."""
        rng = np.random.default_rng([job.seed, 3])
        point = self._scaled([job.candidate]) / self._lengths
        near = np.argsort(((self._points - point) ** 2).sum(axis=1))[:NEAREST]
        like, seed = self.known[rng.choice(near)], rng.integers(SEEDS)
        theirs = self.oracle.loss[like]
        luck = (theirs[seed] - self.floor) / (theirs.mean() - self.floor)
        luck **= np.sqrt(SEEDS / (SEEDS - 1))  # deviations from a mean of three are too small
        height = self.loss_of([job.candidate])[0]
        loss = self.floor + (height - self.floor) * float(luck)
        rows = self.oracle.losses[like, seed]
        rows = rows + np.float32(loss - rows.mean(dtype=np.float64))
        best, epochs = int(self.oracle.best_epoch[like, seed]), int(self.oracle.epochs[like, seed])
        flat = (loss,) * epochs
        return Outcome(Curve(flat, flat, flat, flat), best, loss, 0.5, 0.0, None, rows)

    @cached_property
    def best(self) -> "Network":
        """The oracle's best: of the lowest height."""
        return self._network(int(np.argmin(self.height)))

    @cached_property
    def reference(self) -> "Network":
        """The smallest that is truly within the margin of the best, which no rule can know."""
        margin = self.ground.spec.select.settings.margin
        sizes = self.oracle.parameters[self.known]
        good = np.flatnonzero(self.height <= self.height.min() + margin)
        return self._network(int(min(good, key=lambda i: (sizes[i], self.height[i]))))

    def contenders(self, most: int) -> list["Network"]:
        """So many of every size band of the study: those of the lowest own losses."""
        edges, taken = self.ground.study.ladder, dict[int, list[int]]()
        for place in np.argsort(self.oracle.loss[self.known].mean(axis=1)):
            size = int(self.oracle.parameters[self.known[place]])
            taken.setdefault(rung_of(size, edges), []).append(int(place))
        return [self._network(place) for each in taken.values() for place in each[:most]]

    def _network(self, place: int) -> "Network":
        """One of the known candidates."""
        at = self.known[place]
        limit = self.ground.spec.training.epochs
        last = (self.oracle.best_epoch[at] == limit).any()
        return Network(
            self.oracle.candidates[at],
            int(self.oracle.parameters[at]),
            float(self.height[place]),
            2 * limit if last else limit,
        )

    def error(self) -> dict[str, float]:
        """Of the best 40 %, five-fold: of the landscape, and what of it is their three seeds'."""
        x, y = self._inputs, self._targets
        predicted = np.empty(len(y))
        for fit, check in KFold(5, shuffle=True, random_state=0).split(x):
            process = GaussianProcessRegressor(
                self._process.kernel_, optimizer=None, normalize_y=True
            )
            predicted[check] = process.fit(x[fit], y[fit]).predict(x[check])
        means = self.floor + np.exp(y)
        good = means < np.quantile(means, 0.4)
        wrong = (self.floor + np.exp(predicted) - means)[good]
        seeds = self.oracle.loss[self.known][good].std(axis=1, ddof=1) / np.sqrt(SEEDS)
        return {
            "root mean square": float(np.sqrt((wrong**2).mean())),
            "median": float(np.median(np.abs(wrong))),
            "rank correlation": float(spearmanr(predicted[good], means[good]).statistic),
            "of the seeds, root mean square": float(np.sqrt((seeds**2).mean())),
            "of the seeds, median": float(np.median(seeds)),
        }

    @cached_property
    def _process(self) -> GaussianProcessRegressor:
        x, y = self._inputs, self._targets
        kernel = ConstantKernel(4.0) * Matern(np.full(x.shape[1], 4.0), (0.3, 1e3), nu=2.5)
        learnt = GaussianProcessRegressor(kernel + WhiteKernel(0.1, (1e-4, 1.0)), normalize_y=True)
        with warnings.catch_warnings():  # a length scale at its bound: a dimension without effect
            warnings.simplefilter("ignore")
            learnt.fit(x[:LEARN], y[:LEARN])
        return GaussianProcessRegressor(learnt.kernel_, optimizer=None, normalize_y=True).fit(x, y)

    @cached_property
    def _inputs(self) -> np.ndarray:
        return self._scaled([self.oracle.candidates[i] for i in self.known])

    @cached_property
    def _targets(self) -> np.ndarray:
        return np.asarray(np.log(self.oracle.loss[self.known].mean(axis=1) - self.floor))

    @cached_property
    def _scale(self) -> tuple[np.ndarray, np.ndarray]:
        raw: np.ndarray = np.array([features(c) for c in self.oracle.candidates])
        return np.asarray(raw.mean(axis=0)), np.asarray(raw.std(axis=0))

    @cached_property
    def _lengths(self) -> np.ndarray:
        return np.asarray(self._process.kernel_.k1.k2.length_scale)

    @cached_property
    def _points(self) -> np.ndarray:
        return np.asarray(self._inputs / self._lengths)

    def _scaled(self, candidates: list[Candidate]) -> np.ndarray:
        mean, deviation = self._scale
        raw: np.ndarray = np.array([features(c) for c in candidates])
        return np.asarray((raw - mean) / deviation)
