#!/usr/bin/env python3
"""A worker: python3 worker.py [CONSUMER]. The PG* environment variables name the database.

Workers with different names share the events. After SIGTERM or Ctrl-C a worker ends the event at hand,
acknowledges what is done, and releases the rest.
"""
import signal
import sys
import time

import psycopg
from psycopg.rows import namedtuple_row

SUBSCRIPTION = "mails"
LEASE = 30  # seconds, that of the subscription: more than any event takes
WAIT = 5  # seconds that a poll waits for events; a shutdown may take as long
stopping = False


def stop(*_):
    global stopping
    stopping = True


def handle(event):
    """Do the work. An exception says that the event failed."""
    print(event.position, event.aggregate_id, event.event_type, flush=True)


def handle_batch(db, events, handle):
    """Return the delivery if all of its events are done."""
    leased = time.monotonic()
    for event in events:
        if time.monotonic() - leased > LEASE / 2:  # a long batch
            db.execute("SELECT eventstore.extend_lease(%s, %s)", [SUBSCRIPTION, event.delivery])
            leased = time.monotonic()
        try:
            handle(event)
        except Exception as error:  # the events before are done; this one and the rest come again
            print(f"event {event.position} failed: {error!r}", file=sys.stderr)
            db.execute("SELECT eventstore.nack(%s, %s, %s, %s)",
                       [SUBSCRIPTION, event.delivery, event.position, repr(error)])
            return None
        if stopping:
            db.execute("SELECT eventstore.ack(%s, %s, %s)", [SUBSCRIPTION, event.delivery, event.position])
            return None
    return events[0].delivery if events else None


def work(db, consumer, handle):
    delivery = None  # is done; the next poll acknowledges it
    while not stopping or delivery:
        try:
            if stopping:  # the signal came just after the batch
                db.execute("SELECT eventstore.ack(%s, %s)", [SUBSCRIPTION, delivery])
                break
            events = db.execute("SELECT * FROM eventstore.poll(%s, 10, %s, make_interval(secs => %s), ack => %s)",
                                [SUBSCRIPTION, consumer, WAIT, delivery]).fetchall()
            delivery = handle_batch(db, events, handle)
        except psycopg.Error as error:
            if error.sqlstate != "22V02":
                raise
            print(f"lease lost: {error}", file=sys.stderr)  # the events come again, here or elsewhere
            delivery = None
    db.execute("SELECT eventstore.release(%s, %s)", [SUBSCRIPTION, consumer])


def run(consumer, handle):
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, stop)
    pause = 0.5
    while not stopping:
        try:
            # poolers in transaction mode may not know prepared statements
            with psycopg.connect(autocommit=True, prepare_threshold=None, row_factory=namedtuple_row) as db:
                pause = 0.5
                work(db, consumer, handle)
        except psycopg.OperationalError as error:
            print(f"connection lost: {error}", file=sys.stderr)
            time.sleep(pause)
            pause = min(2 * pause, WAIT)


if __name__ == "__main__":
    run(sys.argv[1] if len(sys.argv) > 1 else "worker-1", handle)
