"""Several coordinators on one PostgreSQL, and the fault suites on it."""

import pathlib
import signal
import tempfile
import time

from tests.show import service_force
from tests.show.harness import BUILD, Outcome
from tests.show.postgres import Postgres, copy_journal, name_of
from tests.show.service import EVOPRESS, free_port, run
from tests.show.service_cluster import ASKED, Cluster, oracle, record, verdict, warm


class Store(Postgres):
    """The PostgreSQL of clusters that start warm."""

    def __init__(self):
        super().__init__(pathlib.Path(tempfile.mkdtemp(prefix="evopress-pg-")))
        self.template = None

    def __enter__(self):
        super().__enter__()
        Cluster.new_journal = self.new_journal
        return self

    def __exit__(self, *exception):
        Cluster.new_journal = None
        super().__exit__(*exception)

    def new_journal(self, warm):
        if self.template is None:
            url = self.create()
            with Cluster(warm.parent / "schema", 0, warm=None, start=False) as cluster:
                cluster.journal = url
                cluster.start_coordinator()
                serving(cluster.address, 30)
            copy_journal(warm / "data" / "journal.sqlite", url)
            self.template = name_of(url)
        return self.create(self.template)


def serving(address, seconds):
    """Seconds until a call to `address` is answered."""
    begin = time.time()
    while time.time() - begin < seconds:
        if run(EVOPRESS, "jobs", "list", "--server", address, check=False)[0] == 0:
            return time.time() - begin
    raise RuntimeError(f"{address} does not serve after {seconds} s")


class Pair(Cluster):
    """Two coordinators with one journal and one folder of artifacts."""

    def __init__(self, folder, workers, warm):
        super().__init__(folder, 0, warm, start=False)
        self.single = {"first": self.address, "second": f"127.0.0.1:{free_port()}"}
        self.address = ",".join(self.single.values())
        for name in self.single:
            self.start_one(name)
            if name == "first":
                serving(self.single[name], 30)  # leads
        for i in range(workers):
            self.start_worker(f"worker{i}")

    def start_one(self, name):
        self.spawn_coordinator(name, ["--listen", self.single[name], "--artifacts",
                                      self.data / "artifacts"], self.folder / f"data-{name}")


def failover(data):
    wanted = oracle(data)
    with Store(), Pair(data.work / "failover", 2, warm(data)) as pair:
        names = pair.submit_all(data)
        leader, other = "first", "second"
        took, resumed = [], 0

        def strike(jobs):
            nonlocal leader, other, resumed
            done = sum(job["rounds"] for job in (jobs or {}).values())
            if len(took) >= 4 or done < 8 * (len(took) + 1):
                return
            # Twice paused and resumed, twice killed and started again.
            paused = len(took) % 2 == 0
            pair.signal(leader, signal.SIGSTOP if paused else signal.SIGKILL)
            took.append(serving(pair.single[other], 60))
            if paused:
                pair.signal(leader, signal.SIGCONT)
                end = time.time() + 20
                while time.time() < end and pair.log(leader).count("leads no longer") <= resumed:
                    time.sleep(0.1)
                resumed += 1
            else:
                pair.processes[leader].wait()
                pair.start_one(leader)
            leader, other = other, leader

        pair.wait(names, strike)
        same, words = verdict(record(pair, names), wanted)
        deposed = sum(pair.log(n).count("leads no longer") for n in pair.single)
        return Outcome(same and len(took) == 4 and max(took) < 10 and deposed == 2,
                       f"two leaders paused and resumed (deposed: {deposed}), two killed; the other "
                       f"served after {', '.join(f'{t:.1f}' for t in took)} s; {words}",
                       f"{ASKED}; 4 failovers, each under 10 s; the resumed leader steps down")


FAULTS = (service_force.kill_workers, service_force.kill_all_workers, service_force.stop_workers,
          service_force.kill_coordinator, service_force.lost_answers, service_force.preemption,
          service_force.liars)


def conformance(data):
    outcomes = []
    for suite in ("server_journal_test", "server_leadership_test"):
        code, out, _ = run(BUILD / "tests" / suite, check=False)
        last = [line for line in out.splitlines() if "PASSED" in line or "FAILED" in line]
        outcomes.append(Outcome(code == 0, f"{suite}: {last[-1].strip() if last else out[-200:]}",
                                "all passed"))
    with Store():
        for fault in FAULTS:
            found = fault(data)
            for outcome in found if isinstance(found, list) else [found]:
                outcome.measured = f"{fault.__name__} on PostgreSQL: {outcome.measured}"
                outcomes.append(outcome)
    return outcomes
