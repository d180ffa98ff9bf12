"""Jobs of one key, of which many fail and are tried again: who waits is passed by nobody who came later."""

from random import Random

from shared.settings import Settings
from tests.simulation.ending import check_the_end, come_to_rest
from tests.simulation.world import KEYS, SWEEP_SECONDS, MakeStore, NewSubmission, World

FAILING = 0.3  # of the attempts: their container vanishes, so the job is tried again
MOST_ROUNDS_PER_JOB = 10


def violations_in_line(settings: list[Settings], make_store: MakeStore, jobs: int) -> list[str]:
    """Train that many jobs, which wait at the same time, to their end; what is violated on the way."""
    chance, world = Random(7), World(settings, make_store)  # noqa: S311 - the same jobs fail in each run
    try:
        for _ in range(jobs):
            world.submit(NewSubmission(KEYS[1], gpus=0, priority=chance.randrange(2), is_sent=False))
            world.advance(1, stall_seconds=0)
        retried = 0
        for _ in range(jobs * MOST_ROUNDS_PER_JOB):
            world.advance_fairly(2 * SWEEP_SECONDS)
            for _ in range(len(world.live())):
                if chance.random() < FAILING:
                    world.remove_container(0)
                    retried += 1
                else:
                    world.end_container(0, 0)
            if world.oracle.violations or all(known.ended_as for known in world.oracle.known.values()):
                break
        world.oracle.expect(retried >= jobs * FAILING / 2, f"only {retried} attempts failed")
        if not world.oracle.violations:
            come_to_rest(world)
            check_the_end(world)
        return world.oracle.violations
    finally:
        world.close()
