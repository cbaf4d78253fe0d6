"""The promises of a service that never loses anything, in the order of the issue."""

from tests.show import service_deploy, service_force, service_slurm
from tests.show.harness import ROOT, Outcome
from tests.show.service import run


def two_coordinators(data):
    """Two coordinators on one PostgreSQL, the leader paused, then resumed: its
    stale epoch is refused; failover under 10 s."""
    from tests.show import service_postgres
    return service_postgres.failover(data)


def throughput(data):
    """Scale with a stub evaluator: at least 2,000 completed tasks per second on
    SQLite on 2 cores; p99 of a lease under 50 ms at half load."""
    from tests.show import service_scale
    return service_scale.throughput(data)


def many_workers(data):
    """Scale: 1,000 workers in one simulated cluster and at least 200 real gRPC
    workers; coordinator memory under 500 MiB."""
    from tests.show import service_scale
    return service_scale.workers(data)


def restart(data):
    """Scale: restart with a journal of 1 million measurements in under 10 s."""
    from tests.show import service_scale
    return service_scale.restart(data)


def efficiency(data):
    """Efficiency: a generation of 64 × 1, 16 × 4 and 5 × 16 pairs at 1 s each takes
    at most 27.4 s on 8 workers (ideal 26 s); idle share of guided under 10 %."""
    from tests.show import service_scale
    return service_scale.efficiency(data)


def postgres(data):
    """PostgreSQL: the whole conformance and fault suites pass on it."""
    from tests.show import service_postgres
    return service_postgres.conformance(data)


def refusals(data):
    """Security: without a token, with a wrong role, with an expired certificate,
    over plaintext, with a path escape, with a 10 GB message: refused with a clear
    status."""
    from tests.show import service_security
    return service_security.refusals(data)


def idle_connections(data):
    """Security: with 10,000 idle connections a running job finishes, memory stays
    under 1 GiB, and the service is whole again within 60 s after they end."""
    from tests.show import service_security
    return service_security.idle_connections(data)


def fuzzers(data):
    """Security: fuzzers, 10 minutes each without a finding."""
    code, out, err = run(ROOT / "tests" / "fuzz.sh", "--seconds", 600, check=False, timeout=14400)
    lines = "; ".join(line.strip() for line in out.splitlines() if line.strip())
    return Outcome(code == 0, f"exit {code}: {lines or err.strip()[-300:]}",
                   "no finding, executions printed")


PROMISES = [
    service_force.simulator, service_force.mutants,
    service_force.kill_workers, service_force.kill_all_workers, service_force.stop_workers,
    service_force.kill_coordinator, service_force.lost_answers, service_force.partition,
    service_force.preemption, service_force.poison, service_force.small_memory,
    service_force.liars, service_force.full_disk, two_coordinators, service_force.older_worker,
    throughput, many_workers, restart, efficiency,
    service_slurm.slurm, postgres, refusals, idle_connections, fuzzers,
    service_deploy.kubernetes, service_deploy.systemd,
]
