"""A Slurm cluster of one node on this machine, and the shipped script on it."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

from tests.show.harness import ROOT, Outcome
from tests.show.service import free_port, run
from tests.show.service_cluster import (ASKED, WORKER, Cluster, oracle, record, verdict, warm)

SCRIPT = ROOT / "deploy" / "slurm" / "workers.sbatch"

CONFIGURATION = """ClusterName=evopress
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={munge}
CryptoType=crypto/munge
SlurmUser=root
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0
ReturnToService=2
KillWait=10
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} Boards=1 SocketsPerBoard=1 CoresPerSocket={cores} ThreadsPerCore=1 RealMemory=1000 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """munged, slurmctld and slurmd, started by hand as root, without systemd."""

    def __init__(self, folder):
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        # munged wants its socket where nobody else can write.
        self.munge = pathlib.Path("/run/evopress-munge")
        shutil.rmtree(self.munge, ignore_errors=True)
        self.munge.mkdir(mode=0o755)
        self.host = socket.gethostname().split(".")[0]
        (folder / "slurm.conf").write_text(CONFIGURATION.format(
            host=self.host, folder=folder, munge=self.munge / "socket", controller=free_port(),
            node=free_port(), cores=os.cpu_count()))
        self.environment = dict(os.environ, SLURM_CONF=str(folder / "slurm.conf"))
        self.processes = []

    def __enter__(self):
        try:
            key = self.munge / "key"
            key.write_bytes(os.urandom(1024))
            key.chmod(0o600)
            self._start("munged", "--foreground", "--force", f"--key-file={key}",
                        f"--socket={self.munge / 'socket'}", f"--pid-file={self.munge / 'pid'}",
                        f"--log-file={self.munge / 'log'}", f"--seed-file={self.munge / 'seed'}")
            self._await(lambda: (self.munge / "socket").exists(), "munged's socket")
            self._start("slurmctld", "-D")
            self._await(lambda: self.command("scontrol", "ping", check=False)[0] == 0, "slurmctld")
            self._start("slurmd", "-D", "-N", self.host)
            self._await(lambda: "idle" in self.command("sinfo", "-h", "-o", "%T")[1], "an idle node")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self, name, *flags):
        binary = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin")
        if not binary:
            raise RuntimeError(f"no {name}: deploy/setup.sh tests/show/slurm_packages.txt")
        with open(self.folder / f"{name}.out", "w") as log:
            self.processes.append(subprocess.Popen([binary, *flags], stdout=log, stderr=log,
                                                   env=self.environment))

    def _await(self, there, what):
        end = time.time() + 60
        while time.time() < end:
            if there():
                return
            time.sleep(0.2)
        raise RuntimeError(f"{what} did not come up in 60 s: see {self.folder}")

    def command(self, *words, check=True, environment=None):
        done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=60,
                              env=dict(self.environment, **(environment or {})), cwd=self.folder)
        if check and done.returncode != 0:
            raise RuntimeError(f"{words}: {done.stderr}{done.stdout}")
        return done.returncode, done.stdout, done.stderr

    def states(self, job):
        """State of every element by its number."""
        out = self.command("squeue", "-h", "-r", "-j", job, "-o", "%K %T", check=False)[1]
        return {int(line.split()[0]): line.split()[1] for line in out.splitlines()}

    def restarts(self, job):
        out = self.command("scontrol", "-o", "show", "job", job, check=False)[1]
        return sum(int(count) for count in re.findall(r"Restarts=(\d+)", out))

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self.processes):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.munge, ignore_errors=True)


def slurm(data):
    """Slurm: sbatch of the shipped script on a local slurmctld, a preempted worker
    requeued, the job finished with the oracle's winner."""
    run(ROOT / "deploy" / "setup.sh", ROOT / "tests" / "show" / "slurm_packages.txt")
    wanted = oracle(data)
    template = warm(data)
    caches = data.work / "slurm-caches"
    shutil.rmtree(caches, ignore_errors=True)
    caches.mkdir()
    elements = min(2, os.cpu_count())
    for i in range(elements):
        subprocess.run(["cp", "-al", template / "worker0", caches / str(i)], check=True)
    with Cluster(data.work / "slurm-cluster", 0, template) as cluster, \
            Slurm(data.work / "slurm") as site:
        names = cluster.submit_all(data)
        out = site.command("sbatch", "--parsable", f"--array=0-{elements - 1}",
                           "--cpus-per-task=1", SCRIPT, environment={
                               "EVOPRESS_SERVER": cluster.address, "EVOPRESS_WORKER": str(WORKER),
                               "EVOPRESS_CACHE": str(caches)})[1]
        array = out.strip().split(";")[0]
        requeued = 0

        def strike(jobs):
            nonlocal requeued
            done = sum(job["rounds"] for job in (jobs or {}).values())
            if requeued == 0 and done >= 6 and site.states(array).get(0) == "RUNNING":
                site.command("scontrol", "requeue", f"{array}_0")
                requeued += 1

        cluster.wait(names, strike, timeout=400)
        restarts = site.restarts(array)
        workers = {n: w["completed_tasks"] for n, w in cluster.workers().items()}
        site.command("scancel", array)
        end = time.time() + 40
        while site.states(array) and time.time() < end:
            time.sleep(0.5)
        logs = "".join(p.read_text() for p in sorted(site.folder.glob("evopress-worker-*.log")))
        drained = logs.count("drain\n")
        left = site.states(array)
        same, words = verdict(record(cluster, names), wanted)
        faults = cluster.log().count(": CRASH: ")
        return Outcome(same and requeued == 1 and restarts >= 1 and not left and drained >= 1
                       and not faults,
                       f"array {array} of {elements}, {requeued} requeued ({restarts} restarts), "
                       f"{drained} drained by TERM, {faults} faults counted, tasks by worker "
                       f"{workers}; {words}",
                       f"{ASKED}; 1 requeued, no fault, all drained in the end")
