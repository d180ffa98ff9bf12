"""TicketLock go to threads in the order in which they came, and a thread that gave up does not hold the others up."""

import threading

from shared.sql.ticket_lock import TicketLock
from tests.support.waiting import wait_until

PATIENCE_SECONDS = 30


def test_the_turn_goes_to_who_has_waited_longest() -> None:
    ticket_lock, order = TicketLock(), list[int]()
    assert ticket_lock.take(timeout_seconds=0)

    def wait_for_turn(number: int) -> None:
        assert ticket_lock.take(timeout_seconds=PATIENCE_SECONDS)
        order.append(number)
        ticket_lock.end()

    threads = []
    for number in range(8):
        threads.append(threading.Thread(target=wait_for_turn, args=(number,)))
        threads[-1].start()
        wait_until(lambda: len(ticket_lock._waiting) == len(threads), every_seconds=0.001)
    ticket_lock.end()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert order == list(range(8))


def test_who_waited_in_vain_is_passed_over() -> None:
    ticket_lock = TicketLock()
    assert ticket_lock.take(timeout_seconds=0)
    assert not ticket_lock.take(timeout_seconds=0.01)
    ticket_lock.end()
    assert ticket_lock.take(timeout_seconds=0)
