"""Objects that the schema of Kubernetes itself finds sound."""

from typing import Any

import kubernetes_validate
import pytest
import yaml

from capsearch.schedule import render
from tests.schedule.readers import HOSTILE, documents, order_of, pod

MANY = {"workers": 3, "tracking": "http://mlflow:5000"}
STORAGE = {"storage": "postgresql+psycopg://capsearch@db/capsearch"}
FILE = {"study": "/a/mine.toml", "name": "mine", "question": '[data]\n  source = "imdb"\n'}
HOSTILE_FILE = {"study": "/x", "name": "".join(HOSTILE), "question": "\n".join(HOSTILE)}


@pytest.mark.parametrize("version", ["1.31", "1.37"])
@pytest.mark.parametrize(
    "changes", [{}, STORAGE, MANY, MANY | STORAGE, FILE, FILE | MANY | STORAGE, HOSTILE_FILE]
)
def test_every_object_is_sound(changes: dict[str, Any], version: str) -> None:
    found = list(yaml.safe_load_all(render("kubernetes", order_of(**changes))))
    kinds = [document["kind"] for document in found]
    assert kinds == [*(["ConfigMap"] if "question" in changes else []),
                     "PersistentVolumeClaim", "CronJob"]  # fmt: skip
    for document in found:
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("concurrencyPolicy", "concurencyPolicy"),
        ("runAsUser: 10001", "runAsUser: capsearch"),
        ("backoffLimit: 6", "backoffLimit: six"),
        ("drop: [ALL]", "drop: ALL"),
    ],
)
def test_the_check_would_notice(right: str, wrong: str) -> None:
    text = render("kubernetes", order_of()).replace(right, wrong)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(documents(text)["CronJob"], "1.37", strict=True)


def test_a_study_runs_once_at_a_time_and_many_workers_are_one_indexed_job() -> None:
    cron = documents(render("kubernetes", order_of(**MANY, **STORAGE)))["CronJob"]["spec"]
    assert cron["concurrencyPolicy"] == "Forbid"
    assert cron["schedule"] == "0 2 * * *"
    job = cron["jobTemplate"]["spec"]
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 3, 3)
    assert job["backoffLimit"] == 18  # six tries a worker


def test_only_what_trying_again_does_not_change_fails_the_job() -> None:
    job = documents(render("kubernetes", order_of()))["CronJob"]["spec"]["jobTemplate"]["spec"]
    actions = {
        rule["action"]: rule.get("onExitCodes", {}).get("values")
        for rule in job["podFailurePolicy"]["rules"]
    }
    assert actions == {"FailJob": [1, 2, 4], "Ignore": None, "Count": [3, 5, 130, 143]}
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # which the policy requires


def test_a_pod_may_do_little() -> None:
    found = pod(render("kubernetes", order_of()))
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
    assert container["resources"]["requests"] == {"cpu": "2", "memory": "3072Mi"}
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "4608Mi"}


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
    found = pod(render("kubernetes", order_of(**changes)))["containers"][0]["env"]
    keys = {e["name"]: e["valueFrom"]["secretKeyRef"] for e in found}
    assert {key: ref.get("optional") for key, ref in keys.items()} == secrets | {
        "MLFLOW_TRACKING_USERNAME": True, "MLFLOW_TRACKING_PASSWORD": True,
    }  # fmt: skip
    assert all(ref["key"] == key and ref["name"] == "capsearch-imdb" for key, ref in keys.items())


def test_a_study_file_of_ones_own_travels_with_the_manifest() -> None:
    text = render("kubernetes", order_of(**FILE))
    config = documents(text)["ConfigMap"]
    assert config["data"] == {"study.toml": FILE["question"]}
    volume = next(v for v in pod(text)["volumes"] if v["name"] == "study")["configMap"]
    assert volume == {
        "name": config["metadata"]["name"], "items": [{"key": "study.toml", "path": "mine.toml"}]
    }  # fmt: skip
    assert pod(text)["containers"][0]["command"][1:3] == ["study", "/studies/mine.toml"]
