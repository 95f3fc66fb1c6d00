"""kill -9 at random moments under load: every acknowledged span and log is there after the restart."""

from __future__ import annotations

import os
import random
import threading

import requests

from payloads import logs, traces

ROUNDS = int(os.environ.get("VARAN_CRASH_ROUNDS", "30"))
# Digits alone may look like a credit card's number, which scrubbing removes.
LETTERS = str.maketrans("0123456789", "ghijklmnop")
HEADERS = {"content-type": "application/x-protobuf"}


class Sender(threading.Thread):
    """Sends batches until told to stop; remembers what was acknowledged."""

    def __init__(self, url: str, seed: int):
        super().__init__(daemon=True)
        self.url, self.random, self.stopping = url, random.Random(seed), threading.Event()
        self.spans: list[str] = []
        self.lines: list[str] = []

    def run(self) -> None:
        session = requests.Session()
        while not self.stopping.is_set():
            count = self.random.randrange(1, 200)
            request, ids = traces(count, service="crash")
            bodies = [f"line {os.urandom(8).hex().translate(LETTERS)}" for _ in range(count)]
            try:
                if self._post(session, "/v1/traces", request):
                    self.spans += ids
                if self._post(session, "/v1/logs", logs(bodies, service="crash")):
                    self.lines += bodies
            except requests.RequestException:
                return  # the server was killed

    def _post(self, session, path, request) -> bool:
        answer = session.post(
            self.url + path, data=request.SerializeToString(), headers=HEADERS, timeout=60
        )
        return answer.status_code == 200


def test_nothing_acknowledged_is_lost(new_server):
    server = new_server()
    dice = random.Random(20261120)
    spans: set[str] = set()
    lines: set[str] = set()
    number = 0
    # Further rounds where the machine was so slow that too little was sent to prove anything.
    while number < ROUNDS or (len(spans) <= ROUNDS * 10 and number < 5 * ROUNDS):
        number += 1
        server.start()
        senders = [Sender(server.otlp, number * 10 + i) for i in range(3)]
        for sender in senders:
            sender.start()
        threading.Event().wait(dice.uniform(0.05, 0.7))  # the random moment itself
        server.kill()
        for sender in senders:
            sender.stopping.set()
            sender.join(90)
            assert not sender.is_alive()
            spans.update(sender.spans)
            lines.update(sender.lines)
    assert len(spans) > ROUNDS * 10, "the load was too small to prove anything"
    server.start()
    stored = {row[0] for row in server.sql("SELECT lower(hex(span_id)) FROM spans LIMIT 10000000")}
    assert spans - stored == set()
    stored = {row[0] for row in server.sql("SELECT body FROM logs LIMIT 10000000")}
    assert lines - stored == set()
