"""Which reads are on record: by whom, what for, of whom, and how many entries."""

import json

import anyio
import pytest

from auditmw import AuditTrail
from auditmw.cli.app import run
from auditmw.errors import ConfigurationError
from auditmw.privacy.holds import add_hold
from auditmw.querying import PAGE


@pytest.fixture(params=["memory", "jsonl", "sqlite", "postgres"])
def url(request, tmp_path):
    """A trail of each kind."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return {"memory": "memory://", "jsonl": f"jsonl:///{tmp_path}/lines", "sqlite": f"sqlite:///{tmp_path}/a.db"}[
        request.param
    ]


def on_record(trail):
    trail.sync.flush()
    reads = trail.pages(kind="control", action="read").blocking()
    return [(read.user_id, read.subject, read.metadata) for read in reads]


def record(trail, *users):
    for user in users:
        with trail.call(action="ask", user_id=user):
            pass
    trail.sync.flush()


# --- an application's own ---------------------------------------------------------------------------------------------


def test_a_trail_of_all_reads_says_who_asked_by_what_about_whom_and_how_much_was_given(url):
    with AuditTrail(url, reads="all") as trail:
        record(trail, "alice", "alice", "bob")
        with trail.context(user_id="ann"):
            assert len(list(trail.sync.query(user_id="alice", limit=5))) == 2
        assert on_record(trail) == [("ann", "alice", {"what": "query", "filter": ["limit", "user_id"], "count": 2})]


def test_a_query_that_finds_nothing_is_a_read_too(url):
    with AuditTrail(url, reads="all") as trail:
        assert list(trail.sync.query(user_id="alice")) == []
        assert on_record(trail) == [(None, "alice", {"what": "query", "filter": ["user_id"], "count": 0})]


@pytest.mark.parametrize("reads", ["log", "off", None])
def test_an_ordinary_query_writes_nothing_by_default(url, reads):
    with AuditTrail(url, reads=reads) as trail:
        record(trail, "alice")
        assert len(list(trail.sync.query())) == 1
        trail.sync.report("cost")
        assert on_record(trail) == []


async def test_what_is_streamed_is_on_record_before_it_is_seen(url):
    async with AuditTrail(url, reads="all") as trail:
        async with trail.call(action="ask", user_id="alice"):
            pass
        await trail.flush()
        async for _ in trail.query():
            await trail.flush()
            reads = [entry.metadata async for entry in trail.pages(kind="control", action="read").awaited()]
            assert reads == [{"what": "query", "filter": [], "count": 1}]


def test_a_query_before_the_first_call_is_on_record_in_a_trail_that_others_chose_it_for(tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    with AuditTrail(url, reads="all") as trail:
        record(trail, "alice")
    trail = AuditTrail(url)
    assert len(list(trail.sync.query())) == 1
    assert [metadata["count"] for _, _, metadata in on_record(trail)] == [1]
    trail.close()


def test_a_report_is_a_read(url):
    with AuditTrail(url, reads="all") as trail:
        record(trail, "alice", "bob")
        rows = trail.sync.report("cost", by=["user"]).rows
        assert on_record(trail) == [(None, None, {"what": "report", "report": "cost", "count": len(rows)})]


async def test_whoever_follows_is_on_record_once(url):
    async with AuditTrail(url, reads="all") as trail:
        async with trail.call(action="ask", user_id="alice"):
            pass
        await trail.flush()
        with anyio.move_on_after(0.3):
            async for _ in trail.subscribe(every=0.05, backlog=1, user_id="alice"):
                pass
        await trail.flush()
        reads = [entry.metadata async for entry in trail.pages(kind="control", action="read").awaited()]
    assert reads == [{"what": "subscribe", "filter": ["user_id"]}]


def test_a_changed_choice_is_on_record_once_and_stays(url):
    if url == "memory://":
        pytest.skip("a trail in memory has no second process")
    for reads in ("log", "all", "all", None):
        with AuditTrail(url, reads=reads) as trail:
            record(trail, "alice")
            assert trail.reads().result() == (reads or "all")
    with AuditTrail(url, reads="off") as trail:
        record(trail, "alice")
        changes = [entry.metadata for entry in trail.pages(kind="control", action="change").blocking()]
    assert [change for change in changes if change["what"] == "reads"] == [
        {"what": "reads", "before": "log", "after": "all"},
        {"what": "reads", "before": "all", "after": "off"},
    ]


# --- restricted entries -----------------------------------------------------------------------------------------------


@pytest.fixture
def restricted(trail, make_entry, log, privacy):
    """A trail of bob's, and of alice's that is to be erased and held."""
    from auditmw.privacy.erasure import Erasure
    from auditmw.privacy.person import Person

    trail.append("w", [make_entry(n, user_id="alice" if n else "bob") for n in range(3)])
    add_hold(log, privacy, "a claim", user_id="alice")
    assert Erasure(log, privacy, wait_seconds=1).run(Person(user_id="alice")).answer == "deferred"
    return trail


@pytest.mark.parametrize(("reads", "count"), [("log", 1), ("all", 1), ("off", 0)])
def test_restricted_entries_come_for_a_purpose_that_is_on_record(restricted, reads, count):
    with AuditTrail(restricted.url, reads=reads) as trail:
        assert [entry.user_id for entry in trail.pages().blocking()] == ["bob"]
        found = list(trail.sync.query(user_id="alice", restricted="claim 4711"))
        assert [entry.request_id for entry in found] == ["r1", "r2"]
        said = {"what": "restricted", "purpose": "claim 4711", "filter": ["user_id"], "count": 2}
        assert on_record(trail) == [(None, "alice", said)] * count


@pytest.mark.parametrize("purpose", ["", 1, True])
def test_restricted_entries_need_a_purpose(url, purpose):
    with AuditTrail(url) as trail, pytest.raises(ConfigurationError, match="what for"):
        trail.query(restricted=purpose)


def test_nothing_is_restricted_where_nothing_can_be_erased(tmp_path):
    for url in ("memory://", f"jsonl:///{tmp_path}/lines"):
        with AuditTrail(url) as trail:
            record(trail, "alice")
            assert list(trail.sync.query(restricted="a claim")) == []


def test_restricted_entries_are_not_followed():
    with AuditTrail("memory://") as trail, pytest.raises(ConfigurationError, match="not followed"):
        trail.subscribe(restricted="a claim")


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def auditmw(capsys):
    """Runs a command in this process; gives its exit code, its results, what it said."""

    def command(*arguments):
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def reads_of(trail):
    return [(read.user_id, read.subject, read.metadata) for read in trail.controls("read")]


@pytest.fixture
def chosen(trail, make_entry, monkeypatch):
    """Chooses which reads of the trail are on record; commands find it."""
    monkeypatch.setenv("AUDITMW_DB", trail.url)
    monkeypatch.setenv("AUDITMW_ACTOR", "ann")
    trail.append("w", [make_entry(n) for n in range(2)])

    def choose(reads):
        with AuditTrail(trail.url, reads=reads) as audit:
            audit.sync.flush()

    return choose


@pytest.mark.parametrize(
    ("arguments", "subject", "said"),
    [
        (["query", "--user", "alice"], "alice", {"what": "query", "filter": ["user_id"], "count": 2}),
        (["query", "--format", "json"], None, {"what": "query", "filter": [], "count": 2}),
        (["show", "r1"], "alice", {"what": "show", "entry": "r1", "count": 1}),
        (["tail", "--no-follow"], None, {"what": "tail", "filter": [], "count": 2}),
        (["report", "cost", "--tenant", "x"], None, {"what": "report", "report": "cost", "count": 0}),
    ],
)
def test_a_command_obeys_the_trails_choice(trail, chosen, auditmw, arguments, subject, said):
    assert auditmw(*arguments)[0] == 0
    assert reads_of(trail) == []
    chosen("all")
    assert auditmw(*arguments)[0] == 0
    assert reads_of(trail) == [("ann", subject, said)]
    chosen("off")
    assert auditmw(*arguments)[0] == 0
    assert len(reads_of(trail)) == 1


def test_what_is_given_away_is_on_record_unless_no_read_is(trail, chosen, auditmw, tmp_path):
    def give(number):
        assert auditmw("access", "--user", "alice", "--out", str(tmp_path / f"copy{number}"))[0] == 0
        assert auditmw("export", "--format", "csv", "--out", str(tmp_path / f"{number}.csv"))[0] == 0

    give(1)
    assert [said["what"] for _, _, said in reads_of(trail)] == ["access", "export"]
    chosen("off")
    give(2)
    assert len(reads_of(trail)) == 2
    assert trail.select("SELECT count(*) FROM audit_settings WHERE name LIKE 'export/%'") == [(2,)]


def test_an_export_says_by_what_it_asked_and_is_on_record_before_it_is_written(trail, chosen, auditmw, monkeypatch):
    seen = []

    def cut_off(_, entries, progress):
        seen.append(next(iter(entries)).request_id)
        seen.append([said["count"] for _, _, said in reads_of(trail)])
        return 1

    monkeypatch.setattr("auditmw.cli.export.Export.run", cut_off)
    assert auditmw("export", "--format", "csv", "--since", "-1h", "--without", "who")[0] == 0
    assert seen == ["r0", [2]]
    assert reads_of(trail) == [
        ("ann", None, {"what": "export", "format": "csv", "without": ["who"], "filter": ["since"], "count": 2})
    ]


def test_an_export_that_finds_nothing_writes_nothing(trail, chosen, auditmw):
    assert auditmw("export", "--format", "jsonl", "--until", "-1h")[0] == 0
    assert reads_of(trail) == []


def test_where_every_read_is_on_record_an_export_leaves_out_the_ledger_alone(trail, chosen, auditmw):
    chosen("all")
    assert auditmw("export", "--format", "jsonl", "--no-record")[0] == 0
    assert [(said["what"], said["count"]) for _, _, said in reads_of(trail)] == [("export", 2)]
    assert trail.select("SELECT count(*) FROM audit_settings WHERE name LIKE 'export/%'") == [(0,)]


def test_a_command_shows_restricted_entries_for_a_purpose_only(restricted, auditmw, monkeypatch, tmp_path):
    monkeypatch.setenv("AUDITMW_DB", restricted.url)
    assert "alice" not in auditmw("query", "--format", "json")[1]
    assert auditmw("show", "r1")[0] == 3
    for command in (["query"], ["show", "r1"], ["export", "--format", "jsonl"]):
        code, out, err = auditmw(*command, "--restricted")
        assert (code, out) == (3, "")
        assert "what for?" in err
    assert reads_of(restricted) == []
    asked = ("--restricted", "--purpose", "claim 4711", "--actor", "ann")
    found = [json.loads(line) for line in auditmw("query", "--format", "json", *asked)[1].splitlines()]
    assert {entry["user_id"] for entry in found} == {"alice"}
    assert json.loads(auditmw("show", "r1", "--format", "json", *asked)[1])["user_id"] == "alice"
    assert auditmw("export", "--format", "jsonl", *asked)[1].count("alice") >= 2
    assert auditmw("export", "--format", "jsonl", "--no-record", *asked)[0] == 3
    assert [(user, said["what"], said["purpose"], said["count"]) for user, _, said in reads_of(restricted)] == [
        ("ann", "restricted", "claim 4711", 2),
        ("ann", "restricted", "claim 4711", 1),
        ("ann", "export", "claim 4711", 2),
    ]


def test_a_copy_for_a_person_counts_what_is_restricted_and_has_it_when_asked(
    restricted, auditmw, monkeypatch, tmp_path
):
    monkeypatch.setenv("AUDITMW_DB", restricted.url)
    assert auditmw("access", "--user", "alice", "--out", str(tmp_path / "without"))[0] == 0
    assert auditmw("access", "--user", "alice", "--restricted", "--out", str(tmp_path / "with"))[0] == 0
    assert (tmp_path / "without" / "entries.jsonl").read_text() == ""
    assert (tmp_path / "with" / "entries.jsonl").read_text().count('"user_id":"alice"') == 2
    for name in ("without", "with"):
        page = (tmp_path / name / "index.html").read_text()
        assert "To be erased, and kept by a law or for a dispute</h2><ul><li>2 entries</li>" in page
    assert [said.get("restricted") for _, _, said in reads_of(restricted)] == [None, True]


def test_a_long_read_is_on_record_page_by_page(trail, make_entry, chosen, auditmw):
    trail.append("v", [make_entry(n) for n in range(2, PAGE + 7)])
    chosen("all")
    assert auditmw("query", "--format", "json")[1].count("request_id") >= PAGE + 7
    assert [said["count"] for _, _, said in reads_of(trail)] == [PAGE, 7]
    with AuditTrail(trail.url) as audit:
        assert len(list(audit.sync.query())) == PAGE + 7
    assert [said["count"] for _, _, said in reads_of(trail)][2:] == [PAGE, 7]
