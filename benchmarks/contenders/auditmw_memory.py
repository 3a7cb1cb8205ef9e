"""auditmw without the sanitizer, durability="memory"."""

from contenders import auditmw_process


def set_up(client, folder):
    return auditmw_process.set_up(client, folder, durability="memory")
