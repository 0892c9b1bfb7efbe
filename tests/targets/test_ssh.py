"""A device over ssh, which is this machine behind an ssh server of its own: what it gives, and every way to fail."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ssh_server
import tiny_models

from compress.errors import ConnectionLost, ModelError, ToolError
from compress.targets import Session, encode, ssh, ssh_connection
from compress.targets.ssh import SshDevice, open_device


@pytest.fixture
def board(server: ssh_server.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SshDevice]:
    """Makes devices that this user's `ssh` reaches; their temporary folders are made in tmp_path / "there"."""
    monkeypatch.setenv("PATH", server.path)
    (tmp_path / "there").mkdir()
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nTMPDIR={tmp_path}/there exec {sys.executable} "$@"\n')
    python.chmod(0o755)

    def make(destination: str = "board", **options: Any) -> SshDevice:
        return SshDevice(name="pi4", destination=destination, **{"python": str(python), "timeout_s": 20, **options})

    return make


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return tmp_path / "there"


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def works_in(folder: Path) -> list[int]:
    """The processes of worker.py whose working folder is below a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            below = folder in (process / "cwd").readlink().parents
            if below and b"worker.py" in (process / "cmdline").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return sorted(found)


def test_the_same_outputs_and_true_latencies_over_one_connection(
    board: Callable[..., SshDevice], server: ssh_server.Server, there: Path, host: Session, models: Path
) -> None:
    """Oracle: the session on the host, whose runtimes are the same."""
    before = server.connections()
    with open_device(board()) as session:
        (folder,) = there.iterdir()
        for name in ("int8.tflite", "float.onnx"):
            info = session.describe(models / name)
            assert info == host.describe(models / name)
            inputs = encode(info.inputs[0], tiny_models.images(5))
            np.testing.assert_array_equal(session.run(models / name, inputs), host.run(models / name, inputs))
            durations = session.time(models / name, inputs[:1], warmup=2, n=7)
            assert len(durations) == 7
            assert all(duration > 0 for duration in durations)
        assert session.how == "native"
        assert session.runtimes == {"litert": "litert 2.3.0", "onnxruntime": "onnxruntime 1.32.0"}
        assert session.machine["architecture"] == os.uname().machine
        assert {"processor", "cores", "system", "governor", "board", "most_khz", "python"} <= session.machine.keys()
        assert len([path for path in folder.iterdir() if path.suffix in (".tflite", ".onnx")]) == 2, "each is sent once"
    wait_until(lambda: not folder.exists())
    assert works_in(there) == []
    assert server.connections() - before == 1
    session.close()  # again does no harm


def test_a_bad_model_is_one_error_and_the_next_job_runs(
    board: Callable[..., SshDevice], models: Path, tmp_path: Path
) -> None:
    (tmp_path / "noise.onnx").write_bytes(b"\x99" * 200)
    with open_device(board()) as session:
        with pytest.raises(ModelError, match=r"noise.onnx on pi4 under onnxruntime .*: describe failed"):
            session.describe(tmp_path / "noise.onnx")
        assert session.describe(models / "float.onnx").inputs


UNREACHED = [
    ({"destination": "off"}, r"pi4: ssh did not reach off: ssh: connect to host 127.0.0.1 port 1: Connection refused; "
     r".*power and network"),
    ({"port": 1}, r"ssh did not reach board: .* port 1: Connection refused"),
    ({"destination": "stranger"}, r"ssh did not reach stranger: Host key verification failed.; .* compare the fingerp"),
    ({"destination": "forbidden"}, r"ssh did not reach forbidden: .*Permission denied.*ssh-copy-id forbidden"),
    ({"python": "python9"}, r"pi4: python9 was not found on board, expected a Python with the runtimes"),
    ({"python": "false"}, r"pi4: false on board failed: it said nothing"),
    ({"python": "echo"}, r"pi4: the shell of board prints b'-c import sys.*' by itself"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), UNREACHED)
def test_what_is_not_reached_is_one_line(
    board: Callable[..., SshDevice], there: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ToolError, match=message) as caught:
        open_device(board(**changes))
    assert "\n" not in str(caught.value)
    assert list(there.iterdir()) == []


def test_a_greeting_that_could_be_an_answer(board: Callable[..., SshDevice], tmp_path: Path) -> None:
    """JSON, but not what was asked."""
    (tmp_path / "greeting").write_text("#!/bin/sh\necho 17\n")
    (tmp_path / "greeting").chmod(0o755)
    with pytest.raises(ToolError, match=r"pi4: the shell of board prints b'17\\n' by itself, expected silence"):
        open_device(board(python=str(tmp_path / "greeting")))


def test_an_answer_that_does_not_come(
    board: Callable[..., SshDevice], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_connection, "HELLO_S", 1.0)
    (tmp_path / "slow").write_text("#!/bin/sh\nexec sleep 5\n")
    (tmp_path / "slow").chmod(0o755)
    with pytest.raises(ToolError, match="pi4: board did not answer within 1 s, expected an answer in a few"):
        open_device(board(python=str(tmp_path / "slow")))


def test_a_python_that_is_too_old(board: Callable[..., SshDevice], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "OLDEST_PYTHON", (3, 99))
    with pytest.raises(
        ToolError, match=r"pi4: .*python there is Python 3\.11\.\d+, expected 3.99 or later; name another"
    ):
        open_device(board())


def test_a_server_that_allows_one_session(board: Callable[..., SshDevice], models: Path) -> None:
    with (
        open_device(board("narrow")) as session,
        pytest.raises(ToolError, match="pi4: narrow gives one connection too few sessions, expected 4 at once"),
    ):
        session.describe(models / "float.onnx")


def test_without_a_temporary_folder_here(board: Callable[..., SshDevice], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    with pytest.raises(ToolError, match=r"pi4: no temporary folder here .* set TMPDIR"):
        open_device(board())


def test_without_ssh(board: Callable[..., SshDevice], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolError, match="`ssh` was not found on PATH, expected it to reach pi4"):
        open_device(board())


def test_a_python_without_the_runtimes(board: Callable[..., SshDevice], models: Path, tmp_path: Path) -> None:
    """-S: without any installed package."""
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    with open_device(board(python=str(bare))) as session:
        assert session.runtimes == {}
        with pytest.raises(
            ToolError, match=r"pi4: the Python package ai-edge-litert was not found in .*==2\.3\.0` there"
        ):
            session.describe(models / "int8.tflite")


def lose_during(there: Path, job: Callable[[], object], lose: Callable[[], None]) -> str:
    """Lose the connection once a worker is at its job; return what the user reads."""

    def wait_and_lose() -> None:
        wait_until(lambda: len(works_in(there)) == 2)
        time.sleep(0.3)  # by then it has opened the model, and would go on without its folder
        lose()

    thread = threading.Thread(target=wait_and_lose)
    thread.start()
    try:
        with pytest.raises(ConnectionLost) as caught:
            job()
    finally:
        thread.join()
    return str(caught.value)


def test_a_connection_that_drops_in_mid_run_is_lost_and_leaves_nothing_there(
    board: Callable[..., SshDevice], server: ssh_server.Server, there: Path, hanging: Path, models: Path
) -> None:
    with open_device(board()) as session:
        session.describe(models / "float.onnx")
        said = lose_during(there, lambda: session.run(hanging, np.zeros((1, 4), np.float32)), server.drop)
        assert said.startswith("pi4: the connection to board was lost: Connection to 127.0.0.1 closed by remote host.;")
        with pytest.raises(ToolError):
            session.describe(models / "float.onnx")
    wait_until(lambda: not list(there.iterdir()) and not works_in(there))


def test_a_connection_that_falls_silent_is_lost_and_the_model_is_not_blamed(
    board: Callable[..., SshDevice],
    server: ssh_server.Server,
    there: Path,
    hanging: Path,
    models: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ssh_connection, "SILENT_S", 1.0)
    with open_device(board(timeout_s=4)) as session:
        session.describe(models / "float.onnx")
        try:
            said = lose_during(
                there,
                lambda: session.run(hanging, np.zeros((1, 4), np.float32)),
                lambda: server.send(signal.SIGSTOP),
            )
        finally:
            server.send(signal.SIGCONT)
    assert "the connection to board was lost: it was silent for 1 s; expected it to last" in said


def test_a_hanging_job_ends_at_its_deadline(
    board: Callable[..., SshDevice], hanging: Path, models: Path, there: Path
) -> None:
    with open_device(board(timeout_s=2)) as session:
        session.describe(models / "float.onnx")
        with pytest.raises(ModelError, match=r"hanging.onnx on pi4 .* did not finish within 2 s"):
            session.run(hanging, np.zeros((1, 4), np.float32))
        assert session.describe(models / "float.onnx").inputs
    wait_until(lambda: not works_in(there))


def test_a_worker_that_is_killed_there_is_named_and_replaced(
    board: Callable[..., SshDevice], there: Path, hanging: Path, models: Path
) -> None:
    """With the job that it has at work, as where memory ends."""

    def kill() -> None:
        wait_until(lambda: len(works_in(there)) == 2)
        for process in works_in(there):
            os.kill(process, signal.SIGKILL)

    with open_device(board()) as session:
        session.describe(models / "float.onnx")
        thread = threading.Thread(target=kill)
        thread.start()
        with pytest.raises(ModelError, match=r"hanging.onnx on pi4 .*: the worker died of SIGKILL"):
            session.run(hanging, np.zeros((1, 4), np.float32))
        thread.join()
        assert session.describe(models / "float.onnx").inputs


def test_a_full_disk_there(board: Callable[..., SshDevice], there: Path, models: Path) -> None:
    """/dev/full in the place of a file that is written there: the system's own answer to a full disk."""
    with open_device(board()) as session:
        info = session.describe(models / "float.onnx")
        inputs = encode(info.inputs[0], tiny_models.images(1))
        (folder,) = there.iterdir()
        (folder / "outputs.npy").symlink_to("/dev/full")
        with pytest.raises(ToolError, match=r"pi4: a file could not be written to .*expected room"):
            session.run(models / "float.onnx", inputs)
    with open_device(board()) as session:
        (folder,) = (path for path in there.iterdir() if path != folder)
        (folder / "worker.py").symlink_to("/dev/full")
        with pytest.raises(
            ToolError, match=r"pi4: a file could not be written to .*No space left on device.*free some"
        ):
            session.describe(models / "float.onnx")
