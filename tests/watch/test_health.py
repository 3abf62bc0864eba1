"""Claims about health: true words for a monitor, text that Prometheus reads, this machine only."""

from __future__ import annotations

import json
import re
from http.client import HTTPConnection

import pytest

from nii.watch import health
from nii.watch.health import Metrics, State, key, render, served

SAMPLE = re.compile(r'nii_watch_\w+(\{\w+="([^"\\\n]|\\.)*"(,\w+="([^"\\\n]|\\.)*")*\})? [-+.\de]+')


def ask(port: int, path: str) -> tuple[int, str]:
    """Return status and text of an answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_health_and_metrics() -> None:
    """200 while all is well, 503 with the reason while not; metrics always."""
    problems: dict[str, str] = {}
    metrics = Metrics()
    metrics.add("scans_total", lane="/in", outcome="inspected")
    with served(0, lambda: State(problems, metrics.values())) as port:
        assert port is not None
        assert ask(port, "/healthz") == (200, '{"status": "ok", "problems": {}}\n')
        problems["sink http"] = "refused"
        status, text = ask(port, "/healthz")
        assert (status, json.loads(text)["problems"]) == (503, problems)
        assert (
            'nii_watch_scans_total{lane="/in",outcome="inspected"} 1\n' in ask(port, "/metrics")[1]
        )
        assert ask(port, "/etc/passwd")[0] == 404
    with pytest.raises(ConnectionRefusedError):
        ask(port, "/healthz")


def test_off_without_a_port() -> None:
    """Without a port nothing listens."""
    with served(None, lambda: State({}, {})) as port:
        assert port is None


def test_only_this_machine() -> None:
    """The address is the loopback of this machine."""
    assert health.HOST == "127.0.0.1"


def test_text_form() -> None:
    """Every line is a comment or a sample of the text format, whatever a label holds."""
    values = {
        key("scans_total", lane='a"b\\c\nd ü', outcome="x"): 1e9,
        key("heartbeat_age_seconds"): 0.5,
        key("trouble", subject="disk"): 1.0,
    }
    lines = render(values).splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert len(samples) == 3
    assert all(SAMPLE.fullmatch(line) for line in samples)
    assert sum(line.startswith("# TYPE") for line in lines) == 3
