#!/usr/bin/env python3
"""The dead letters: events that failed too often, each with the later events of its aggregate behind it.

    dead_letters.py SUBSCRIPTION                         list them
    dead_letters.py SUBSCRIPTION replay AGGREGATE        deliver those of an aggregate again, in order
    dead_letters.py SUBSCRIPTION discard AGGREGATE WHY   give up the one that failed, deliver those behind it
"""
import sys

import psycopg


def show(db, subscription):
    for row in db.execute("""SELECT aggregate_id, aggregate_version, event_type, attempts, replay, reason
                               FROM eventstore.parked_events WHERE subscription = %s
                              ORDER BY aggregate_id, position""", [subscription]):
        print(*row, sep=" | ")


def replay(db, subscription, aggregate):
    count, = db.execute("SELECT eventstore.replay_parked(%s, %s)", [subscription, aggregate]).fetchone()
    print(count, "to be delivered again")


def discard(db, subscription, aggregate, reason):
    failed, = db.execute("SELECT min(position) FROM eventstore.parked_events WHERE subscription = %s AND aggregate_id = %s",
                         [subscription, aggregate]).fetchone()
    if failed is None:
        sys.exit("nothing is parked")
    db.execute("SELECT eventstore.discard_parked(%s, %s, %s, %s)", [subscription, aggregate, failed, reason])
    replay(db, subscription, aggregate)


match sys.argv[1:]:
    case [subscription]:
        command = show, subscription
    case [subscription, "replay", aggregate]:
        command = replay, subscription, aggregate
    case [subscription, "discard", aggregate, reason]:
        command = discard, subscription, aggregate, reason
    case _:
        sys.exit(__doc__)
with psycopg.connect() as db:  # one transaction, which ends here
    command[0](db, *command[1:])
