"""The chosen model in MLflow: logged below the study's run and registered, once."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlflow.entities import LoggedModelOutput
from mlflow.exceptions import MlflowException

from capsearch.records import StudyRecord
from capsearch.tracking.errors import Refused
from capsearch.tracking.runs import KEY

CHOICE = "capsearch.choice"


def registered(
    client: Any, record: StudyRecord, model: Path, experiment: str, parent: str, *, remote: bool
) -> str:
    """The version 'NAME/NUMBER' of the model in this folder; looked for before it is made."""
    name, choice = f"capsearch-{record.study.name}", record.choice.key
    parameters = str(record.choice.selected.parameters)
    tags = {KEY: record.study.key, CHOICE: choice, "parameters": parameters}
    logged = _logged_model(client, tags, model, experiment, parent, remote=remote)
    for known in client.search_model_versions(f"name = '{name}'"):
        if known.tags.get(KEY) == tags[KEY] and known.tags.get(CHOICE) == choice:
            return f"{name}/{known.version}"
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(
        name,
        source=logged.artifact_location,
        run_id=parent,
        tags=tags,
        description=record.choice.reason,
        model_id=logged.model_id,
    )
    return f"{name}/{version.version}"


def check_artifacts(place: str, remote: bool) -> None:
    """Refuse a server that names a folder of this machine: files would be written there."""
    if remote and urlsplit(place).scheme in ("", "file"):
        raise Refused(
            f"the server keeps artifacts in {place}, which would be on this machine",
            "Start it with --artifacts-destination, so that it takes them itself.",
        )


def _logged_model(
    client: Any, tags: dict[str, str], model: Path, experiment: str, parent: str, *, remote: bool
) -> Any:
    """The model below the study's run; one that was cut while it was written is made anew."""
    outputs = client.get_run(parent).outputs
    linked = {o.model_id for o in outputs.model_outputs} if outputs else set()
    for known in client.search_logged_models([experiment]):
        if known.tags.get(KEY) != tags[KEY] or known.tags.get(CHOICE) != tags[CHOICE]:
            continue
        if str(known.status).endswith("READY"):
            if known.model_id not in linked:  # its run was deleted, and is made anew
                client.log_outputs(parent, [LoggedModelOutput(known.model_id, step=0)])
            return known
        client.delete_logged_model(known.model_id)
    logged = client.create_logged_model(experiment, "selected", parent, tags, model_type="keras")
    check_artifacts(logged.artifact_location, remote)
    client.log_model_artifacts(logged.model_id, str(model))
    client.log_outputs(parent, [LoggedModelOutput(logged.model_id, step=0)])
    return client.finalize_logged_model(logged.model_id, "READY")
