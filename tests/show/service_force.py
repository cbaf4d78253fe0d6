"""Faults by force: real processes on the real model, killed, stopped, cut off,
starved and lied to. Each must end as the fault-free run with one worker."""

import os
import pathlib
import signal
import subprocess
import time

from tests.show.harness import BUILD, ROOT, Outcome
from tests.show.service import EVOPRESS, run
from tests.show.service_cluster import (ASKED, EVALUATOR, JOBS, LEASE, Cluster, differences,
                                        job_flags, oracle, record, rng, verdict, warm)
from tests.show.service_proxy import CuttingProxy

MEDDLER = ROOT / "tests" / "show" / "service_meddler.py"


def meddling(how):
    return dict(os.environ, EVOPRESS_MEDDLE=how, EVOPRESS_ENGINE=str(EVALUATOR))


def searching(jobs):
    return any(job["state"] == "searching" for job in (jobs or {}).values())


def kill_workers(data):
    """SIGKILL of workers in the middle of an evaluation."""
    wanted = oracle(data)
    random = rng(data, "kill_workers")
    with Cluster(data.work / "kill-workers", 2, warm(data)) as cluster:
        names = cluster.submit_all(data)
        kills = 0

        def strike(jobs):
            nonlocal kills
            busy = [name for name, worker in (cluster.workers() if jobs else {}).items()
                    if worker["leases"] and cluster.processes[name].poll() is None]
            if busy and searching(jobs) and kills < 8:
                # Tasks take about half a second: somewhere within one.
                time.sleep(random.uniform(0.3, 1.5))
                victim = random.choice(busy)
                cluster.kill(victim)
                kills += 1
                cluster.start_worker(victim)

        cluster.wait(names, strike)
        same, words = verdict(record(cluster, names), wanted)
        return Outcome(same and kills >= 4, f"{kills} killed; {words}", f"{ASKED}; 4 kills")


def kill_all_workers(data):
    """SIGKILL of all workers, then another number of them."""
    wanted = oracle(data)
    with Cluster(data.work / "kill-all", 3, warm(data)) as cluster:
        names = cluster.submit_all(data)
        fleets = [1, 4, 2]
        seen = []

        def strike(jobs):
            done = sum(job["rounds"] for job in (jobs or {}).values())
            if fleets and done >= 6 * (len(seen) + 1):
                alive = [n for n, p in cluster.processes.items()
                         if n != "coordinator" and p.poll() is None]
                for name in alive:
                    cluster.signal(name, signal.SIGKILL)
                for name in alive:
                    cluster.kill(name)
                seen.append((len(alive), done))
                for i in range(fleets.pop(0)):
                    cluster.start_worker(f"fleet{len(seen)}-{i}")

        cluster.wait(names, strike)
        same, words = verdict(record(cluster, names), wanted)
        return Outcome(same and len(seen) == 3,
                       f"fleets of 3, 1, 4 and 2, all killed at rounds "
                       f"{', '.join(str(done) for _, done in seen)} of "
                       f"{len(wanted.rounds)}; {words}", f"{ASKED}; 3 times")


def stop_workers(data):
    """SIGSTOP of a worker beyond the lease, then SIGCONT."""
    wanted = oracle(data)
    with Cluster(data.work / "stop-workers", 2, warm(data)) as cluster:
        names = cluster.submit_all(data)
        stops = lost = 0

        def strike(jobs):
            nonlocal stops, lost
            busy = [n for n, w in (cluster.workers() if jobs else {}).items()
                    if w["leases"] and w["state"] == "active"]
            if busy and searching(jobs) and stops < 4:
                victim = busy[stops % len(busy)]
                engine = children(cluster.processes[victim].pid)
                for pid in [cluster.processes[victim].pid, *engine]:
                    os.kill(pid, signal.SIGSTOP)
                end = time.time() + 30
                time.sleep(1.5 * LEASE)
                while cluster.workers()[victim]["state"] != "lost" and time.time() < end:
                    time.sleep(0.1)
                lost += cluster.workers()[victim]["state"] == "lost"
                stops += 1
                for pid in [cluster.processes[victim].pid, *engine]:
                    os.kill(pid, signal.SIGCONT)
                time.sleep(1)

        cluster.wait(names, strike)
        same, words = verdict(record(cluster, names), wanted)
        return Outcome(same and lost >= 2 and lost == stops,
                       f"{stops} stopped for {1.5 * LEASE:.1f} s and more of a lease of "
                       f"{LEASE} s, {lost} seen as lost; {words}", f"{ASKED}; 2 lost leases")


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as listed:
            found += [int(child) for child in listed.read().split()]
    return found


def kill_coordinator(data):
    """SIGKILL of the coordinator at 50 random moments."""
    wanted = oracle(data)
    random = rng(data, "kill_coordinator")
    kills = runs = 0
    problems = []
    while kills < 50 and not problems:
        runs += 1
        with Cluster(data.work / "kill-coordinator", 2, warm(data)) as cluster:
            names = []
            # Jobs come while it dies; one that is acknowledged must stay.
            begun = time.time()
            pending = list(range(len(JOBS)))
            while True:
                if pending:
                    client = subprocess.Popen(submit_command(cluster, data, pending[0]),
                                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                              text=True)
                if kills < 50:
                    time.sleep(random.uniform(0.02, 3))
                    cluster.kill("coordinator")
                    kills += 1
                    cluster.start_coordinator()
                if pending:
                    out, _ = client.communicate(timeout=60)
                    if client.returncode == 0:
                        names.append(out.strip())
                        pending.pop(0)
                jobs = cluster.jobs() or {}
                missing = set(names) - set(jobs) if jobs else set()
                if missing:
                    problems.append(f"acknowledged, then gone: {missing}")
                    break
                if not pending and jobs and all(jobs[n]["state"] in ("succeeded", "failed")
                                                for n in names):
                    break
                if kills >= 50:
                    time.sleep(0.2)
                if time.time() - begun > 400:
                    raise RuntimeError(f"not ended in 400 s; see {cluster.folder}")
            if not problems:
                problems += differences(record(cluster, names), wanted)
    return Outcome(not problems and kills == 50,
                   f"{kills} kills in {runs} runs of {len(JOBS)} jobs, {len(wanted.rounds)} rounds "
                   f"each; different: {'; '.join(problems[:4]) or 'nothing'}", f"{ASKED}; 50 kills")


def submit_command(cluster, data, index):
    return [str(a) for a in (EVOPRESS, "submit", *job_flags(data, index, 6), "--server",
                             cluster.address)]


def lost_answers(data):
    """Lost acknowledgements: workers and client talk through a proxy that
    swallows answers and cuts connections."""
    wanted = oracle(data)
    with Cluster(data.work / "lost-answers", 0, warm(data)) as cluster:
        with CuttingProxy(cluster.address, share=0.15, seed=data.seed) as proxy:
            for i in range(2):
                cluster.start_worker(f"worker{i}", server=proxy.address)
            before = len(cluster.jobs())
            names = cluster.submit_all(data, server=proxy.address, tries=30)
            jobs = len(cluster.wait(names)) - before
            same, words = verdict(record(cluster, names), wanted)
            return Outcome(same and jobs == len(JOBS) and proxy.cuts >= 20,
                           f"{proxy.cuts} answers swallowed on {proxy.connections} connections, "
                           f"{jobs} jobs of {len(JOBS)} submitted; {words}",
                           f"{ASKED}, none twice; 20 cuts")


class Namespace:
    """A network of its own, joined by a pair of virtual cables that can be cut."""

    def __init__(self, number):
        self.name, self.near, self.far = (f"evopress{number}", f"evp{number}a", f"evp{number}b")
        self.coordinator, self.worker = f"10.213.{number}.1", f"10.213.{number}.2"

    def __enter__(self):
        self.remove()
        for command in (f"netns add {self.name}",
                        f"link add {self.near} type veth peer name {self.far}",
                        f"link set {self.far} netns {self.name}",
                        f"addr add {self.coordinator}/24 dev {self.near}",
                        f"link set {self.near} up",
                        f"-n {self.name} addr add {self.worker}/24 dev {self.far}",
                        f"-n {self.name} link set {self.far} up",
                        f"-n {self.name} link set lo up"):
            run("ip", *command.split())
        return self

    def cut(self, cut):
        run("ip", "-n", self.name, "link", "set", self.far, "down" if cut else "up")

    def remove(self):
        run("ip", "netns", "del", self.name, check=False)
        run("ip", "link", "del", self.near, check=False)

    def __exit__(self, *_):
        self.remove()


def partition(data):
    """A partition longer than the lease, in network namespaces."""
    wanted = oracle(data)
    with Namespace(1) as one, Namespace(2) as two:
        with Cluster(data.work / "partition", 0, warm(data),
                     listen=[f"{n.coordinator}:50071" for n in (one, two)]) as cluster:
            for name, space in (("worker0", one), ("worker1", two)):
                cluster.start_worker(name, server=f"{space.coordinator}:50071",
                                     prefix=["ip", "netns", "exec", space.name])
            names = cluster.submit_all(data)
            cuts = lost = 0

            def strike(jobs):
                nonlocal cuts, lost
                if not searching(jobs) or cuts >= 3:
                    return
                # Each of them, then both at once.
                cut = [[("worker0", one)], [("worker1", two)],
                       [("worker0", one), ("worker1", two)]][cuts]
                if not all(cluster.workers().get(name, {}).get("leases") for name, _ in cut):
                    return
                for _, space in cut:
                    space.cut(True)
                time.sleep(2 * LEASE)
                states = cluster.workers()
                lost += all(states[name]["state"] == "lost" for name, _ in cut)
                for _, space in cut:
                    space.cut(False)
                cuts += 1
                time.sleep(1)

            cluster.wait(names, strike)
            same, words = verdict(record(cluster, names), wanted)
            return Outcome(same and cuts == lost == 3,
                           f"{cuts} partitions of {2 * LEASE} s with a lease of {LEASE} s, each "
                           f"worker and both, {lost} times seen as lost; {words}",
                           f"{ASKED}; 3 partitions")


def preemption(data):
    """Half of the fleet preempted again and again, by SIGTERM and SIGKILL: no
    budget is burned."""
    wanted = oracle(data)
    random = rng(data, "preemption")
    with Cluster(data.work / "preemption", 4, warm(data)) as cluster:
        names = cluster.submit_all(data)
        waves = killed = drained = 0
        last = time.time()

        def strike(jobs):
            nonlocal waves, killed, drained, last
            if not searching(jobs) or time.time() - last < 2.5:
                return
            half = [f"worker{i}" for i in ((0, 1), (2, 3))[waves % 2]]
            for name in half:
                if random.random() < 0.5:
                    cluster.signal(name, signal.SIGTERM)
                    cluster.processes[name].wait(30)
                    drained += 1
                else:
                    cluster.kill(name)
                    killed += 1
                cluster.start_worker(name)
            waves += 1
            last = time.time()

        cluster.wait(names, strike)
        got = record(cluster, names)
        same, words = verdict(got, wanted)
        faults = [line for line in cluster.log().splitlines()
                  if any(kind in line for kind in ("CRASH", "OUT_OF_MEMORY", "TRANSIENT",
                                                   "BAD_INPUT"))]
        return Outcome(same and not faults and waves >= 4,
                       f"{waves} waves, {drained} workers drained, {killed} killed, "
                       f"{len(faults)} faults counted; {words}", f"{ASKED}; 4 waves, no fault")


def poison(data):
    """A poison assignment: the evaluator dies of it on every worker. The job ends
    after three workers and says why; the other jobs are as ever."""
    wanted = oracle(data)
    seen = data.work / "poison-seen.txt"
    seen.unlink(missing_ok=True)
    with Cluster(data.work / "poison", 0, warm(data)) as cluster:
        cluster.start_worker("worker0", evaluator=MEDDLER, env=meddling(f"record:{seen}"))
        name = cluster.submit(data, 0, 6)
        cluster.wait([name])
    order = list(dict.fromkeys(seen.read_text().split()))
    bad = order[len(order) // 2]
    with Cluster(data.work / "poison", 0, warm(data)) as cluster:
        for i in range(4):
            cluster.start_worker(f"worker{i}", evaluator=MEDDLER, env=meddling(f"poison:{bad}"))
        names = cluster.submit_all(data)
        begin = time.time()
        cluster.wait(names)
        seconds = time.time() - begin
        got = record(cluster, names)
        job = got.jobs[0]
        others = [i for i in range(1, len(JOBS)) if got.jobs[i] != wanted.jobs[i]]
        told = f"poisoned by assignment {bad}" in job["error"] and "3 workers" in job["error"]
        return Outcome(job["state"] == "failed" and told and not others,
                       f"{job['state']} after {seconds:.0f} s: \"{job['error'][:400]}\"; other jobs "
                       f"different from the oracle's: {len(others)} of {len(names) - 1}",
                       "failed, 3 workers and the assignment named; 0 different")


# Enough for the engine to open the model, not enough for what it is asked.
SMALL_MEMORY = 600 << 20


class MemoryGroup:
    """A control group whose processes the kernel kills when memory is out."""

    def __init__(self):
        root = pathlib.Path("/sys/fs/cgroup")
        old = root / "memory"
        self.folder = (old if old.exists() else root) / "evopress-show"
        self.limit = "memory.limit_in_bytes" if old.exists() else "memory.max"

    def __enter__(self):
        self.folder.mkdir(exist_ok=True)
        (self.folder / self.limit).write_text(str(SMALL_MEMORY))
        return self.folder / "cgroup.procs"

    def __exit__(self, *_):
        for _ in range(50):
            try:
                return self.folder.rmdir()
            except OSError:  # the last process is still going
                time.sleep(0.1)


def small_memory(data):
    """A small-memory worker among large ones: its engine really runs out of
    memory, by a limit of its address space or killed by the kernel, and the
    winner does not change."""
    wanted = oracle(data)
    outcomes = []
    with MemoryGroup() as group:
        for how, limit in (("refused memory", f"ulimit -v {SMALL_MEMORY >> 10}"),
                           ("killed by the kernel", f"echo $$ > {group}")):
            wrapper = data.work / "small-memory-engine"
            wrapper.write_text(f"#!/bin/sh\n{limit}\nexec {EVALUATOR} \"$@\"\n")
            wrapper.chmod(0o755)
            with Cluster(data.work / "small-memory", 1, warm(data)) as cluster:
                cluster.start_worker("small", evaluator=wrapper)
                names = cluster.submit_all(data)
                cluster.wait(names)
                small = cluster.workers()["small"]["completed_tasks"]
                same, words = verdict(record(cluster, names), wanted)
                faults = [line for line in cluster.log("small").splitlines()
                          if "RESOURCE_EXHAUSTED" in line]
                outcomes.append(Outcome(
                    same and bool(faults),
                    f"{how} at {SMALL_MEMORY >> 20} MiB: {len(faults)} times out of memory, {small} "
                    f"tasks done there; {words}", f"{ASKED}; 1 time out of memory"))
    return outcomes


def liars(data):
    """A worker that returns NaN, or a sum with one bit flipped: caught,
    recomputed and quarantined."""
    wanted = oracle(data)
    outcomes = []
    for how in ("nan", "flip"):
        with Cluster(data.work / f"liar-{how}", 3, warm(data)) as cluster:
            cluster.start_worker("liar", evaluator=MEDDLER, env=meddling(how))
            names = cluster.submit_all(data)
            cluster.wait(names)
            workers = cluster.workers()
            state = workers["liar"]["state"]
            honest = [w for n, w in workers.items() if n != "liar" and w["state"] == "quarantined"]
            got = record(cluster, names)
            # What audits measure again is work, but no other result.
            for job, theirs in zip(got.jobs, wanted.jobs, strict=True):
                job["evaluated_tokens"] = theirs["evaluated_tokens"]
            # Where a lie led the search for a while, honest workers measured, too.
            known = {row[0] for row in wanted.measurements}
            astray = [row for row in got.measurements if row[0] not in known]
            got.measurements = [row for row in got.measurements if row[0] in known]
            same, words = verdict(got, wanted)
            outcomes.append(Outcome(same and state == "quarantined" and not honest,
                                    f"{how}: the liar is {state}, honest ones quarantined: "
                                    f"{len(honest)}; {words}, {len(astray)} more where a lie led",
                                    f"{ASKED}; the liar quarantined"))
    return outcomes


def full_disk(data):
    """ENOSPC on the journal: nothing acknowledged is lost, and the jobs go on once
    there is room."""
    wanted = oracle(data)
    folder = data.work / "full-disk"
    mount = data.work / "full-disk-data"
    artifacts = data.work / "full-disk-artifacts"
    for path in (mount / "artifacts", mount):
        run("umount", path, check=False)
    run("rm", "-rf", mount, artifacts)
    mount.mkdir()
    run("cp", "-al", warm(data) / "data" / "artifacts", artifacts)
    run("mount", "-t", "tmpfs", "-o", "size=8m", "evopress-full-disk", mount)
    try:
        (mount / "artifacts").mkdir()
        run("mount", "--bind", artifacts, mount / "artifacts")
        run("sh", "-c", f"cp {warm(data) / 'data'}/journal* {mount}")
        with Cluster(folder, 2, warm(data), data=mount) as cluster:
            names = cluster.submit_all(data)
            fills = stopped = 0

            def strike(jobs):
                nonlocal fills, stopped
                if not searching(jobs) or fills >= 3:
                    return
                time.sleep(1)
                filler = mount / "filler"
                room = os.open(filler, os.O_WRONLY | os.O_CREAT)
                try:
                    while True:
                        os.write(room, bytes(4096))
                except OSError:  # full
                    os.close(room)
                time.sleep(3)
                fills += 1
                stopped += "disk is full" in str(cluster.ask("jobs", "list")) or any(
                    job["state"] == "paused" for job in (cluster.jobs() or {}).values())
                filler.unlink()
                for name, job in cluster.jobs().items():
                    if job["state"] == "paused":
                        cluster.ask("jobs", "resume", name)

            cluster.wait(names, strike)
            same, words = verdict(record(cluster, names), wanted)
            return Outcome(same and stopped >= 1,
                           f"the disk was full {fills} times for 3 s, {stopped} times jobs were "
                           f"paused by it and resumed; {words}", f"{ASKED}; paused once or more")
    finally:
        run("umount", mount / "artifacts", check=False)
        run("umount", mount, check=False)


# The last commit before the worker's session became a machine of its own.
OLDER = "1a40b9f"


def older_worker(data):
    """An older worker with a newer coordinator, beside one of another numeric
    class, which takes no part."""
    wanted = oracle(data)
    tree = ROOT / ".cache" / "older"
    if not tree.exists():
        run("git", "-C", ROOT, "worktree", "add", "--detach", tree, OLDER)
    run("cmake", "--preset", "release", "-S", tree, "-B", tree / "build" / "release")
    run("cmake", "--build", tree / "build" / "release", "--target", "evopress-worker",
        "evopress-evaluator-cpu")
    old = tree / "build" / "release" / "worker"
    with Cluster(data.work / "older", 0, warm(data)) as cluster:
        cluster.start_worker("older", binary=old / "evopress-worker",
                             evaluator=old / "evopress-evaluator-cpu")
        names = cluster.submit_all(data)

        def join(jobs):
            # A job is pinned to the class of the first worker that asks for work.
            pinned = jobs and all(jobs[name]["numeric_class"] for name in names)
            if pinned and "other" not in cluster.processes:
                cluster.start_worker("other", env=dict(os.environ, DNNL_MAX_CPU_ISA="AVX2"))

        cluster.wait(names, join)
        workers = cluster.workers()
        same, words = verdict(record(cluster, names), wanted)
        older, other = workers["older"], workers.get("other", {})
        apart = (other.get("numeric_class") != older["numeric_class"]
                 and other.get("completed_tasks") == 0)
        return Outcome(same and older["completed_tasks"] > 0 and apart,
                       f"the worker of {OLDER} ({older['numeric_class']}) did "
                       f"{older['completed_tasks']} tasks, one of class "
                       f"{other.get('numeric_class')} {other.get('completed_tasks')}; {words}",
                       f"{ASKED}; all by the older, none by the other class")


def simulator(data):
    """Simulator: 10,000 seeds with all faults mixed give no difference from the
    oracle."""
    code, out, _ = run(BUILD / "tests" / "fault_simulate", "--seeds", "10000", check=False)
    return Outcome(code == 0, out.strip().splitlines()[-1], "0 of 10000 seeds failed")


def mutants(data):
    """A deliberately broken lease rule is found within 1,000 seeds."""
    found, blind = [], []
    for mutant in sorted((BUILD / "tests").glob("fault_mutant_*")):
        code, out, _ = run(mutant, "--seeds", "1000", "--expect-violation", check=False)
        name = mutant.name.removeprefix("fault_mutant_").replace("_", " ")
        seeds = out.strip().splitlines()[-1].split()[0]
        (found if code == 0 else blind).append(f"{name} after {seeds}")
    return Outcome(bool(found) and not blind,
                   f"found: {', '.join(found) or 'none'}; not found: {', '.join(blind) or 'none'}",
                   "all, within 1000 seeds")
