import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest

from auditmw import AuditTrail
from auditmw.errors import JournalError
from auditmw.shipping import Shipper
from auditmw.stores import store_for


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/audit.db"


def stored(url):
    trail = AuditTrail(url)
    try:
        return [entry.action for entry in trail.sync.query()]
    finally:
        trail.close()


def test_once_ships_what_applications_have_journalled(auditmw, url):
    application = AuditTrail(url, writer="external")
    for number in range(5):
        with application.call(action=f"a{number}"):
            pass
    result = auditmw("ship", "--once", db=url)
    assert result.code == 0
    assert "6 entries stored" in result.err
    assert stored(url) == [f"a{number}" for number in range(5)]
    application.close()


def test_what_an_application_leaves_behind_is_shipped_after_its_end(auditmw, url):
    application = AuditTrail(url, writer="external")
    with application.call(action="left"):
        pass
    application.close()
    assert auditmw("ship", "--once", db=url).code == 0
    assert stored(url) == ["left"]


def test_flush_waits_for_the_shipper(url, tmp_path):
    application = AuditTrail(url, writer="external")
    with application.call(action="shipped"):
        pass
    with pytest.raises(TimeoutError):
        application.sync.flush(0.3)
    shipper = Shipper(store_for(url), tmp_path / "audit.db.auditmw")
    thread = threading.Thread(target=lambda: asyncio.run(shipper.run()))
    thread.start()
    application.sync.flush(10)
    shipper.stop()
    thread.join()
    application.close()
    assert stored(url) == ["shipped"]


def test_a_second_shipper_of_a_directory_is_refused(url, tmp_path):
    directory = tmp_path / "journal"
    directory.mkdir()
    first = Shipper(store_for(url), directory)
    thread = threading.Thread(target=lambda: asyncio.run(first.run()))
    thread.start()
    try:
        while not (directory / "shipper.lock").exists():
            pass
        with pytest.raises(JournalError, match="already followed"):
            asyncio.run(Shipper(store_for(url), directory).run())
    finally:
        first.stop()
        thread.join()


def test_it_ends_on_sigterm_with_its_count(url):
    child = subprocess.Popen(
        [sys.executable, "-m", "auditmw", "ship", "--db", url], stderr=subprocess.PIPE, env=os.environ, text=True
    )
    assert "following" in child.stderr.readline()
    child.send_signal(signal.SIGTERM)
    _, said = child.communicate(timeout=20)
    assert child.returncode == 0
    assert "0 entries stored" in said


def test_a_trail_in_memory_cannot_be_shipped(auditmw):
    result = auditmw("ship", db="memory://")
    assert result.code == 3
    assert "name a database" in result.err
