"""The promises of a service that never loses anything."""

from tests.show import service_force as force


PROMISES = [force.simulator, force.mutants, force.kill_workers, force.kill_all_workers,
            force.stop_workers, force.kill_coordinator, force.lost_answers, force.partition,
            force.preemption, force.poison, force.small_memory, force.liars, force.full_disk,
            force.older_worker]
