"""Scraping: real exporters, discovery, relabelling, limits, failures, staleness, reload; Debian's promtool agrees
with the configuration."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys

import pytest
import requests
from prometheus_peer import start_node_exporter
from scrape_target import OPEN, TEXT, job, scraping

from conftest import VARAN, wait_until

__all__ = ["scraping"]  # the fixture


def test_text_with_labels_and_relabelling(scraping) -> None:
    e = scraping.exporter('a{x="1",job="own"} 3\ndrop_me 1\n# TYPE b gauge\nb NaN\n')
    scraping.start(
        job(
            "j",
            e.address,
            params={"m": ["v w"]},
            relabel_configs=[{"target_label": "dc", "replacement": "eu"}],
            metric_relabel_configs=[
                {"source_labels": ["__name__"], "regex": "drop_.*", "action": "drop"}
            ],
        ),
        job("honest", e.address, honor_labels=True),
    )
    scraping.wait('a{exported_job="own",job="j",dc="eu",x="1"}', 3)
    scraping.wait('a{job="own",dc=""}', 3)
    scraping.wait('scrape_samples_scraped{job="j"}', 3)
    scraping.wait('scrape_samples_post_metric_relabeling{job="j"}', 2)
    assert scraping.query('drop_me{job="j"}') == {}
    # Only the last questions of both jobs are kept.
    wait_until(lambda: "/metrics?m=v+w" in e.paths, 60, "the job's parameter")
    asked = e.asked[-1]
    assert asked["User-Agent"].startswith("Varan/")
    assert "openmetrics" in asked["Accept"]
    assert asked["X-Prometheus-Scrape-Timeout-Seconds"] == "0.5"


def test_openmetrics_with_exemplars(scraping) -> None:
    e = scraping.exporter(
        '# TYPE hits counter\n# HELP hits All.\nhits_total 7 # {trace_id="abc"} 1\n# EOF\n', OPEN
    )
    scraping.start(job("j", e.address))
    scraping.wait("hits_total", 7)

    def exemplars():
        return requests.get(
            scraping.server.url + "/prometheus/api/v1/query_exemplars",
            params={"query": "hits_total", "start": 0, "end": 4e9},
            timeout=60,
        ).json()["data"]

    found = wait_until(exemplars, 60, "an exemplar")
    assert found[0]["exemplars"][0]["labels"] == {"trace_id": "abc"}


def test_staleness_of_series_target_and_failure(scraping) -> None:
    e = scraping.exporter("a 1\nb 2\n")
    scraping.start(job("j", e.address))
    scraping.wait("b", 2)
    e.body = "a 1\n"  # a series goes
    scraping.wait("b", None)
    scraping.wait("a", 1)
    e.status = 500  # the scrape fails
    scraping.wait("up", 0)
    scraping.wait("a", None)
    e.status = 200  # and recovers
    scraping.wait("up", 1)
    scraping.wait("a", 1)
    scraping.write()  # the target goes
    assert scraping.reload().status_code == 200
    scraping.wait("up", None)
    scraping.wait("a", None)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("a 1\nb{ 2\n", TEXT),
        ("a 1\n", OPEN),
        ("a 1\n", "application/x-unknown"),
        ("a 1\n", ""),
        ('a{x="1",x="2"} 1\n', TEXT),
    ],
)
def test_bad_bodies_fail_the_whole_scrape(scraping, body: str, kind: str) -> None:
    e = scraping.exporter(body, kind)
    scraping.start(job("j", e.address))
    scraping.wait("up", 0)
    assert scraping.query("a") == {}


def test_limits(scraping) -> None:
    many = scraping.exporter("".join(f'm{{i="{i}"}} 1\n' for i in range(1000)))
    long = scraping.exporter('l{name="' + "x" * 500 + '"} 1\n')
    scraping.start(
        job("samples", many.address, sample_limit=999),
        job("enough", many.address, sample_limit=1000),
        job("body", many.address, body_size_limit="1KB"),
        job("value", long.address, label_value_length_limit=100),
        job("name", long.address, label_name_length_limit=3),
        job("labels", long.address, label_limit=2),
        job("targets", many.address, long.address, target_limit=1),
    )
    scraping.wait("sum(up)", 1)
    scraping.wait('up{job="enough"}', 1)
    wait_until(lambda: len(scraping.query("up == 0")) == 7, 60, "seven failing targets")
    scraping.wait('count({__name__=~"m|l"})', 1000)
    scraping.wait('scrape_samples_post_metric_relabeling{job="samples"}', 1000)


def test_a_million_series_against_a_limit(scraping) -> None:
    e = scraping.exporter("".join(f'm{{i="{i}"}} 1\n' for i in range(1_000_000)))
    good = scraping.exporter("good 1\n")
    scraping.start(
        job("million", e.address, sample_limit=5000, scrape_interval="5s"),
        job("good", good.address),
    )
    scraping.wait('up{job="million"}', 0)
    scraping.wait("good", 1)
    assert scraping.query("m") == {}


def test_authentication_and_gzip(scraping) -> None:
    secret = scraping.folder / "secret"
    secret.write_text("hush\n")
    basic, bearer = scraping.exporter("a 1\n"), scraping.exporter("b 2\n")
    basic.auth = "Basic " + base64.b64encode(b"me:hush").decode()
    bearer.auth, bearer.gzip = "Bearer hush", True
    scraping.start(
        job("basic", basic.address, basic_auth={"username": "me", "password_file": "secret"}),
        job("bearer", bearer.address, authorization={"credentials": "hush"}),
    )
    scraping.wait("a", 1)
    scraping.wait("b", 2)
    config = requests.get(scraping.server.url + "/prometheus/api/v1/status/config", timeout=60).text
    assert "hush" not in config
    secret.write_text("other")  # read for every scrape
    scraping.wait('up{job="basic"}', 0)


def test_tls(scraping) -> None:
    key, certificate = scraping.folder / "key.pem", scraping.folder / "cert.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost".split()
    command += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:shop.internal"]
    command += ["-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    e = scraping.exporter("a 1\n", tls=(certificate, key))

    def https(name: str, **settings) -> dict:
        address = e.address.replace("127.0.0.1", "localhost") if "name" in name else e.address
        return job(name, address, scheme="https", tls_config=settings, scrape_interval="2s")

    scraping.start(
        https("trusting", ca_file="cert.pem"),
        https("inlined", ca=certificate.read_text()),
        https("strict"),
        https("careless", insecure_skip_verify=True),
        https("unnamed", ca_file="cert.pem"),
        https("named", ca_file="cert.pem", server_name="shop.internal"),
        https("misnamed", ca_file="cert.pem", server_name="other.internal"),
        https("oddly-named", ca_file="cert.pem", server_name="a b/c"),
    )
    for good in ("trusting", "inlined", "careless", "named"):
        scraping.wait(f'a{{job="{good}"}}', 1)
    for bad in ("strict", "unnamed", "misnamed", "oddly-named"):
        scraping.wait(f'up{{job="{bad}"}}', 0)
    scraping.wait("sum(up)", 4)
    assert e.asked[-1]["Host"] in (e.address, e.address.replace("127.0.0.1", "localhost"))


def test_headers_and_proxies(scraping, monkeypatch) -> None:
    (scraping.folder / "key").write_text("from a file\n")
    e, proxy = scraping.exporter("a 1\n"), scraping.exporter("via 1\n")
    monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")  # for this test's own requests
    scraping.start(
        job(
            "headers", e.address, http_headers={"X-A": {"values": ["v"]}, "X-B": {"files": ["key"]}}
        ),
        job("environment", "shop.invalid:80", proxy_from_environment=True),
        job("set", "shop.invalid:80", proxy_url=f"http://{proxy.address}"),
        job("neither", "shop.invalid:80"),
        job("not-this", e.address, proxy_from_environment=True),
    )
    scraping.wait('a{job="headers"}', 1)
    wait_until(
        lambda: any(h.get("X-A") == "v" and h.get("X-B") == "from a file" for h in e.asked),
        60,
        "the job's headers",
    )
    scraping.wait("count(via)", 2)
    assert all(path.startswith("http://shop.invalid") for path in proxy.paths)
    scraping.wait('up{job="neither"}', 0)
    scraping.wait('a{job="not-this"}', 1)


def test_files_and_http_discovery(scraping) -> None:
    a, b = scraping.exporter("a 1\n"), scraping.exporter("b 1\n")
    groups = scraping.folder / "targets.json"
    groups.write_text(json.dumps([{"targets": [a.address], "labels": {"__meta_x": "y"}}]))
    lister = scraping.exporter(json.dumps([{"targets": [b.address]}]), "application/json")
    rule = {"source_labels": ["__meta_x"], "target_label": "x"}
    scraping.start(
        {
            "job_name": "files",
            "file_sd_configs": [{"files": ["targets*.json"]}],
            "relabel_configs": [rule],
        },
        {
            "job_name": "http",
            "http_sd_configs": [{"url": f"http://{lister.address}/t", "refresh_interval": "200ms"}],
        },
    )
    scraping.wait('a{job="files",x="y"}', 1)
    scraping.wait('b{job="http"}', 1)
    part = scraping.folder / "part"
    part.write_text(json.dumps([{"targets": [b.address]}]))
    part.rename(groups)
    lister.body = "[]"
    scraping.wait('b{job="files"}', 1)
    scraping.wait('a{job="files"}', None)
    scraping.wait('b{job="http"}', None)


def test_timestamps(scraping) -> None:
    e = scraping.exporter("old 1 1000\n")
    scraping.start(job("honor", e.address), job("own", e.address, honor_timestamps=False))
    scraping.wait('old{job="own"}', 1)
    assert scraping.query('old{job="honor"}') == {}  # 1970 is not now
    scraping.wait('up{job="honor"}', 1)


def test_reload_keeps_the_good_configuration(scraping) -> None:
    e = scraping.exporter("a 1\n")
    scraping.start(job("j", e.address))
    scraping.wait("a", 1)
    scraping.write({"job_name": "j", "scrape_intervall": "1s"})
    answer = scraping.reload()
    assert answer.status_code == 500
    assert "scrape_intervall" in answer.text
    assert "prometheus.yml:" in answer.text
    scraping.wait("up", 1)
    bad = subprocess.run(
        [scraping.server.process.args[0], "serve", "--prometheus-config", str(scraping.file)]
        + ["--data-dir", str(scraping.folder / "other")]
        + [f"--{x}=127.0.0.1:0" for x in ("listen", "otlp-http", "otlp-grpc")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert bad.returncode != 0
    assert "scrape_intervall" in bad.stderr


def test_check_config(tmp_path) -> None:
    def check(text: str) -> subprocess.CompletedProcess:
        (tmp_path / "p.yml").write_text(text)
        command = [str(VARAN), "metrics", "check-config", str(tmp_path / "p.yml")]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    good = check("rule_files: [a.yml]\nscrape_configs: [{job_name: a}]\n")
    assert good.returncode == 0
    assert "p.yml:1: rule_files is accepted and does nothing" in good.stdout
    assert "good, 1 scrape config" in good.stdout
    bad = check("scrape_configs:\n- job_nam: a\n")
    assert bad.returncode == 1
    assert 'p.yml:2: there is no key "job_nam"' in bad.stderr


def test_own_metrics(scraping) -> None:
    scraping.start(options=("--self-metrics=true",))
    scraping.wait('up{job="varan"}', 1)
    scraping.wait('process_resident_memory_bytes{job="varan"} > bool 1e6', 1)
    scraping.wait('varan_scrape_targets{job="varan"}', 1)


def test_node_exporter_and_prometheus_client(scraping) -> None:
    folder = scraping.folder / "multiprocess"
    folder.mkdir()
    program = (
        "import os, sys\n"
        "from http.server import HTTPServer\n"
        "from prometheus_client import Counter, Histogram, CollectorRegistry, multiprocess\n"
        "from prometheus_client import start_http_server\n"
        "c = Counter('work', 'Done.', ['kind']); h = Histogram('lag_seconds', 'Late.')\n"
        "for i in range(2):\n"
        "    if os.fork() == 0:\n"
        "        c.labels('x').inc(5); h.observe(0.3); os._exit(0)\n"
        "    os.wait()\n"
        "r = CollectorRegistry(); multiprocess.MultiProcessCollector(r)\n"
        "s, t = start_http_server(0, '127.0.0.1', registry=r)\n"
        "print(s.server_port, flush=True); sys.stdin.read()\n"
    )
    node = start_node_exporter(scraping.folder)
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
    )
    try:
        application = f"127.0.0.1:{process.stdout.readline().strip()}"
        scraping.start(
            job("node", node.address, scrape_interval="1s"),
            job("app", application, scrape_interval="1s"),
        )
        scraping.wait('work_total{job="app",kind="x"}', 10)
        scraping.wait('lag_seconds_bucket{job="app",le="0.5"}', 2)
        scraping.wait('up{job="node"}', 1)
        exposed = requests.get(f"{node.url}/metrics", timeout=60).text
        lines = [x for x in exposed.splitlines() if x and not x.startswith("#")]
        wait_until(
            lambda: (
                abs((scraping.value('scrape_samples_scraped{job="node"}') or 0) - len(lines)) < 20
            ),
            60,
            "all of the node exporter's samples",
        )
        scraping.wait('node_uname_info{job="node"}', 1)
        checked = subprocess.run(
            ["promtool", "check", "config", "--syntax-only", str(scraping.file)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert checked.returncode == 0, checked.stderr
    finally:
        process.kill()
        process.wait(60)
        node.stop()
