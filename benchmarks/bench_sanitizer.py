"""The sanitizer's scan beside other tools: speed, hostile inputs, precision and recall, evasion.

    python benchmarks/bench_sanitizer.py [--data DIR] [--tools auditmw,presidio] [--json] [--quick]

The data (`*.jsonl.gz` with `text` and `spans`) is not part of the project; without it only the speed of generated texts
and the hostile inputs are measured. own_synth and evasion were written for this comparison and flatter auditmw; the
other sets were not. A tool that is not installed says so. Times are processor time on this machine: compare tools of
one run, not runs.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import statistics
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import sanitizer_tools
import saved

if TYPE_CHECKING:
    from collections.abc import Iterable

DATA = Path(__file__).parent.parent.parent / "shared" / "data" / "sanitizer"

HOSTILE = {
    "@": "@", "a@": "a@", "1.": "1.", "DE89 ": "DE89 ", "12-": "12-", "password": "password", "password=": "password=",
    "a.": "a.", "+1(": "+1(", "1 ": "1 ", "0": "0", "a": "a", ":": ":", "::1 ": "::1 ", "%41": "%41", "sk-": "sk-",
    "4111 ": "4111 ", "http://": "http://", "eyJ": "eyJ", "A1b2C3d4": "A1b2C3d4", "-----BEGIN ": "-----BEGIN ",
    "[at] ": "[at] ", "zero-width": "1\u200b", "accents": "é1", "NUL": "\0", "0x": "0x", "key: ": "key: ", '"': '"',
    "secret='": "secret='", "discord_token=": "discord_token=", "1:": "1:", "a@b.": "a@b.", "/": "/", "=": "=",
}  # fmt: skip
ASKED_HOSTILE = ("@", "a@", "1.", "DE89 ", "12-", "password")

TARGETS = {
    ("own_synth", "EMAIL"): (0.99, 0.99), ("own_synth", "CARD"): (0.99, 0.98), ("psynth", "CARD"): (0.99, 0.92),
    ("own_synth", "IBAN"): (0.99, 0.99), ("own_synth", "SSN"): (0.98, 0.97), ("own_synth", "IP"): (0.98, 0.98),
    ("own_synth", "URL"): (0.98, 0.97), ("own_synth", "CRYPTO"): (0.99, 0.99), ("own_synth", "PASSPORT"): (0.90, 0.90),
    ("own_synth", "PHONE"): (0.93, 0.95), ("psynth", "PHONE"): (0.92, 0.72), ("own_synth", "SECRET"): (0.99, 0.98),
    ("own_synth", "PASSWORD"): (0.95, 0.92), ("psynth", "EMAIL"): (0.99, 0.99), ("psynth", "IBAN"): (0.99, 0.99),
    ("psynth", "SSN"): (0.98, 0.97), ("psynth", "IP"): (0.98, 0.98),
}  # fmt: skip
KINDS = ("EMAIL", "PHONE", "CARD", "IBAN", "SSN", "IP", "URL", "CRYPTO", "PASSPORT", "DATE", "SECRET", "PASSWORD")
LABELLED = {
    "psynth": ("EMAIL", "PHONE", "CARD", "IBAN", "SSN", "IP", "URL", "DATE"),
    "own_synth": KINDS,
    "datafog": ("EMAIL", "PHONE", "CARD", "SSN", "IP", "DATE"),
    "nanni": ("EMAIL", "SSN", "PASSWORD", "PASSPORT"),
}
CREDENTIALS = ("SECRET", "PASSWORD")

Scan = "Callable[[str], list[tuple[str, int, int]]]"


def load(directory: Path, name: str) -> list[dict]:
    with gzip.open(directory / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def median_time(scan: Scan, text: str, *, budget: float) -> float:
    """The median of several runs, in microseconds of this thread's processor time: other load does not count."""
    scan(text)
    times = []
    end = time.perf_counter() + budget
    while len(times) < 3 or (time.perf_counter() < end and len(times) < 2000):
        start = time.thread_time_ns()
        scan(text)
        times.append(time.thread_time_ns() - start)
    return statistics.median(times) / 1000


def one_pass(scan: Scan, texts: Iterable[str]) -> dict[str, float]:
    """Each text once, in microseconds: what a repeated text cannot show."""
    times = []
    for text in texts:
        start = time.thread_time_ns()
        scan(text)
        times.append((time.thread_time_ns() - start) / 1000)
    times.sort()
    return {
        "texts": len(times),
        "median": statistics.median(times),
        "mean": statistics.fmean(times),
        "p99": times[min(len(times) - 1, int(len(times) * 0.99))],
        "max": times[-1],
    }


def varied(rows: list[dict], size: int, count: int) -> list[str]:
    """Prompts of one size, cut from different texts, no two alike."""
    joined = "\n".join(row["text"] for row in rows)
    return [joined[at : at + size] for at in range(0, min(len(joined) - size, size * count), size)]


def overlap(a: tuple[int, int], b: tuple[int, int]) -> float:
    """Intersection over union."""
    shared = min(a[1], b[1]) - max(a[0], b[0])
    return shared / (max(a[1], b[1]) - min(a[0], b[0])) if shared > 0 else 0.0


def accuracy(scan: Scan, rows: list[dict], kinds: tuple[str, ...], misses: list | None = None) -> dict[str, dict]:
    """Precision and recall for each kind: a hit has the label's kind and overlaps it by half."""
    counts: dict[str, Counter] = defaultdict(Counter)
    for row in rows:
        wanted = (row["only"],) if "only" in row else kinds
        labels = [(kind, start, end) for start, end, kind in row["spans"] if kind in wanted]
        found = [finding for finding in scan(row["text"]) if finding[0] in wanted]
        matched = set()
        for kind, start, end in labels:
            hit = next(
                (
                    index
                    for index, (k, s, e) in enumerate(found)
                    if index not in matched and k == kind and overlap((s, e), (start, end)) >= 0.5
                ),
                None,
            )
            counts[kind]["labels"] += 1
            if hit is None:
                if misses is not None:
                    misses.append(("missed", kind, row["text"][max(0, start - 40) : end + 20], row["text"][start:end]))
            else:
                matched.add(hit)
                counts[kind]["hits"] += 1
        for index, (kind, start, end) in enumerate(found):
            counts[kind]["found"] += 1
            if index not in matched and misses is not None:
                misses.append(("wrong", kind, row["text"][max(0, start - 40) : end + 20], row["text"][start:end]))
    return {
        kind: {
            "labels": c["labels"],
            "precision": c["hits"] / c["found"] if c["found"] else None,
            "recall": c["hits"] / c["labels"] if c["labels"] else None,
        }
        for kind, c in sorted(counts.items())
    }


def gitleaks(scan: Scan, rows: list[dict], misses: list | None = None) -> dict[str, float]:
    """The share of positives with any credential found, of must-not-match texts with an alarm, and SECRET alone."""
    tally = Counter()
    for row in rows:
        found = [finding for finding in scan(row["text"]) if finding[0] in CREDENTIALS]
        positive = row["label"] == "tps"
        tally[positive] += 1
        tally[positive, "any"] += bool(found)
        tally[positive, "secret"] += any(kind == "SECRET" for kind, _, _ in found)
        if misses is not None and positive != bool(found):
            misses.append(("missed" if positive else "alarm", row["rule"], row["text"][:300], found))
    return {
        "recall": tally[True, "any"] / tally[True],
        "recall_secret": tally[True, "secret"] / tally[True],
        "alarms": tally[False, "any"] / tally[False],
        "alarms_secret": tally[False, "secret"] / tally[False],
    }


def coverage(scan: Scan, rows: list[dict], misses: list | None = None) -> dict[str, float]:
    """Labels half covered by credentials found; credentials found that touch a label, or overlap one by half."""
    tally = Counter()
    for row in rows:
        labels = [(start, end) for start, end, _ in row["spans"]]
        found = [(start, end) for kind, start, end in scan(row["text"]) if kind in CREDENTIALS]
        for start, end in labels:
            covered = sum(max(0, min(end, e) - max(start, s)) for s, e in found)
            tally["labels"] += 1
            tally["covered"] += covered * 2 >= end - start
            if misses is not None and covered * 2 < end - start:
                misses.append(
                    ("missed", row["path"], row["text"][max(0, start - 50) : end + 10], row["text"][start:end])
                )
        for s, e in found:
            inside = sum(max(0, min(end, e) - max(start, s)) for start, end in labels)
            tally["found"] += 1
            tally["right"] += inside * 2 >= e - s
            tally["same"] += any(overlap((s, e), label) >= 0.5 for label in labels)
            if misses is not None and inside * 2 < e - s:
                misses.append(("wrong", row["path"], row["text"][max(0, s - 50) : e + 10], row["text"][s:e]))
    return {
        "covered": tally["covered"] / tally["labels"],
        "precision": tally["right"] / max(1, tally["found"]),
        "precision_half_overlap": tally["same"] / max(1, tally["found"]),
    }


def evasion(scan: Scan, rows: list[dict], misses: list | None = None) -> dict[str, str]:
    """For each way of hiding, how many of its cases are found all the same."""
    tally: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        start, end, kind = row["spans"][0]
        found = any(k == kind and overlap((s, e), (start, end)) >= 0.5 for k, s, e in scan(row["text"]))
        tally[row["ev"]][0] += found
        tally[row["ev"]][1] += 1
        if misses is not None and not found:
            misses.append((row["ev"], row["text"], scan(row["text"])))
    result = {name: f"{got}/{of}" for name, (got, of) in sorted(tally.items())}
    result["all"] = f"{sum(got for got, _ in tally.values())}/{sum(of for _, of in tally.values())}"
    return result


def alarms(scan: Scan, rows: list[dict], misses: list | None = None) -> dict[str, float]:
    """Findings in 100,000 characters of text with nothing to find, without EMAIL, URL, IP and DATE."""
    characters = sum(len(row["text"]) for row in rows)
    kinds = Counter()
    for row in rows:
        for kind, start, end in scan(row["text"]):
            if kind not in ("EMAIL", "URL", "IP", "DATE"):
                kinds[kind] += 1
                if misses is not None:
                    misses.append((kind, row["text"][max(0, start - 60) : end + 30], row["text"][start:end]))
    return {kind: count * 1e5 / characters for kind, count in kinds.items()} | {"all": kinds.total() * 1e5 / characters}


def hostile(scan: Scan, *, budget: float) -> dict[str, dict[str, float]]:
    """32 KB of one repeated piece, and twice of it: milliseconds and the growth."""
    result = {}
    for name, piece in HOSTILE.items():
        text = (piece * 65536)[:32768]
        once = median_time(scan, text, budget=budget)
        twice = median_time(scan, text + text, budget=budget)
        result[name] = {"ms": once / 1000, "growth": twice / once}
    return result


def measure(tool: sanitizer_tools.Tool, directory: Path, *, quick: bool, misses: bool) -> dict:
    """All of one tool's numbers."""
    scan = tool.scan
    budget = 0.05 if quick else 0.4
    report: dict = {}
    noted: dict[str, list] = defaultdict(list)
    note = (lambda name: noted[name]) if misses else (lambda _: None)
    if directory.is_dir():
        texts = json.loads(gzip.decompress((directory / "speed_texts.json.gz").read_bytes()))
        clean = texts["clean_4k"]
        texts["zero_width_4k"] = clean[:2000] + "\u200b" + clean[2000:]
        report["speed_us"] = {name: median_time(scan, text, budget=budget) for name, text in texts.items()}
        data = texts["clean_32k"].encode()
        report["clean_32k_in_sha256"] = report["speed_us"]["clean_32k"] / median_time(
            lambda _: hashlib.sha256(data).digest(), "", budget=budget
        )
        report["zero_width_in_clean"] = report["speed_us"]["zero_width_4k"] / report["speed_us"]["clean_4k"]
        if tool.fast or not quick:
            sets = {name: load(directory, name) for name in ("negtext", "own_synth", "psynth")}
            report["one_pass_us"] = {
                "negtext 4 KB": one_pass(scan, varied(sets["negtext"], 4096, 250)),
                "own_synth 4 KB": one_pass(scan, varied(sets["own_synth"], 4096, 150)),
                "own_synth prompts": one_pass(scan, (row["text"] for row in sets["own_synth"][:1000])),
            }
        report["accuracy"] = {
            name: accuracy(tool.scan_all, load(directory, name), kinds, note(name)) for name, kinds in LABELLED.items()
        }
        report["accuracy"]["ptests"] = accuracy(
            tool.scan_all, [row for row in load(directory, "ptests_dev") if row["only"] in KINDS], KINDS, note("ptests")
        )
        report["gitleaks_cases"] = gitleaks(scan, load(directory, "gitleaks_cases_dev"), note("gitleaks"))
        report["credsweeper"] = coverage(scan, load(directory, "credsweeper_dev"), note("credsweeper"))
        report["negtext_alarms"] = alarms(scan, load(directory, "negtext"), note("negtext"))
        report["evasion"] = evasion(scan, load(directory, "evasion_dev"), note("evasion"))
    if tool.fast:
        report["hostile"] = hostile(scan, budget=budget / 4)
    if misses:
        report["misses"] = noted
    return report


def show(name: str, report: dict) -> None:
    """One tool's numbers as text, those that are below what was asked marked."""
    print(f"\n=== {name}")
    if "speed_us" in report:
        print("speed, median us    ", "  ".join(f"{key} {value:,.1f}" for key, value in report["speed_us"].items()))
        print(f"clean 32 KB costs {report['clean_32k_in_sha256']:.0f} times its sha256; a zero-width character in 4 KB "
              f"{report['zero_width_in_clean']:.2f} times clean")  # fmt: skip
        for key, values in report.get("one_pass_us", {}).items():
            print(f"one pass, {key:18}", "  ".join(f"{k} {v:,.0f}" for k, v in values.items()))
        print(f"{'precision / recall':20}" + "".join(f"{kind:>15}" for kind in KINDS))
        for key, kinds in report["accuracy"].items():
            print(f"{key:20}" + "".join(f"{_pair(key, kind, kinds.get(kind)):>15}" for kind in KINDS))
        for key in ("gitleaks_cases", "credsweeper", "negtext_alarms"):
            print(f"{key:20}", "  ".join(f"{k} {v:.3f}" for k, v in report[key].items()))
        print(f"{'evasion':20}", "  ".join(f"{k} {v}" for k, v in report["evasion"].items()))
    if "hostile" in report:
        worst = max(report["hostile"].values(), key=lambda row: row["ms"])
        asked = max(report["hostile"][key]["ms"] for key in ASKED_HOSTILE)
        print(f"hostile 32 KB        worst {worst['ms']:.1f} ms, of the asked ones {asked:.1f} ms, "
              f"growth at most {max(row['growth'] for row in report['hostile'].values()):.2f}")  # fmt: skip
        print(
            "    "
            + "  ".join(f"{key!r} {row['ms']:.1f} x{row['growth']:.2f}" for key, row in report["hostile"].items())
        )
    for key, rows in report.get("misses", {}).items():
        for row in rows:
            print(f"  {key}: ", *(repr(part) for part in row))


def _pair(name: str, kind: str, row: dict | None) -> str:
    if not row or not row["labels"]:
        return "-"
    precision, recall = row["precision"] or 0.0, row["recall"] or 0.0
    target = TARGETS.get((name, kind))
    below = target and (precision < target[0] or recall < target[1])
    return f"{precision:.3f}/{recall:.3f}{'!' if below else ' '}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("AUDITMW_SANITIZER_DATA", DATA)))
    parser.add_argument("--tools", default=",".join(sanitizer_tools.MAKERS), help="names, separated by commas")
    saved.add_option(parser)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--misses", action="store_true", help="list what was missed or wrongly found")
    arguments = parser.parse_args()
    reports: dict[str, dict | str] = {}
    for name in arguments.tools.split(","):
        tool = sanitizer_tools.make(name)
        reports[name] = (
            "not installed"
            if tool is None
            else measure(tool, arguments.data, quick=arguments.quick, misses=arguments.misses)
        )
        if isinstance(reports[name], str):
            print(f"\n=== {name}: not installed")
        else:
            show(name, reports[name])
    saved.save(arguments, reports)


if __name__ == "__main__":
    main()
