"""evopressd and evopress-worker as real processes on loopback."""

import json
import pathlib
import signal
import socket
import subprocess
import time

from tests.show.harness import BUILD

EVOPRESS = BUILD / "client" / "evopress"


def run(*args, timeout=7200, check=True):
    """Runs the CLI; returns (exit code, stdout, stderr)."""
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True,
                          timeout=timeout)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, args))} ended with {done.returncode}:\n"
                           f"{done.stderr[-2000:]}{done.stdout[-500:]}")
    return done.returncode, done.stdout, done.stderr


def evopress(*args, **kwargs):
    """Runs `evopress ARGS --json` and returns its JSON."""
    return json.loads(run(EVOPRESS, *args, "--json", **kwargs)[1])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Fleet:
    """A coordinator and its workers, each of which can be killed and restarted."""

    def __init__(self, folder: pathlib.Path, workers: int):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.address = f"127.0.0.1:{free_port()}"
        self.processes = {}
        self.start("coordinator")
        for i in range(workers):
            self.start(f"worker{i}")

    def start(self, name):
        log = open(self.folder / f"{name}.log", "a")
        if name == "coordinator":
            command = [BUILD / "server" / "evopressd", "--listen", self.address,
                       "--data", self.folder / "data"]
        else:
            command = [BUILD / "worker" / "evopress-worker", "--server", self.address,
                       "--id", name, "--cache", self.folder / name, "--threads", "1"]
        self.processes[name] = subprocess.Popen(
            [str(c) for c in command], stdout=log, stderr=log)
        if name == "coordinator":
            self._wait_for_port()

    def _wait_for_port(self):
        host, port = self.address.split(":")
        for _ in range(300):
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"evopressd did not come up: see {self.folder}/coordinator.log")

    def kill(self, name):
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    def job(self, name):
        return evopress("jobs", "get", name, "--server", self.address)

    def wait(self, name, timeout=7200, each=None):
        """Waits for the job's end; calls each(job) at every look."""
        end = time.time() + timeout
        while time.time() < end:
            try:
                job = self.job(name)
            except RuntimeError:  # the coordinator is down just now
                time.sleep(0.5)
                continue
            if each:
                each(job)
            if job["state"] in ("succeeded", "failed", "cancelled", "paused"):
                return job
            time.sleep(0.5)
        raise RuntimeError(f"{name} did not end in {timeout} s")

    def stop(self):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
