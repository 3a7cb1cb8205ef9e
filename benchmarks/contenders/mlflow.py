"""MLflow's automatic logging of Anthropic into its SQLite store; it records no streams."""

from functools import partial

PACKAGES = ("mlflow==3.17.2",)
MODES = ("create", "short", "concurrent", "large")


def set_up(client, folder):
    import mlflow
    import mlflow.anthropic

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    # without a place of its own MLflow leaves its artifacts in the folder that it is started in
    mlflow.create_experiment("benchmark", artifact_location=f"{folder}/artifacts")
    mlflow.set_experiment("benchmark")
    autolog = partial(mlflow.anthropic.autolog, silent=True)
    return client, mlflow.flush_trace_async_logging, autolog, partial(autolog, disable=True)
