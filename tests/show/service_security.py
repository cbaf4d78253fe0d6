"""Who is refused, and what many idle connections do: with real processes."""
import os
import resource
import select
import socket
import subprocess
import time

from tests.show.harness import BUILD, Outcome
from tests.show.service import EVOPRESS, run
from tests.show.service_cluster import (ASKED, COORDINATOR, Cluster, oracle, record, verdict,
                                        warm)

CONNECTIONS = 10_000


def refused(words, *command, env=None):
    """Whether the command fails without a crash and says `words`."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60,
                          env=dict(os.environ, **(env or {})))
    said = done.stdout + done.stderr
    return done.returncode in (1, 2) and words.lower() in said.lower(), said.strip()[:160]


def suite(program, pattern):
    """Tests passed and whether all did: what no command line of ours can send."""
    done = subprocess.run([BUILD / "tests" / program, f"--gtest_filter={pattern}"],
                          capture_output=True, text=True, timeout=300)
    passed = done.stdout.count("[       OK ]")
    return done.returncode == 0 and passed > 0, f"{program}: {passed} passed"


def refusals(data):
    """Without a token, with a wrong role, with an expired certificate, over
    plaintext, with a path escape, with a 10 GB message: a clear status."""
    with Cluster(data.work / "refusals", 0, warm(data)) as cluster:
        token = run(COORDINATOR, "token", "add", "--role", "view", "--name", "v", "--data",
                    cluster.data)[1].strip()
        time.sleep(0.5)
        to = ["--server", cluster.address]
        cases = {
            "no token": refused("token is needed", EVOPRESS, "jobs", "list", *to),
            "unknown token": refused("not known", EVOPRESS, "jobs", "list", *to,
                                     env={"EVOPRESS_TOKEN": "made-up"}),
            "wrong role": refused("submit", EVOPRESS, "jobs", "cancel", "x", *to,
                                  env={"EVOPRESS_TOKEN": token}),
            "plaintext with a token": refused("clear", EVOPRESS, "jobs", "list", "--insecure",
                                              "--server", "10.0.0.1:50071",
                                              env={"EVOPRESS_TOKEN": token}),
            "certificates, every method, limits": suite("server_access_test", "*"),
            "path escapes, 10 GB": suite("server_access_test", "*PathEscapes*:*Large*"),
        }
        alive = subprocess.run([EVOPRESS, "jobs", "list", *to], capture_output=True, timeout=60,
                               env=dict(os.environ, EVOPRESS_TOKEN=token)).returncode == 0
    bad = [f"{name}: {said}" for name, (good, said) in cases.items() if not good]
    return Outcome(not bad and alive, "; ".join(bad) or "refused with a clear status: " +
                   ", ".join(cases), "all refused, the service goes on")


def memory(pid):
    """Peak resident bytes so far."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def idle_connections(data):
    """With 10,000 idle connections a running job finishes, memory stays under
    1 GiB, and the service is whole again within 60 s after they end."""
    wanted = oracle(data)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Cluster(data.work / "idle", 2, warm(data)) as cluster:
        host, port = cluster.address.split(":")
        names = cluster.submit_all(data)
        held = []
        for i in range(CONNECTIONS):
            # An address has too few ports for all of them beside other tests.
            source = (f"127.0.1.{1 + i % 4}", 0)
            held.append(socket.create_connection((host, int(port)), 10, source))
        cluster.wait(names)
        poll = select.poll()
        for connection in held:
            poll.register(connection, select.POLLRDHUP)
        closed = len(poll.poll(0))
        peak = memory(cluster.processes["coordinator"].pid)
        for connection in held:
            connection.close()
        begin = time.time()
        whole = None
        while whole is None and time.time() < begin + 60:
            if cluster.jobs() is not None and len(cluster.workers()) == 2:
                whole = time.time() - begin
        same, words = verdict(record(cluster, names), wanted)
    return Outcome(same and whole is not None and peak < 1 << 30,
                   f"{CONNECTIONS:,} connections, {closed:,} of them closed by the coordinator "
                   f"while the jobs ran; peak {peak / 2**20:.0f} MiB; whole after "
                   f"{'never' if whole is None else f'{whole:.1f} s'}; {words}",
                   f"{ASKED}; under 1 GiB; 60 s")
