"""The inline executor: this process trains, nothing guards it. For tests, and small data."""

from collections.abc import Sequence
from concurrent.futures import Future

from capsearch.engines import folds
from capsearch.engines.base import Engine, Trained
from capsearch.engines.child import failure_of, lookup
from capsearch.engines.registry import engine_of
from capsearch.executors.base import Pack, Rows
from capsearch.executors.train import kept
from capsearch.records import Job, Outcome


class InlineExecutor:
    """Trains a pack while it is submitted, with the `engine` given or the one that packs name."""

    slots = 1

    def __init__(self, engine: Engine | None = None) -> None:
        self._engine = engine
        self._rows: Rows | None = None

    def open(self, rows: Rows) -> None:
        from capsearch.data import cache  # the rows are needed here, and only here

        self._data = cache.load(rows.folder)

    def submit(self, pack: Pack, priority: int) -> "Future[Sequence[Trained]]":
        """Returns when the pack is trained."""
        if self._engine is None:
            self._engine = lookup(engine_of(pack.engine)[0].engine)()
        done = Future[Sequence[Trained]]()
        try:
            trained = folds.train(self._engine, pack.jobs, self._data)
        except Exception:  # whatever a library raises: the job fails that raises it alone, too
            trained = [self._alone(self._engine, job) for job in pack.jobs]
        done.set_result(kept(trained, self._data, keep=pack.keep))
        return done

    def _alone(self, engine: Engine, job: Job) -> Trained:
        try:
            return folds.train(engine, [job], self._data)[0]
        except Exception as error:
            failure = failure_of(error)
            return Trained(Outcome.failed(failure.kind, failure.text), ())

    def shutdown(self) -> None:
        """Nothing is left to end."""
