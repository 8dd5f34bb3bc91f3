#!/usr/bin/env python3
"""A worker that fills a table of the same database, exactly once: python3 exactly_once.py [CONSUMER].

It polls, writes and acknowledges in one transaction. If that is rolled back, nothing was delivered.
"""
import signal
import sys
import time

import psycopg
from psycopg.rows import namedtuple_row

SUBSCRIPTION = "activity"
WAIT = 5  # seconds that a poll waits for events; a shutdown may take as long
stopping = False


def stop(*_):
    global stopping
    stopping = True


def handle(db, event):
    """Count the events of each aggregate."""
    db.execute("""INSERT INTO activity VALUES (%s, 1, %s) ON CONFLICT (aggregate_id)
                  DO UPDATE SET events = activity.events + 1, last_event = EXCLUDED.last_event""",
               [event.aggregate_id or "none", event.event_type])


def handle_batch(db, consumer):
    with db.transaction():
        events = db.execute("SELECT * FROM eventstore.poll(%s, 100, %s, make_interval(secs => %s))",
                            [SUBSCRIPTION, consumer, WAIT]).fetchall()
        for event in events:
            try:
                with db.transaction():  # a savepoint: an event that fails leaves nothing behind
                    handle(db, event)
            except psycopg.OperationalError:
                raise
            except Exception as error:  # the events before are done, and their effects stay
                print(f"event {event.position} failed: {error!r}", file=sys.stderr)
                db.execute("SELECT eventstore.nack(%s, %s, %s, %s)",
                           [SUBSCRIPTION, event.delivery, event.position, repr(error)])
                return
        if events:
            db.execute("SELECT eventstore.ack(%s, %s)", [SUBSCRIPTION, events[0].delivery])


def run(consumer):
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, stop)
    pause = 0.5
    while not stopping:
        try:
            # poolers in transaction mode may not know prepared statements
            with psycopg.connect(autocommit=True, prepare_threshold=None, row_factory=namedtuple_row) as db:
                pause = 0.5
                while not stopping:
                    handle_batch(db, consumer)
                db.execute("SELECT eventstore.release(%s, %s)", [SUBSCRIPTION, consumer])
        except psycopg.OperationalError as error:
            print(f"connection lost: {error}", file=sys.stderr)
            time.sleep(pause)
            pause = min(2 * pause, WAIT)


if __name__ == "__main__":
    run(sys.argv[1] if len(sys.argv) > 1 else "worker-1")
