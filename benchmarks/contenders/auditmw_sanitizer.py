"""auditmw with all defaults, the sanitizer included."""

from auditmw.middleware import default_pipeline
from contenders import auditmw_process


def set_up(client, folder):
    return auditmw_process.set_up(client, folder, pipeline=default_pipeline())
