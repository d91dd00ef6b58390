"""Which engines there are, and the id by which a study stays with one.

An id names what the figures of an outcome depend on: engine, version of its arithmetic, kind of
device, and the number of threads where that changes the figures. It is part of a job's key.
"""

from dataclasses import dataclass

from capsearch.errors import BadRequest


@dataclass(frozen=True)
class EngineKind:
    """An engine's class as 'module:name', and how it likes its work.

    `abreast`: packs at once; the second fills the threads that the first leaves idle at its end.
    """

    engine: str
    pack: int  # jobs at once
    abreast: int
    arithmetic: int  # raise it when the same job would end in other figures
    by_threads: bool  # whether the number of threads changes them
    keras: bool  # whether it is Keras' own loop, so that there is nothing to prove

    @property
    def module(self) -> str:
        return self.engine.partition(":")[0]


ENGINES = {
    "packed": EngineKind(
        "capsearch.engines.packed:PackedEngine", 16, 2, arithmetic=2, by_threads=False, keras=False
    ),
    "fit": EngineKind(
        "capsearch.engines.fit:FitEngine", 1, 1, arithmetic=1, by_threads=True, keras=True
    ),
}
DEFAULT = "packed"


def engine_id(name: str, threads: int) -> str:
    """Such as 'packed/1/cpu' or 'fit/1/cpu/2 threads'. Raises BadRequest for an unknown name."""
    if name not in ENGINES:
        raise BadRequest(f"--engine: no engine {name!r}. Legal: {', '.join(ENGINES)}")
    kind = ENGINES[name]
    threaded = f"/{threads} threads" if kind.by_threads else ""
    return f"{name}/{kind.arithmetic}/cpu{threaded}"


def engine_of(id_: str) -> tuple[EngineKind, int | None]:
    """The engine of an id and its fixed number of threads, None where that is free.

    Raises BadRequest when this version of capsearch cannot go on with it.
    """
    name, _, rest = id_.partition("/")
    arithmetic, _, rest = rest.partition("/")
    kind = ENGINES.get(name)
    if kind is None or str(kind.arithmetic) != arithmetic:
        known = ", ".join(f"{n}/{k.arithmetic}" for n, k in ENGINES.items())
        raise BadRequest(
            f"the engine {id_} of the stored study is not one of this version of capsearch "
            f"({known}): its figures would not be comparable. Go on with the version that began "
            "the study, or ask again under another name"
        )
    return kind, int(rest.split("/")[1].split()[0]) if kind.by_threads else None
