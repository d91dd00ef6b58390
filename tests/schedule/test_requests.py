"""Whatever a name or a path holds, a manifest runs that command and nothing else."""

import re
from typing import Any

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from capsearch.errors import BadRequest
from capsearch.schedule import FORMATS, manifest, render
from tests.schedule.readers import HOSTILE, READERS, documents, request_of

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


@pytest.mark.integration
@pytest.mark.parametrize(
    ("form", "machines"), [*((form, 1) for form in FORMATS), ("kubernetes", 3)]
)
@given(name=texts, program=texts, root=texts, tracking=texts, storage=texts)
@example("".join(HOSTILE), "$ %", "".join(HOSTILE), "", "")
def test_the_command_is_word_for_word_the_one_intended(
    form: str, machines: int, name: str, program: str, root: str, tracking: str, storage: str
) -> None:
    request = request_of(
        study=f"/{name}.toml", name=name, program=f"/{program}", root=f"/{root}",
        storage=f"postgresql:///{storage}", tracking=f"http://{tracking}", deadline="45m",
        machines=machines, overrides=(f"data.target={name}",),
    )  # fmt: skip
    try:
        text = render(form, request)
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
        *(["--dask", "tcp://127.0.0.1:8786", "--threads", "1"] if machines > 1 else
          ["--threads", "2"] if form in ("kubernetes", "slurm") else []), "--deadline", "45m",
        f"--override=data.target={name}", *([] if kubernetes else [f"--root=/{root}"]), f"--storage=postgresql:///{storage}",
        f"--tracking-uri=http://{tracking}",
    ]  # fmt: skip
    assert found[: len(wanted)] == wanted
    assert len(found) == len(wanted) or (form == "cron" and found[len(wanted)].startswith(">>"))


@pytest.mark.integration
@given(st.text(st.characters(exclude_categories=["Cs"])), texts)
def test_a_study_file_reaches_a_pod_as_it_is(text: str, name: str) -> None:
    request = request_of(study=f"/a/{name}.toml", name=name, study_text=text)
    text_of_it = render("kubernetes", request)
    assert documents(text_of_it)["ConfigMap"]["data"]["study.toml"] == text
    assert READERS["kubernetes"](text_of_it)[2] == f"/studies/{name}.toml"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_names_an_object_is_a_name_in_a_cluster(name: str) -> None:
    name = "".join(letter for letter in name if letter.isprintable())
    slug = request_of(name=name).slug
    assert re.fullmatch(r"capsearch-[a-z0-9]([a-z0-9-]*[a-z0-9])?", slug)
    # Of a pod's host name, which has 63 characters: the minute of its start and its index follow.
    assert len(f"{slug}-29979360-999") <= 63


def test_names_that_differ_stay_apart_when_they_are_changed_or_shortened() -> None:
    names = ["imdb", "IMDB", "im_db", "im-db", "im.db", "-imdb", "x" * 41, "x" * 60, "", "é", "è"]
    assert len({request_of(name=name).slug for name in names}) == len(names)
    assert request_of(name="imdb").slug == "capsearch-imdb"
    assert request_of(name="x" * 40).slug == "capsearch-" + "x" * 40


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
        ({"data_volume": "My Claim"}, "--data-volume 'My Claim': not the name of a Persistent"),
        ({"deadline": "soon"}, "--deadline 'soon': Legal: a number with s, m or h: 45m"),
        ({"deadline": "0m"}, "--deadline '0m': Legal"),
    ],
)
def test_what_cannot_stand_in_a_manifest_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest) as error:
        request_of(**changes)
    assert message in str(error.value)


def test_a_program_that_systemd_would_refuse_is_refused() -> None:
    with pytest.raises(BadRequest, match="runs no program with quotes or backslashes in its path"):
        render("systemd", request_of(program="/it's/capsearch"))


@pytest.mark.parametrize("form", FORMATS)
def test_a_password_is_refused_with_the_place_where_it_belongs(form: str) -> None:
    request = request_of(
        storage="postgresql+psycopg://me:hunter2@db/x", tracking="http://me:hunter2@mlflow"
    )
    with pytest.raises(BadRequest) as error:
        render(form, request)
    message = str(error.value)
    assert "hunter2" not in message
    assert "--storage postgresql+psycopg://me:***@db/x: a manifest is no place" in message
    assert "MLFLOW_TRACKING_PASSWORD" in message
    place = {"systemd": "~/.config/capsearch-imdb.env", "kubernetes": "create secret"}
    assert place.get(form, "~/.pgpass") in message


@pytest.mark.parametrize(
    ("storage", "tracking", "options"),
    [
        ("sqlite:////a.db", "sqlite:////b.db", {"--storage", "--tracking-uri"}),
        ("sqlite:////a.db", "http://mlflow", {"--storage"}),
        (None, None, {"--tracking-uri"}),  # its Secret names the database
        (POSTGRES, "/srv/mlflow", {"--tracking-uri"}),
    ],
)
def test_several_machines_keep_no_results_in_files(
    storage: str | None, tracking: str | None, options: set[str]
) -> None:
    with pytest.raises(BadRequest) as error:
        render("kubernetes", request_of(machines=3, storage=storage, tracking=tracking))
    assert {mistake.split(" ")[0] for mistake in error.value.mistakes} == options


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "kubernetes"])
def test_only_kubernetes_has_several_machines_and_volumes(form: str) -> None:
    with pytest.raises(BadRequest) as error:
        render(form, request_of(machines=3, data_volume="reviews"))
    machines, volume = error.value.mistakes
    assert machines.startswith("--machines 3:")
    assert "--workers N" in machines
    assert "--format kubernetes" in machines
    assert volume.startswith("--data-volume reviews:")
    assert "--format kubernetes" in volume


@pytest.mark.parametrize("form", FORMATS)
def test_three_training_processes_are_one_driver_and_need_no_server(form: str) -> None:
    words = READERS[form](render(form, request_of(workers=3)))
    assert words[1:3] == ["study", "imdb"]
    assert words[words.index("--workers") + 1] == "3"
    assert "--dask" not in words


def test_an_unknown_format_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadRequest) as error:
        render("at", request_of())
    expected = "--format: no format 'at'. Legal: cron, systemd, kubernetes, slurm, airflow"
    assert str(error.value) == expected


def test_a_template_that_forgets_to_quote_fails() -> None:
    template = manifest._environment().from_string("{{ word | shell }} {{ word }}")
    with pytest.raises(TypeError, match="unquoted"):
        template.render(word="$(reboot)")
