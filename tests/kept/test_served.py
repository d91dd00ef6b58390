"""A kept model where capsearch is not installed: by its own reader, and by MLflow's server."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capsearch.families.dense import exported
from capsearch.initialization import initial_weights
from capsearch.kept import folder as kept
from capsearch.kept import reader
from capsearch.kept.usage import needed, three_lines
from capsearch.records import Candidate
from capsearch.tasks import Multiclass
from capsearch.tracking.model import package
from tests.kept.place import TABLE, made, table, words
from tests.servers import free_port

pytestmark = pytest.mark.integration
ALONE = """
import sys
sys.modules["capsearch"] = None  # whoever imports it fails
"""


@pytest.fixture(scope="module", params=["table", "texts"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A network that nobody trained, kept with what prepares its rows."""
    fitted = table() if request.param == "table" else words("film", "great", "bad")
    task, candidate = Multiclass(("a", "b", "c")), Candidate((3,))
    weights = initial_weights(candidate, fitted.features, 1, task.outputs)
    network = exported(candidate, fitted.features, weights, task)
    found = made(tmp_path_factory.mktemp("kept") / "m", fitted, task, network=network)
    shown = {n: v.dtype.kind == "O" for n, v in found.told(np.eye(3, dtype=np.float32)).items()}
    package(found.folder, found.rows, found.columns, shown, needed())
    return found


def rows_of(model: reader.KeptModel) -> list[dict[str, Any]]:
    """The first rows of what the model was fitted on, as JSON has them."""
    if model.rows == "texts":
        return [{"text": text} for text in ("a great film", "bad, bad film", "none")]
    return [{name: TABLE[name][row] or None for name in TABLE} for row in range(3)]


def alone(code: str, *arguments: str) -> Any:
    """What this code prints, as JSON, where capsearch cannot be imported."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, "-P", "-c", ALONE + code, *arguments], env=environment, check=False,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_three_lines_use_it_without_capsearch(model: reader.KeptModel) -> None:
    rows = rows_of(model)
    imported, loaded, _ = three_lines(str(model.folder), model.rows)
    code = f"""
import json
{imported}
{loaded}
told = model.predict(json.loads(sys.argv[1]))
print(json.dumps({{name: values.tolist() for name, values in told.items()}}))
"""
    told, here = alone(code, json.dumps(rows)), reader.load(model.folder, kept.OURS).predict(rows)
    assert told["prediction"] == here["prediction"].tolist()
    assert told["probability_a"] == pytest.approx(here["probability_a"], abs=1e-6)


SERVER = """
import json
import mlflow.keras, mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server

folder, bodies = sys.argv[1], json.loads(sys.argv[2])
model = mlflow.pyfunc.load_model(folder)
schema, answers = model.metadata.get_input_schema(), []
for body in bodies:
    try:
        got = scoring_server.invocations(json.dumps(body), "application/json", model, schema)
        answers.append([got.status, json.loads(got.response)["predictions"]])
    except MlflowException as error:
        answers.append([error.get_http_status_code(), str(error)])
frame = pd.DataFrame(bodies[0]["dataframe_records"])
network = mlflow.keras.load_model(folder)
print(json.dumps({
    "served": answers,
    "frame": model.predict(frame).to_dict("records"),
    "outputs": list(network.output_shape),
    "said": model.metadata.get_output_schema().input_names(),
}))
"""


def test_mlflow_serves_raw_rows_and_refuses_wrong_ones_with_400(model: reader.KeptModel) -> None:
    rows = rows_of(model)
    turned = [dict(reversed(row.items())) for row in rows]
    bodies: list[Any] = [{"dataframe_records": rows}, {"dataframe_records": turned}]
    bodies.append(
        {"dataframe_split": {"columns": [*rows[0]], "data": [[*r.values()] for r in rows]}}
    )
    odd: list[Any] = [{"dataframe_records": []}, {"nonsense": 1}]
    if model.rows == "texts":
        bodies.append({"inputs": [row["text"] for row in rows]})
        odd.append({"dataframe_records": [{"review": "a film"}]})
    else:
        new = {**rows[0], "kind": "never seen", "size": None}
        bodies.append({"dataframe_records": [{**row, "more": [1]} for row in rows]})
        odd += [{"dataframe_records": [{**rows[0], "size": "old"}]}]
        odd += [{"dataframe_records": [{k: v for k, v in rows[0].items() if k != "size"}]}]
        odd += [{"dataframe_records": [{**rows[0], "size": {"a": 1}}]}]
        bodies.append({"dataframe_records": [new]})
    found = alone(SERVER, str(model.folder), json.dumps([*bodies, *odd]))
    served, refused = found["served"][: len(bodies)], found["served"][len(bodies) :]
    here = reader.load(model.folder, kept.OURS).predict(rows)
    for status, answer in served[:4]:
        assert status == 200
        assert [row["prediction"] for row in answer] == here["prediction"].tolist()
        for name in here.keys() - {"prediction"}:
            assert [row[name] for row in answer] == pytest.approx(here[name], abs=1e-6)
    assert all(status == 200 for status, _ in served)
    assert [status for status, _ in refused] == [400] * len(odd)
    if model.rows == "table":
        assert "'size'" in refused[2][1]
        assert "'old'" in refused[2][1]
        assert "size" in refused[3][1]
    assert found["frame"] == served[0][1]
    assert found["outputs"] == [None, 3]
    assert found["said"] == list(here)


def test_a_real_server_answers_raw_rows_with_what_the_model_says(
    model: reader.KeptModel, tmp_path: Path
) -> None:
    """As the README has it: mlflow models serve, in processes that cannot import capsearch."""
    (tmp_path / "sitecustomize.py").write_text(ALONE)
    port, rows = free_port(), rows_of(model)
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model.folder)]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PATH": places}
    log = tmp_path / "log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            [*command, "--workers", "1"], cwd=tmp_path, env=environment, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip
    try:
        answers_in_time(server, f"http://127.0.0.1:{port}/ping", log)
        status, told = asked(port, {"dataframe_records": rows})
        refused, why = asked(port, {"nonsense": rows})
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    assert (status, refused) == (200, 400), why
    here = reader.load(model.folder, kept.OURS).predict(rows)
    assert [row["prediction"] for row in told["predictions"]] == here["prediction"].tolist()
    for name in here.keys() - {"prediction"}:
        served = [row[name] for row in told["predictions"]]
        assert served == pytest.approx(here[name].tolist(), abs=1e-6)


def answers_in_time(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait until the server answers at this address."""
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def asked(port: int, body: Any) -> tuple[int, Any]:
    """Status and answer of the server to a JSON document."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_damaged_folder_is_not_served(model: reader.KeptModel, tmp_path: Path) -> None:
    damaged = tmp_path / "m"
    shutil.copytree(model.folder, damaged)
    (damaged / reader.TASK).write_text("{}")
    code = """
import json
import mlflow.pyfunc
try:
    mlflow.pyfunc.load_model(sys.argv[1])
except Exception as error:
    print(json.dumps(str(error)))
"""
    assert reader.TASK in alone(code, str(damaged))
