"""The naive way: digests, and a synchronous SQLite commit for each call."""

import hashlib
import json
import sqlite3
import time
import uuid

import anthropic


class Logger(anthropic.Middleware):
    def __init__(self, path):
        self.db = sqlite3.connect(path)
        self.db.execute("CREATE TABLE log (id, at, model, latency, tokens_in, tokens_out, sent, received)")

    async def handle_async(self, request, call_next):
        started = time.perf_counter()
        response = await call_next(request)
        sent = hashlib.sha256(json.dumps(request.json, sort_keys=True).encode()).hexdigest()
        received, tokens = None, {}
        if response.http_response.is_closed:
            received = hashlib.sha256(response.http_response.content).hexdigest()
            tokens = json.loads(response.http_response.content)["usage"]
        row = (str(uuid.uuid4()), time.time(), request.json["model"], time.perf_counter() - started)
        row += (tokens.get("input_tokens"), tokens.get("output_tokens"), sent, received)
        self.db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        self.db.commit()
        return response


def set_up(client, folder):
    logger = Logger(f"{folder}/naive.db")
    return client.with_middleware(logger), logger.db.close
