import sys

import pytest
from msgspec import structs
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from auditmw.errors import MissingExtra
from auditmw.exporters.metrics import COUNTERS, GAUGES, export_health
from auditmw.health import Health


def values(reader):
    [resource] = reader.get_metrics_data().resource_metrics
    return {m.name: m.data.data_points[0].value for scope in resource.scope_metrics for m in scope.metrics}


@pytest.fixture
def reader():
    return InMemoryMetricReader()


@pytest.fixture
def meter(reader):
    provider = MeterProvider([reader])
    yield provider.get_meter("test")
    provider.shutdown()


def test_a_trails_health_is_read_whenever_metrics_are_collected(trail, reader, meter):
    export_health(trail.health, meter)
    assert values(reader)["auditmw.written"] <= 1  # that the trail was opened
    with trail.call(action="a"):
        assert values(reader)["auditmw.in_flight"] == 1
    trail.sync.flush(10)
    found = values(reader)
    assert found["auditmw.written"] == 2
    assert found["auditmw.missing_context"] == 1
    assert found["auditmw.oldest_unsent"] == 0


def test_every_number_of_health_is_a_metric():
    numbers = {field.name for field in structs.fields(Health) if field.type in {int, float | None}}
    assert numbers == COUNTERS.keys() | GAUGES.keys()


def test_without_opentelemetry_the_extra_is_named(trail, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.metrics", None)
    with pytest.raises(MissingExtra, match="otel"):
        export_health(trail.health)


def test_by_default_the_applications_own_meter_is_used(trail):
    export_health(trail.health)
