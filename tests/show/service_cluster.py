"""A coordinator and workers that start warm, small jobs, and the oracle: what a
fault-free run with one worker gives. Every comparison is bit for bit."""

import dataclasses
import functools
import hashlib
import json
import pathlib
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import time

from tests.show.harness import BUILD
from tests.show.service import EVOPRESS, free_port, run

COORDINATOR = BUILD / "server" / "evopressd"
WORKER = BUILD / "worker" / "evopress-worker"
EVALUATOR = BUILD / "worker" / "evopress-evaluator-cpu"

# A lease lives three of these.
HEARTBEAT = 0.5
LEASE = 3 * HEARTBEAT

ENDED = ("succeeded", "failed", "cancelled")

# The jobs differ in their texts, so none of them knows a measurement of
# another, whatever the order they run in: what each measures can be counted.
JOBS = (("c4", "wiki"), ("code", "technical"), ("multilingual", "tiny"))


def job_flags(data, index, generations):
    calibration, held_out = JOBS[index]
    return [data.model, "--text", data.text(calibration), "--held-out",
            f"{held_out}={data.text(held_out)}", "--menu", "rtn:2-6:g64", "--target-bits", 3,
            "--strategy", "evopress", "--generations", generations, "--offspring", 8,
            "--survivors", "2,1", "--tokens", "128,256", "--statistics-tokens", 1024,
            "--held-out-tokens", 512, "--sequence-length", 128, "--seed", data.seed + index]


@functools.lru_cache
def template(data_model, work, seed, text):
    """A data folder whose artifacts and levels are there and nothing is measured
    that the jobs ask for, and a worker's cache: kept between runs."""
    stamp = hashlib.sha256()
    stamp.update(pathlib.Path(data_model).name.encode())
    for binary in (COORDINATOR, WORKER, EVALUATOR):
        stamp.update(binary.read_bytes())
    folder = work / "template" / stamp.hexdigest()[:16]
    if (folder / "complete").exists():
        return folder
    shutil.rmtree(work / "template", ignore_errors=True)
    with Cluster(folder, 1, warm=None) as cluster:
        run(EVOPRESS, "submit", data_model, "--text", text, "--held-out", f"x={text}",
            "--menu", "rtn:2-6:g64", "--target-bits", 3, "--strategy", "uniform",
            "--statistics-tokens", 1024, "--held-out-tokens", 512, "--sequence-length", 256,
            "--seed", seed, "--server", cluster.address, "--watch")
    (folder / "complete").touch()
    return folder


def warm(data):
    return template(data.model, data.work, data.seed, data.text("c4"))


class Cluster:
    """Real processes, each of which can be stopped, killed and started again."""

    # Set to a function that gives the URL of a fresh, warm journal: all clusters
    # then keep theirs in PostgreSQL.
    new_journal = None

    def __init__(self, folder, workers, warm, listen=(), start=True, data=None):
        self.folder = folder
        self.journal = Cluster.new_journal(warm) if Cluster.new_journal and warm else None
        self.data = data or folder / "data"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.warm = warm
        self.listen = list(listen)
        self.address = f"127.0.0.1:{free_port()}"
        self.processes = {}
        if warm and not data:
            subprocess.run(["cp", "-al", warm / "data", self.data], check=True)
            # What is written in place gets a copy of its own.
            (self.data / "lock").unlink(missing_ok=True)
            for path in self.data.glob("journal*"):
                path.unlink()
                shutil.copy(warm / "data" / path.name, path)
        if start:
            self.start_coordinator()
            for i in range(workers):
                self.start_worker(f"worker{i}")

    def _spawn(self, name, command, env=None):
        with open(self.folder / f"{name}.log", "a") as log:
            self.processes[name] = subprocess.Popen(
                [str(c) for c in command], stdout=log, stderr=log, env=env)

    def start_coordinator(self):
        listen = [a for address in [self.address, *self.listen] for a in ("--listen", address)]
        insecure = ["--insecure"] if self.listen else []
        self.spawn_coordinator("coordinator", [*listen, *insecure], self.data)
        host, port = self.address.split(":")
        end = time.time() + 60
        while time.time() < end and self.processes["coordinator"].poll() is None:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"evopressd did not come up: see {self.folder}/coordinator.log")

    def spawn_coordinator(self, name, flags, data):
        store = ["--journal", self.journal] if self.journal else []
        self._spawn(name, [COORDINATOR, *flags, *store, "--data", data, "--heartbeat",
                           f"{HEARTBEAT}s"])

    def start_worker(self, name, server=None, evaluator=EVALUATOR, binary=WORKER, prefix=(),
                     env=None):
        cache = self.folder / name
        if self.warm and not cache.exists():
            subprocess.run(["cp", "-al", self.warm / "worker0", cache], check=True)
        plain = ["--insecure"] if server in self.listen else []
        self._spawn(name, [*prefix, binary, "--server", server or self.address, *plain,
                           "--id", name, "--cache", cache, "--threads", "1", "--evaluator", evaluator,
                           "--verbose"], env)

    def signal(self, name, number):
        self.processes[name].send_signal(number)

    def kill(self, name):
        self.signal(name, signal.SIGKILL)
        self.processes[name].wait()

    def ask(self, *args, timeout=60):
        """The answer of `evopress ARGS`; RuntimeError if the coordinator is away."""
        return json.loads(run(EVOPRESS, *args, "--server", self.address, "--json",
                              timeout=timeout)[1])

    def submit(self, data, index, generations, server=None, tries=1):
        """Asks again until the job is acknowledged; returns its name."""
        for attempt in range(tries):
            code, out, err = run(EVOPRESS, "submit", *job_flags(data, index, generations),
                                 "--server", server or self.address, "--json", check=False)
            if code == 0:
                return json.loads(out)["name"]
            time.sleep(0.2)
        raise RuntimeError(f"submit: {err[-500:]}")

    def submit_all(self, data, generations=6, **how):
        return [self.submit(data, i, generations, **how) for i in range(len(JOBS))]

    def jobs(self):
        """All jobs by name, or None while the coordinator is away."""
        try:
            return {job["name"]: job for job in self.ask("jobs", "list")}
        except (RuntimeError, subprocess.TimeoutExpired):
            return None

    def wait(self, names, each=None, timeout=300, every=0.2):
        """Waits until the jobs have ended; calls each(jobs) at every look."""
        end = time.time() + timeout
        while time.time() < end:
            jobs = self.jobs()
            if jobs is not None and all(
                    name in jobs and jobs[name]["state"] in ENDED for name in names):
                return jobs
            if each:
                each(jobs)
            time.sleep(every)
        states = {name: job["state"] for name, job in (jobs or {}).items()}
        raise RuntimeError(f"not ended in {timeout} s: {states}; see {self.folder}")

    def workers(self):
        return {w["worker_id"]: w for w in self.ask("workers", "list")}

    def log(self, name="coordinator"):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        if self.warm:  # hard links by the thousand
            for cache in self.folder.glob("*/blobs"):
                shutil.rmtree(cache.parent, ignore_errors=True)
            shutil.rmtree(self.folder / "data" / "artifacts", ignore_errors=True)


@dataclasses.dataclass
class Record:
    """What a run left behind: jobs as told to people, and the journal's rows."""

    jobs: list  # as they were submitted
    rounds: list
    measurements: list


KEPT = ("state", "error", "history_hash", "results", "rounds", "search_tokens",
        "evaluated_tokens", "numeric_class", "level_table_sha256", "reproducible")


def record(cluster, names):
    """The jobs in full; stops the cluster and reads its journal."""
    jobs = []
    for name in names:
        job = cluster.ask("jobs", "get", name)
        jobs.append({key: job.get(key) for key in KEPT})
    present = set(cluster.jobs())
    cluster.stop()
    assert present >= set(names), f"acknowledged jobs are gone: {set(names) - present}"
    # A job's id is drawn anew in every run: its place among the jobs stands for it.
    place = {name.split("/")[-1]: index for index, name in enumerate(names)}
    if cluster.journal:
        from tests.show.postgres import read_journal
        rounds, measurements = read_journal(cluster.journal)
    else:
        rounds, measurements = journal(cluster.data)
    return Record(jobs, sorted((place[row[0].split("/")[-1]], *row[1:]) for row in rounds
                               if row[0].split("/")[-1] in place), measurements)


def journal(data):
    db = sqlite3.connect(data / "journal.sqlite")
    rounds = db.execute("SELECT job, idx, round, results, history_hash FROM rounds "
                        "ORDER BY job, idx").fetchall()
    measurements = db.execute("SELECT key, bits, positions FROM measurements "
                              "ORDER BY key").fetchall()
    db.close()
    return rounds, measurements


def differences(got, wanted):
    """In words, what is not as the oracle has it; empty if nothing."""
    found = []
    for index, (mine, theirs) in enumerate(zip(got.jobs, wanted.jobs, strict=True)):
        for key in theirs:
            if mine.get(key) != theirs[key]:
                found.append(f"job {index}: {key} {str(mine.get(key))[:80]} instead of "
                             f"{str(theirs[key])[:80]}")
    if got.rounds != wanted.rounds:
        differing = sum(a != b for a, b in zip(got.rounds, wanted.rounds))
        found.append(f"{len(got.rounds)} rounds for {len(wanted.rounds)}, {differing} different")
    if got.measurements != wanted.measurements:
        mine, theirs = dict((r[0], r) for r in got.measurements), dict(
            (r[0], r) for r in wanted.measurements)
        found.append(f"{len(mine.keys() - theirs.keys())} measurements too many, "
                     f"{len(theirs.keys() - mine.keys())} missing, "
                     f"{sum(theirs.get(k, v) != v for k, v in mine.items())} different")
    return found


_oracles = {}


def oracle(data, generations=6):
    """A fault-free run of the jobs with one worker."""
    key = (data.model, data.seed, generations)
    if key not in _oracles:
        with Cluster(data.work / "oracle", 1, warm(data)) as cluster:
            names = cluster.submit_all(data, generations)
            cluster.wait(names)
            _oracles[key] = record(cluster, names)
            states = {job["state"] for job in _oracles[key].jobs}
            assert states == {"succeeded"}, f"the oracle's jobs: {states}"
    return _oracles[key]


def verdict(got, wanted):
    """(equal, words): winner, history, one accepted result per task, all jobs."""
    found = differences(got, wanted)
    hashes = ", ".join(job["history_hash"][:8] for job in got.jobs)
    if found:
        return False, "DIFFERENT: " + "; ".join(found[:4])
    return True, (f"{len(got.jobs)} jobs as the oracle's ({hashes}), {len(got.rounds)} rounds "
                  f"and {len(got.measurements)} measurements bit for bit")


ASKED = ("winner, history hash, every round and measurement of the fault-free run with one "
         "worker; each task's result counted once; no job missing")


def rng(data, name):
    return random.Random(f"{data.seed} {name}")
