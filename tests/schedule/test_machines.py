"""One Job of many pods: what finds what, and what each pod does, run with stand-ins."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from capsearch.schedule import render
from tests.schedule.readers import container_command, documents, pod, request_of

MANY: dict[str, Any] = {"machines": 3, "workers": 4, "tracking": "http://mlflow:5000"}
# Writes down how it was called, waits, and ends as it is told.
STAND_IN = f"""#!{sys.executable}
import os, sys, time
name = os.path.basename(sys.argv[0]).upper()
secrets = sorted({{"CAPSEARCH_STORAGE", "PGPASSWORD"}} & set(os.environ))
with open(os.environ["SAID"], "a") as said:
    print(name.lower(), *sys.argv[1:], *secrets, file=said)
time.sleep(float(os.environ.get(f"{{name}}_TAKES", "0")))
sys.exit(int(os.environ.get(f"{{name}}_CODE", "0")))
"""


def manifest() -> str:
    return render("kubernetes", request_of(**MANY))


def test_the_job_ends_when_pod_0_has_succeeded() -> None:
    job = documents(manifest())["CronJob"]["spec"]["jobTemplate"]["spec"]
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 3, 3)
    assert job["successPolicy"] == {"rules": [{"succeededIndexes": "0"}]}
    assert (job["backoffLimitPerIndex"], job["maxFailedIndexes"]) == (6, 0)


def test_service_subdomain_and_script_agree_on_the_name_of_pod_0() -> None:
    found = documents(manifest())
    service, template = found["Service"], pod(manifest())
    labels = found["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["clusterIP"] == "None"  # headless: a name for each pod
    assert service["spec"]["selector"].items() <= labels.items()
    assert template["subdomain"] == service["metadata"]["name"]
    name = next(e for e in template["containers"][0]["env"] if e["name"] == "JOB_NAME")
    path = name["valueFrom"]["fieldRef"]["fieldPath"]
    assert path == "metadata.labels['batch.kubernetes.io/job-name']"
    port = service["spec"]["ports"][0]["port"]
    script = container_command(manifest())[2]
    assert f"tcp://$JOB_NAME-0.{template['subdomain']}:{port}" in script
    assert f"dask scheduler --port {port}" in script


def test_only_pods_of_the_study_reach_its_scheduler() -> None:
    found = documents(manifest())
    policy, selector = found["NetworkPolicy"]["spec"], found["Service"]["spec"]["selector"]
    assert policy["policyTypes"] == ["Ingress"]
    assert policy["podSelector"] == {"matchLabels": selector}
    assert policy["ingress"] == [{"from": [{"podSelector": {"matchLabels": selector}}]}]


def test_pods_on_many_nodes_share_no_volume() -> None:
    volumes = pod(manifest())["volumes"]
    assert not [volume for volume in volumes if "persistentVolumeClaim" in volume]


def started(tmp_path: Path, index: int, **more: str) -> "subprocess.Popen[bytes]":
    """A pod's command. PID 1's place is taken by the shell's own session."""
    for name in ("dask", "capsearch"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(STAND_IN)
        path.chmod(0o755)
    # A worker is started again after 5 seconds, here after a tenth.
    command = [word.replace("sleep 5", "sleep 0.1") for word in container_command(manifest())]
    environment = {
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "SAID": str(tmp_path / "said"),
        "JOB_NAME": "capsearch-imdb-29979360", "JOB_COMPLETION_INDEX": str(index),
        "CAPSEARCH_STORAGE": "postgresql+psycopg://me:hunter2@db/x", "PGPASSWORD": "hunter2",
    }  # fmt: skip
    return subprocess.Popen(command, env=environment | more, start_new_session=True)


def said(tmp_path: Path, lines: int) -> list[str]:
    """The calls, once there are so many."""
    path, until = tmp_path / "said", time.monotonic() + 20
    while not path.exists() or len(path.read_text().splitlines()) < lines:
        assert time.monotonic() < until
        time.sleep(0.02)
    return path.read_text().splitlines()


def end(process: "subprocess.Popen[bytes]") -> None:
    """As the end of a container's first process ends all others in it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=20)


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5])
def test_pod_0_ends_as_its_driver_does(code: int, tmp_path: Path) -> None:
    process = started(tmp_path, 0, CAPSEARCH_CODE=str(code), DASK_TAKES="30")
    assert process.wait(timeout=20) == code
    calls = {line.split()[0]: line for line in said(tmp_path, 2)}
    end(process)
    assert calls["dask"].startswith("dask scheduler --port 8786")
    assert calls["capsearch"].startswith("capsearch study imdb --json")
    assert " --dask tcp://127.0.0.1:8786 " in calls["capsearch"]
    assert calls["capsearch"].endswith("CAPSEARCH_STORAGE PGPASSWORD")


def test_pod_0_hands_the_request_to_stop_to_its_driver(tmp_path: Path) -> None:
    process = started(tmp_path, 0, CAPSEARCH_TAKES="30", DASK_TAKES="30")
    said(tmp_path, 2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == -signal.SIGTERM  # of the stand-in, which exec put there
    end(process)


def test_a_worker_is_started_again_for_ever_and_knows_no_password(tmp_path: Path) -> None:
    process = started(tmp_path, 2)
    calls = said(tmp_path, 3)
    assert process.poll() is None
    end(process)
    address = "tcp://capsearch-imdb-29979360-0.capsearch-imdb:8786"
    assert set(calls) == {
        f"dask worker {address} --nthreads 4 --no-nanny --no-dashboard --death-timeout 60"
    }


def test_a_worker_that_is_told_to_stop_does_not_count_as_done(tmp_path: Path) -> None:
    process = started(tmp_path, 1, DASK_TAKES="30")
    said(tmp_path, 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 143
    end(process)


@pytest.mark.needs("shellcheck")
def test_the_script_is_sound_to_shellcheck(tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text(f"#!/bin/sh\n{container_command(manifest())[2]}")
    found = subprocess.run(["shellcheck", path], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_dask_itself_knows_the_options() -> None:
    script = container_command(manifest())[2].replace("\\\n", " ")
    for command in ("scheduler", "worker"):
        line = next(line for line in script.splitlines() if f"dask {command} " in line)
        run = subprocess.run(
            [sys.executable, "-m", "dask", command, "--help"],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        options = [word for word in line.split() if word.startswith("--")]
        assert options
        assert not [word for word in options if word.removeprefix("--no-") not in run.stdout]
