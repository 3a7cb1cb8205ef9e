"""Who got a person's data, and where."""

import pytest

from auditmw import AuditEntry
from auditmw.privacy.recipients import recipient_of


@pytest.mark.parametrize(
    ("fields", "recipient"),
    [
        ({}, "none named"),
        ({"provider": "openai", "host": "api.openai.com"}, "openai"),
        ({"provider": "openai", "host": "eu.api.openai.com"}, "openai (eu)"),
        (
            {"provider": "aws.bedrock", "host": "bedrock-runtime.eu-central-1.amazonaws.com"},
            "aws.bedrock (eu-central-1)",
        ),
        ({"provider": "aws.bedrock", "host": "bedrock.us-gov-west-1.amazonaws.com"}, "aws.bedrock (us-gov-west-1)"),
        (
            {"provider": "gcp.vertex_ai", "host": "europe-west4-aiplatform.googleapis.com"},
            "gcp.vertex_ai (europe-west4)",
        ),
        (
            {"provider": "azure.ai.openai", "host": "swedencentral.api.cognitive.microsoft.com"},
            "azure.ai.openai (swedencentral)",
        ),
        ({"provider": "azure.ai.openai", "host": "acme.openai.azure.com"}, "azure.ai.openai"),
        ({"provider": "anthropic", "usage_raw": {"inference_geo": "us"}}, "anthropic (us)"),
        ({"provider": "anthropic", "usage_raw": {"inference_geo": "not_available"}}, "anthropic"),
        ({"provider": "anthropic", "usage_raw": {"inference_geo": 7}, "host": "evil.eu.api.openai.com"}, "anthropic"),
    ],
)
def test_a_recipient_is_named_with_its_region_where_that_is_known(fields, recipient):
    assert recipient_of(AuditEntry("r", 1, **fields)) == recipient
