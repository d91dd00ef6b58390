"""Objects that the schema of Kubernetes itself finds sound."""

from typing import Any

import kubernetes_validate
import pytest
import yaml

from capsearch.schedule import render
from tests.schedule.readers import HOSTILE, documents, pod, request_of

MANY = {"machines": 3, "tracking": "http://mlflow:5000"}
DATA = {"data_volume": "reviews"}
STORAGE = {"storage": "postgresql+psycopg://capsearch@db/capsearch"}
FILE = {"study": "/a/mine.toml", "name": "mine", "study_text": '[data]\n  source = "imdb"\n'}
HOSTILE_FILE = {"study": "/x", "name": "".join(HOSTILE), "study_text": "\n".join(HOSTILE)}


@pytest.mark.parametrize("version", ["1.31", "1.37"])
@pytest.mark.parametrize(
    "changes",
    [
        {}, STORAGE, DATA, MANY, MANY | STORAGE | DATA, FILE, FILE | MANY | STORAGE, HOSTILE_FILE,
        HOSTILE_FILE | MANY,
    ],
)  # fmt: skip
def test_every_object_is_sound(changes: dict[str, Any], version: str) -> None:
    found = list(yaml.safe_load_all(render("kubernetes", request_of(**changes))))
    kinds = [document["kind"] for document in found]
    assert kinds == [
        *(["ConfigMap"] if "study_text" in changes else []),
        *(["Service", "NetworkPolicy"] if "machines" in changes else ["PersistentVolumeClaim"]),
        "CronJob",
    ]
    for document in found:
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("concurrencyPolicy", "concurencyPolicy"),
        ("runAsUser: 10001", "runAsUser: capsearch"),
        ("backoffLimitPerIndex: 6", "backoffLimitPerIndex: six"),
        ("succeededIndexes", "succeededIndices"),
        ("drop: [ALL]", "drop: ALL"),
    ],
)
def test_the_check_would_notice(right: str, wrong: str) -> None:
    text = render("kubernetes", request_of()).replace(right, wrong)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(documents(text)["CronJob"], "1.37", strict=True)


def test_a_study_runs_once_at_a_time_and_in_one_pod_tried_seven_times() -> None:
    cron = documents(render("kubernetes", request_of()))["CronJob"]["spec"]
    assert cron["concurrencyPolicy"] == "Forbid"
    assert cron["schedule"] == "0 2 * * *"
    job = cron["jobTemplate"]["spec"]
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 1, 1)
    assert (job["backoffLimitPerIndex"], job["maxFailedIndexes"]) == (6, 0)


def test_only_what_trying_again_does_not_change_fails_the_job() -> None:
    job = documents(render("kubernetes", request_of()))["CronJob"]["spec"]["jobTemplate"]["spec"]
    actions = {
        rule["action"]: rule.get("onExitCodes", {}).get("values")
        for rule in job["podFailurePolicy"]["rules"]
    }
    assert actions == {"FailJob": [1, 2, 4], "Ignore": None, "Count": [3, 5, 130, 143]}
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # which the policy requires


def test_a_pod_may_do_little() -> None:
    found = pod(render("kubernetes", request_of()))
    container = found["containers"][0]
    assert found["automountServiceAccountToken"] is False
    assert found["terminationGracePeriodSeconds"] >= 15
    assert found["securityContext"]["runAsUser"] == 10001
    assert found["securityContext"]["runAsNonRoot"] is True
    assert found["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}


@pytest.mark.parametrize(
    ("changes", "cores", "memory", "limit"),
    [
        ({}, "2", "3072Mi", "4608Mi"),  # 1 driver, 1 training, 1 scoring the test split
        ({"workers": 4}, "8", "7680Mi", "9216Mi"),
        (MANY, "1", "3072Mi", "4608Mi"),  # a training process of Dask's has a core
        (MANY | {"workers": 4, "threads": 2}, "8", "7680Mi", "9216Mi"),
    ],
)
def test_a_pod_asks_for_what_its_processes_need(
    changes: dict[str, Any], cores: str, memory: str, limit: str
) -> None:
    resources = pod(render("kubernetes", request_of(**changes)))["containers"][0]["resources"]
    assert resources["requests"] == {"cpu": cores, "memory": memory}
    assert resources["limits"] == {"cpu": cores, "memory": limit}


@pytest.mark.parametrize(
    ("changes", "secrets"),
    [
        ({}, {"CAPSEARCH_STORAGE": True}),
        (MANY, {"CAPSEARCH_STORAGE": None}),  # not optional: without it, no pod may start
        (STORAGE, {"PGPASSWORD": True}),
        (MANY | STORAGE, {"PGPASSWORD": True}),
    ],
)
def test_passwords_come_from_a_secret(changes: dict[str, Any], secrets: dict[str, Any]) -> None:
    found = pod(render("kubernetes", request_of(**changes)))["containers"][0]["env"]
    sources = {e["name"]: e["valueFrom"] for e in found}
    keys = {name: e["secretKeyRef"] for name, e in sources.items() if "secretKeyRef" in e}
    assert {key: ref.get("optional") for key, ref in keys.items()} == secrets | {
        "MLFLOW_TRACKING_USERNAME": True, "MLFLOW_TRACKING_PASSWORD": True,
    }  # fmt: skip
    assert all(ref["key"] == key and ref["name"] == "capsearch-imdb" for key, ref in keys.items())


def test_a_study_file_of_ones_own_travels_with_the_manifest() -> None:
    text = render("kubernetes", request_of(**FILE))
    config = documents(text)["ConfigMap"]
    assert config["data"] == {"study.toml": FILE["study_text"]}
    volume = next(v for v in pod(text)["volumes"] if v["name"] == "study")["configMap"]
    assert volume == {
        "name": config["metadata"]["name"], "items": [{"key": "study.toml", "path": "mine.toml"}]
    }  # fmt: skip
    assert pod(text)["containers"][0]["command"][1:3] == ["study", "/studies/mine.toml"]


@pytest.mark.parametrize("many", [{}, MANY])
def test_data_of_ones_own_are_mounted_for_reading_from_a_claim(many: dict[str, Any]) -> None:
    found = pod(render("kubernetes", request_of(**DATA, **many)))
    mount = next(m for m in found["containers"][0]["volumeMounts"] if m["mountPath"] == "/data-in")
    assert mount["readOnly"] is True
    volume = next(v for v in found["volumes"] if v["name"] == mount["name"])
    assert volume["persistentVolumeClaim"] == {"claimName": "reviews", "readOnly": True}
