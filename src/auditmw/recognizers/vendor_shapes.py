"""Credentials without a mark of their own: a vendor's name, an assignment, and a value of the vendor's shape.

A row is (family, words, shapes): the words in lower case as they occur in names of variables and settings, and what the
value looks like, as `characters` and a `length` or a range of lengths, or `uuid`.
"""

from __future__ import annotations

HEX, LOWER, ANY, DIGITS = "0-9a-f", "0-9a-z", "0-9a-zA-Z", "0-9"
LOWER_, ANY_ = "0-9a-z=_-", "0-9a-zA-Z=_-"
UUID = ("uuid", 36, 36)


def _of(characters: str, least: int, most: int | None = None) -> tuple[str, int, int]:
    return characters, least, most or least


VENDORS: tuple[tuple[str, tuple[str, ...], tuple[tuple[str, int, int], ...]], ...] = (
    ("adafruit", ("adafruit",), (_of(LOWER_, 32),)),
    ("adobe", ("adobe",), (_of(HEX, 32),)),
    ("airtable", ("airtable",), (_of(LOWER, 17),)),
    ("algolia", ("algolia",), (_of(LOWER, 32),)),
    ("alibaba", ("alibaba", "aliyun"), (_of(LOWER, 30),)),
    ("asana", ("asana",), (_of(DIGITS, 16), _of(LOWER, 32))),
    ("assemblyai", ("assemblyai", "assembly_ai"), (_of(HEX, 32),)),
    ("atlassian", ("atlassian", "confluence", "jira"), (_of(LOWER, 24),)),
    ("aws", ("aws", "amazon", "s3_", "s3secret"), (_of("0-9a-zA-Z/+", 40),)),
    ("azure", ("azure", "cognitive", "subscription-key", "subscription_key"), (_of(HEX, 32), _of(LOWER, 52))),
    ("beamer", ("beamer",), (_of("0-9a-z=_-", 46),)),
    ("bitbucket", ("bitbucket",), (_of(LOWER, 32), _of(LOWER_, 64))),
    ("bittrex", ("bittrex",), (_of(LOWER, 32),)),
    ("cisco meraki", ("meraki",), (_of(HEX, 40),)),
    ("cloudflare", ("cloudflare",), (_of("0-9a-z_-", 40), _of(HEX, 37))),
    ("cloudinary", ("cloudinary",), (_of("0-9a-zA-Z_-", 27), _of(DIGITS, 15))),
    ("codecov", ("codecov",), (_of(LOWER, 32), UUID)),
    ("cohere", ("cohere", "co_api_key"), (_of(ANY, 40),)),
    ("coinbase", ("coinbase",), (_of("0-9a-z_-", 64),)),
    ("confluent", ("confluent",), (_of(LOWER, 16), _of("0-9a-z+/", 64))),
    ("contentful", ("contentful",), (_of(LOWER_, 43),)),
    ("datadog", ("datadog", "dd_api", "dd_app"), (_of(LOWER, 40), _of(HEX, 32))),
    ("discord", ("discord",), (_of(HEX, 64), _of(DIGITS, 17, 19), _of(LOWER_, 32), _of("0-9a-zA-Z._-", 59, 72))),
    ("drone", ("droneci", "drone_"), (_of(LOWER, 32),)),
    ("dropbox", ("dropbox",), (_of(LOWER, 15), _of("0-9a-z=_-", 64))),
    ("etsy", ("etsy",), (_of(LOWER, 24),)),
    ("facebook", ("facebook",), (_of(HEX, 32), _of("0-9a-zA-Z|_-", 43, 58))),
    ("fastly", ("fastly",), (_of(LOWER_, 32),)),
    ("finicity", ("finicity",), (_of(HEX, 32), _of(LOWER, 20))),
    ("finnhub", ("finnhub",), (_of(LOWER, 20),)),
    ("flickr", ("flickr",), (_of(LOWER, 32), _of(HEX, 16))),
    ("freshbooks", ("freshbooks",), (_of(LOWER, 64),)),
    ("gitter", ("gitter",), (_of("0-9a-z_-", 40),)),
    ("gocardless", ("gocardless",), (_of("0-9a-z=_-", 45),)),
    ("heroku", ("heroku",), (UUID,)),
    ("hubspot", ("hubspot",), (UUID, _of("0-9a-zA-Z-", 44))),
    ("intercom", ("intercom",), (_of("0-9a-z=_-", 60),)),
    ("jfrog", ("jfrog", "artifactory", "bintray", "xray"), (_of(LOWER, 73), _of(LOWER, 64))),
    ("kraken", ("kraken",), (_of("0-9a-zA-Z/=_+-", 80, 90),)),
    ("kucoin", ("kucoin",), (_of(HEX, 24), UUID)),
    ("launchdarkly", ("launchdarkly",), (_of(LOWER_, 40),)),
    ("linear", ("linear",), (_of(HEX, 32),)),
    ("linkedin", ("linkedin", "linked_in", "linked-in"), (_of(LOWER, 14), _of(LOWER, 16))),
    ("lob", ("lob",), (_of("0-9a-z_", 40),)),
    ("looker", ("looker",), (_of(LOWER, 20), _of(LOWER, 24))),
    ("mailgun", ("mailgun",), (_of("0-9a-h-", 50), _of(HEX, 32))),
    ("mattermost", ("mattermost",), (_of(LOWER, 26),)),
    ("messagebird", ("messagebird", "message_bird", "message-bird"), (_of(LOWER, 25), UUID)),
    ("mistral", ("mistral",), (_of(ANY, 32),)),
    ("netlify", ("netlify",), (_of(LOWER_, 40, 46),)),
    ("new relic", ("new-relic", "newrelic", "new_relic"), (_of(LOWER, 64), _of(HEX, 40))),
    ("nytimes", ("nytimes", "new-york-times", "newyorktimes", "nyt_"), (_of(LOWER_, 32),)),
    ("okta", ("okta",), (_of("0-9a-zA-Z=_-", 42),)),
    ("openweather", ("openweather", "owm_"), (_of(HEX, 32),)),
    ("pagerduty", ("pagerduty", "pager_duty"), (_of("0-9a-zA-Z+_-", 20),)),
    ("plaid", ("plaid",), (_of(LOWER, 24), _of(LOWER, 30))),
    ("private ai", ("privateai", "private_ai", "private-ai"), (_of(LOWER, 32),)),
    ("rapidapi", ("rapidapi",), (_of("0-9a-z_-", 50),)),
    ("rollbar", ("rollbar",), (_of(HEX, 32),)),
    ("segment", ("segment_write", "segment_api"), (_of(ANY, 32),)),
    ("sendbird", ("sendbird",), (UUID, _of(HEX, 40))),
    ("sentry", ("sentry",), (_of(HEX, 64),)),
    ("sidekiq", ("bundle_enterprise__contribsys__com", "bundle_gems__contribsys__com"), (_of("0-9a-f:", 17),)),
    ("snyk", ("snyk",), (UUID,)),
    ("sonar", ("sonar",), (_of(LOWER_, 40),)),
    ("sourcegraph", ("sourcegraph",), (_of(HEX, 40),)),
    ("spotify", ("spotify",), (_of(HEX, 32),)),
    ("squarespace", ("squarespace",), (UUID,)),
    ("sumo logic", ("sumo",), (_of(ANY, 14), _of(LOWER, 64))),
    ("telegram", ("telegram", "tg_bot"), (_of("0-9a-zA-Z:_-", 40, 52),)),
    ("together", ("together_ai", "togetherai", "together_api"), (_of(HEX, 64),)),
    ("travis", ("travis",), (_of(LOWER, 22),)),
    ("trello", ("trello",), (_of("0-9a-zA-Z-", 32), _of(HEX, 64))),
    ("twilio", ("twilio",), (_of(HEX, 32),)),
    ("twitch", ("twitch",), (_of(LOWER, 30),)),
    ("twitter", ("twitter",), (_of("0-9a-zA-Z-", 36, 66), _of(LOWER, 45), _of(LOWER, 25), _of(LOWER, 50))),
    ("weights and biases", ("wandb",), (_of(HEX, 40),)),
    ("yandex", ("yandex",), (_of("0-9a-zA-Z_-", 39, 42),)),
    ("zendesk", ("zendesk",), (_of(LOWER, 40),)),
)
