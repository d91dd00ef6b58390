"""Whatever a name or a path holds, a manifest runs that command and nothing else."""

import re
from typing import Any

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from capsearch.errors import BadRequest
from capsearch.schedule import FORMATS, manifest, render
from tests.schedule.readers import HOSTILE, READERS, documents, order_of

POSTGRES = "postgresql+psycopg://capsearch@db/capsearch"
NONE = [
    "\ufffe",
    "\uffff",
    "\ufdd0",
    "\U0001fffe",
    "\U0010ffff",
]  # noncharacters
printable = st.text(st.characters(exclude_categories=["Cc", "Cn", "Cs"]))
texts = st.lists(st.one_of(st.sampled_from(HOSTILE), printable), max_size=4).map("".join)


@pytest.mark.parametrize("form", FORMATS)
@given(name=texts, program=texts, root=texts, tracking=texts, storage=texts)
@example("".join(HOSTILE), "$ %", "".join(HOSTILE), "", "")
def test_the_command_is_word_for_word_the_one_intended(
    form: str, name: str, program: str, root: str, tracking: str, storage: str
) -> None:
    order = order_of(
        study=f"/{name}.toml", name=name, program=f"/{program}", root=f"/{root}",
        storage=f"postgresql:///{storage}", tracking=f"http://{tracking}", deadline="45m",
    )  # fmt: skip
    try:
        text = render(form, order)
    except BadRequest as error:
        refused = str(error)
        event(refused.partition(":")[0])
        assert re.search("place for a password|998 bytes that cron|quotes or backslashes", refused)
        return
    found = READERS[form](text)
    kubernetes = form == "kubernetes"
    wanted = [
        "capsearch" if kubernetes else f"/{program}", "study", f"/{name}.toml", "--json",
        "--log-format", "json", "--if-changed", *([] if form == "cron" else ["--wait"]),
        *(["--threads", "2"] if form in ("kubernetes", "slurm") else []), "--deadline", "45m",
        *([] if kubernetes else [f"--root=/{root}"]), f"--storage=postgresql:///{storage}",
        f"--tracking-uri=http://{tracking}",
    ]  # fmt: skip
    assert found[: len(wanted)] == wanted
    assert len(found) == len(wanted) or (form == "cron" and found[len(wanted)].startswith(">>"))


@given(st.text(st.characters(exclude_categories=["Cs"])), texts)
def test_a_study_file_reaches_a_pod_as_it_is(text: str, name: str) -> None:
    order = order_of(study=f"/a/{name}.toml", name=name, question=text)
    text_of_it = render("kubernetes", order)
    assert documents(text_of_it)["ConfigMap"]["data"]["study.toml"] == text
    assert READERS["kubernetes"](text_of_it)[2] == f"/studies/{name}.toml"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_names_an_object_is_a_name_in_a_cluster(name: str) -> None:
    name = "".join(letter for letter in name if letter.isprintable())
    slug = order_of(name=name).slug
    assert re.fullmatch(r"capsearch-[a-z0-9]([a-z0-9-]*[a-z0-9])?", slug)
    assert len(slug) <= 52


def test_names_that_differ_stay_apart_when_they_are_changed_or_shortened() -> None:
    names = ["imdb", "IMDB", "im_db", "im-db", "im.db", "-imdb", "x" * 43, "x" * 60, "", "é", "è"]
    assert len({order_of(name=name).slug for name in names}) == len(names)
    assert order_of(name="imdb").slug == "capsearch-imdb"
    assert order_of(name="x" * 42).slug == "capsearch-" + "x" * 42


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"study": "a\nb"}, r"study 'a\nb': a manifest cannot carry control characters"),
        ({"root": "/a\0"}, "--root '/a\\x00': a manifest cannot carry control characters"),
        ({"program": "/\udc80"}, "program '/\\udc80': a manifest cannot carry"),
        *(({"root": f"/{letter}"}, "cannot carry control characters") for letter in NONE),
        ({"study": "--root=x"}, "study '--root=x': would be read as an option"),
        ({"storage": "sqlite:///studies.db"}, "is relative to a folder"),
        ({"tracking": "sqlite:///mlflow.db"}, "--tracking-uri sqlite:///mlflow.db: is relative"),
        ({"image": "a b"}, "--image 'a b': not an image. Legal: REPOSITORY[:TAG]"),
        ({"deadline": "soon"}, "--deadline 'soon': Legal: a number with s, m or h: 45m"),
        ({"deadline": "0m"}, "--deadline '0m': Legal"),
    ],
)
def test_what_cannot_stand_in_a_manifest_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest) as error:
        order_of(**changes)
    assert message in str(error.value)


def test_a_program_that_systemd_would_refuse_is_refused() -> None:
    with pytest.raises(BadRequest, match="runs no program with quotes or backslashes in its path"):
        render("systemd", order_of(program="/it's/capsearch"))


@pytest.mark.parametrize("form", FORMATS)
def test_a_password_is_refused_with_the_place_where_it_belongs(form: str) -> None:
    order = order_of(
        storage="postgresql+psycopg://me:hunter2@db/x", tracking="http://me:hunter2@mlflow"
    )
    with pytest.raises(BadRequest) as error:
        render(form, order)
    message = str(error.value)
    assert "hunter2" not in message
    assert "--storage postgresql+psycopg://me:***@db/x: a manifest is no place" in message
    assert "MLFLOW_TRACKING_PASSWORD" in message
    place = {"systemd": "~/.config/capsearch-imdb.env", "kubernetes": "create secret"}
    assert place.get(form, "~/.pgpass") in message


@pytest.mark.parametrize(
    ("form", "storage", "tracking", "mistakes"),
    [
        ("slurm", None, None, 2),
        ("slurm", "sqlite:////a.db", "sqlite:////b.db", 2),
        ("slurm", POSTGRES, None, 1),
        ("kubernetes", None, None, 1),  # its Secret may name the database
        ("kubernetes", "sqlite:////a.db", "http://mlflow", 1),
    ],
)
def test_workers_on_many_machines_share_no_sqlite_file(
    form: str, storage: str | None, tracking: str | None, mistakes: int
) -> None:
    with pytest.raises(BadRequest) as error:
        render(form, order_of(workers=3, storage=storage, tracking=tracking))
    assert len(error.value.mistakes) == mistakes
    assert "--workers 3: workers on several machines share no SQLite file" in str(error.value)


@pytest.mark.parametrize("form", FORMATS)
def test_three_workers_are_one_command_or_three_machines(form: str) -> None:
    order = order_of(workers=3, storage=POSTGRES, tracking="http://mlflow")
    words = READERS[form](render(form, order))
    if form in ("kubernetes", "slurm"):
        assert words[1:3] == ["worker", "imdb"]
    else:
        assert words[1:3] == ["study", "imdb"]
        assert words[words.index("--workers") + 1] == "3"


def test_an_unknown_format_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadRequest) as error:
        render("at", order_of())
    expected = "--format: no format 'at'. Legal: cron, systemd, kubernetes, slurm, airflow"
    assert str(error.value) == expected


def test_a_template_that_forgets_to_quote_fails() -> None:
    template = manifest._environment().from_string("{{ word | shell }} {{ word }}")
    with pytest.raises(TypeError, match="unquoted"):
        template.render(word="$(reboot)")
