"""The server in a process of its own: tensors, scan files, limits and errors."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

httpx = pytest.importorskip("httpx", reason="the extra [test] is not installed")
pytest.importorskip("starlette", reason="the extra [serve] is not installed")
pytest.importorskip("uvicorn", reason="the extra [serve] is not installed")

from starlette.testclient import TestClient  # noqa: E402 - after the extra was asked for

from nii import formats  # noqa: E402
from nii.infer.detect import Detector  # noqa: E402
from nii.infer.inspect import inspect  # noqa: E402
from nii.infer.runtime import CPU, ProviderSettings  # noqa: E402
from nii.inspection import Inspection  # noqa: E402
from nii.preprocess import CHANNELS  # noqa: E402
from nii.serve.app import ServeSettings, create_app  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = min((ROOT / "data" / "samples").glob("*.png"), key=lambda path: path.stat().st_size)


@pytest.fixture(scope="module")
def detector() -> Detector:
    """Return the shipped model, open on the CPU."""
    folder = min((ROOT / "models").glob("*/card.json")).parent
    return Detector.open(folder, ProviderSettings((CPU,), threads=1))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Start nii serve as a process and return its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "nii.cli", "serve", "--port", str(port), "--threads", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                try:
                    if httpx.get(f"{address}/v2/health/ready").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield address
        finally:
            process.terminate()


def inputs(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return small tensors that the model takes."""
    sizes = {"detail": (1, len(CHANNELS), 64, 96), "overview": (1, len(CHANNELS), 128, 64)}
    return {name: rng.uniform(0, 1, size).astype(np.float32) for name, size in sizes.items()}


def binary_request(given: dict[str, np.ndarray]) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a request whose tensors are bytes, as its answer shall be."""
    rows = [
        {
            "name": name,
            "datatype": "FP32",
            "shape": list(array.shape),
            "parameters": {"binary_data_size": array.nbytes},
        }
        for name, array in given.items()
    ]
    head = json.dumps({"inputs": rows, "parameters": {"binary_data_output": True}}).encode()
    body = b"".join([head, *(array.tobytes() for array in given.values())])
    return body, {"Inference-Header-Content-Length": str(len(head))}


@pytest.mark.slow
def test_a_second_process_serves(server: str, detector: Detector, rng: np.random.Generator) -> None:
    """Over the wire come the facts, the maps and the inspection that the model gives at home."""
    model = f"{server}/v2/models/{detector.card.name}"
    assert httpx.get(f"{server}/v2/health/live").status_code == 200
    assert httpx.get(f"{model}/ready").json() == {"name": detector.card.name, "ready": True}
    facts = httpx.get(model).json()
    assert [row["name"] for row in facts["inputs"]] == ["detail", "overview"]
    given = inputs(rng)
    body, headers = binary_request(given)
    answer = httpx.post(f"{model}/infer", content=body, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    length = int(answer.headers["Inference-Header-Content-Length"])
    head, rest = json.loads(answer.content[:length]), answer.content[length:]
    truth = detector.session.run(given["detail"], given["overview"])
    for row, expected in zip(head["outputs"], truth, strict=False):
        size = row["parameters"]["binary_data_size"]
        found = np.frombuffer(rest[:size], "<f4").reshape(row["shape"])
        rest = rest[size:]
        assert np.allclose(found, expected, atol=1e-5)
    answer = httpx.post(f"{server}/inspect", content=SAMPLE.read_bytes(), timeout=60)
    told = Inspection.from_json(answer.json())
    at_home = inspect(formats.read(SAMPLE), detector)
    assert (told.level, told.regions) == (at_home.level, at_home.regions)
    assert told.structures == at_home.structures


def test_json_tensors_are_answered_in_json(detector: Detector, rng: np.random.Generator) -> None:
    """Without the binary extension numbers come as numbers, only those that are asked for."""
    given = inputs(rng)
    rows = [
        {
            "name": name,
            "datatype": "FP32",
            "shape": list(array.shape),
            "data": array.ravel().tolist(),
        }
        for name, array in given.items()
    ]
    data = {"id": "a", "inputs": rows, "outputs": [{"name": "threat_heat"}]}
    client = TestClient(create_app(detector))
    place = f"/v2/models/{detector.card.name}/versions/{detector.card.version}/infer"
    answer = client.post(place, json=data).json()
    assert (answer["id"], [row["name"] for row in answer["outputs"]]) == ("a", ["threat_heat"])
    truth = detector.session.run(given["detail"], given["overview"])[0]
    assert np.allclose(answer["outputs"][0]["data"], truth.ravel(), atol=1e-5)


def test_what_does_not_fit_is_told(detector: Detector, rng: np.random.Generator) -> None:
    """Other models, missing inputs, wrong sizes and files that are no scans have their answer."""
    client = TestClient(create_app(detector))
    model = f"/v2/models/{detector.card.name}"
    assert client.get("/v2/models/other").status_code == 404
    assert client.get(f"{model}/versions/0/ready").status_code == 404
    given = inputs(rng)
    for wrong in ({"detail": given["detail"]}, given | {"overview": given["overview"][:, :1]}):
        body, headers = binary_request(wrong)
        answer = client.post(f"{model}/infer", content=body, headers=headers)
        assert answer.status_code == 400
        assert "overview" in answer.json()["error"]
    answer = client.post("/inspect", content=b"no scan")
    assert answer.status_code == 422
    assert "/tmp" not in answer.json()["error"]  # noqa: S108 - the place of the copy is nobody's
    assert client.post("/inspect").status_code == 400


def test_every_answer_has_the_form_of_the_protocol(detector: Detector) -> None:
    """Health, facts and errors have exactly the keys that the protocol names, and are JSON."""
    client = TestClient(create_app(detector))
    card = detector.card
    model = f"/v2/models/{card.name}"
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    for place in (model, f"{model}/versions/{card.version}"):
        assert client.get(f"{place}/ready").json() == {"name": card.name, "ready": True}
        facts = client.get(place).json()
        assert {"name", "platform", "inputs", "outputs"} <= set(facts)
        assert facts["versions"] == [card.version]
        rows = [*facts["inputs"], *facts["outputs"]]
        assert all(set(row) == {"name", "datatype", "shape"} for row in rows)
    assert set(client.get("/v2").json()) == {"name", "version", "extensions"}
    for answer, status in (
        (client.get("/v2/nothing"), 404),
        (client.get(f"{model}/infer"), 405),
        (client.get("/v2/models/other"), 404),
        (client.post(f"{model}/infer", content=b"{"), 400),
    ):
        assert answer.status_code == status
        assert set(answer.json()) == {"error"}


def test_size_and_line_are_bounded(detector: Detector) -> None:
    """A body that is too large is refused, said or unsaid; a full line is told to come again."""
    client = TestClient(create_app(detector, ServeSettings(most_bytes=10)))
    assert client.post("/inspect", content=b"x" * 11).status_code == 413
    pieces = (b"x" for _ in range(11))
    assert client.post("/inspect", content=pieces).status_code == 413
    client = TestClient(create_app(detector, ServeSettings(most_waiting=0)))
    assert client.post("/inspect", content=b"x").status_code == 503
