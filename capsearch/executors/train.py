"""`train_pack`: train jobs in a guarded child process, on whichever machine this is.

A job that crashes its process, hangs or takes too much memory fails alone: the jobs of a pack
whose process was lost are tried once more, each with a process to itself.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from capsearch.data.source import SearchData
from capsearch.engines import folds
from capsearch.engines.base import Trained
from capsearch.engines.child import Child, ChildFailed, lookup
from capsearch.engines.registry import engine_of
from capsearch.errors import CapsearchError
from capsearch.executors.base import Limits, Lost, Pack, Unusable
from capsearch.randomness import some_rows
from capsearch.records import Job, Outcome
from capsearch.scoring import predictions

MOST_MEMORY = 1_200_000_000
"""Bytes; TensorFlow keeps a little of every graph, so a process above it is replaced when idle."""
TRAIN = "capsearch.executors.train:train_here"
OUTPUT_ROWS = 20_000  # of a replicate's outputs, at most; which ones is seeded


class Guard:
    """One resident child process of an engine, replaced when it dies, hangs or grows.

    Several threads may train at once, as many as the engine takes abreast; a job that is tried
    again has the process to itself.
    """

    def __init__(self, engine: str, limits: Limits) -> None:
        self._kind, fixed = engine_of(engine)
        self._threads = fixed or limits.threads
        self._changing = threading.Condition()
        self._child: Child | None = self._start()
        self._users, self._alone, self._closed = 0, False, False

    @property
    def abreast(self) -> int:
        return self._kind.abreast if self._threads > 1 else 1

    @property
    def memory(self) -> int:
        """Bytes that the process holds now."""
        return self._child.memory if self._child is not None else 0

    def train_pack(
        self, pack: Pack, folder: Path, check: Callable[[], None] = lambda: None
    ) -> Sequence[Trained]:
        """One result a job, in their order.

        Args:
            pack: what to train.
            folder: its prepared rows.
            check: called all the while; what it raises ends the process and is passed on.

        Raises:
            Unusable: the rows are damaged, or the engine cannot be loaded.
            Lost: the guard was closed meanwhile.
        """
        try:
            return self._train(pack, folder, check, alone=False)
        except ChildFailed:
            return [self._again(pack, number, folder, check) for number in range(len(pack.jobs))]

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """End the process, whatever it trains."""
        with self._changing:
            self._closed = True
            if self._child is not None:
                self._child.close()

    def _again(self, pack: Pack, number: int, folder: Path, check: Callable[[], None]) -> Trained:
        """The second and last try of a job, alone in the process."""
        one = replace(pack, jobs=(pack.jobs[number],))
        try:
            return self._train(one, folder, check, alone=True)[0]
        except ChildFailed as failure:
            return Trained(Outcome.failed(failure.kind, failure.text), ())

    def _train(
        self, pack: Pack, folder: Path, check: Callable[[], None], *, alone: bool
    ) -> Sequence[Trained]:
        with self._using(alone) as child:
            call = child.send(TRAIN, self._kind.engine, folder, pack.jobs, pack.keep)
            allowed = pack.limits.seconds_per_job * len(pack.jobs)
            try:
                found: Sequence[Trained] = child.result(call, allowed, pack.limits.memory, check)
            except ChildFailed:
                if self._closed:
                    raise Lost from None
                raise
            except CapsearchError as error:
                raise Unusable(str(error)) from None
            return found

    @contextmanager
    def _using(self, alone: bool) -> Iterator[Child]:
        """The process, shared with other packs or alone; one that is lost or large is replaced."""
        with self._changing:
            self._changing.wait_for(lambda: not self._alone and not (alone and self._users))
            if self._closed:
                raise Lost
            self._alone = alone
            self._users += 1
            if self._child is None:
                self._child = self._start()
            child = self._child
        try:
            yield child
        except BaseException:
            with self._changing:
                child.close()
                if self._child is child:
                    self._child = None
            raise
        finally:
            with self._changing:
                self._users -= 1
                self._alone = self._alone and not alone
                if self._child is child and not self._users and child.memory > MOST_MEMORY:
                    child.close()
                    self._child = None
                self._changing.notify_all()

    def _start(self) -> Child:
        return Child(self._threads, self._kind.abreast, imports=self._kind.module)


# ---- What runs in the child ----------------------------------------------------------------------

_state: dict[Any, Any] = {}  # the engine and the data, made on the first call
_making = threading.Lock()


def train_here(engine: str, folder: Path, jobs: Sequence[Job], keep: bool) -> list[Trained]:
    """Train in this process, with the engine and the rows of the calls before."""
    with _making:
        if (engine, folder) not in _state:
            from capsearch.data import cache  # the child alone needs the rows

            _state[engine, folder] = (lookup(engine)(), cache.load(folder))
        instance, data = _state[engine, folder]
    return kept(folds.train(instance, jobs, data), data, keep=keep)


def kept(trained: Sequence[Trained], data: SearchData, *, keep: bool) -> list[Trained]:
    """Results as they leave the process: with outputs and weights, or without either."""
    if not keep:
        return [Trained(each.outcome, ()) for each in trained]
    chosen = some_rows(len(data.validation), OUTPUT_ROWS)
    x = data.validation.x[chosen]

    def outputs(each: Trained) -> np.ndarray | None:
        if each.outputs is not None:  # of folds, on all rows
            return np.asarray(each.outputs[chosen])
        return predictions(each.weights, x, data.task) if each.weights else None

    return [replace(each, outputs=outputs(each)) for each in trained]
