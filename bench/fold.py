# Computes the state of an aggregate for some seconds, and prints how many times a second.
# Part of script/bench.
#   fold.py WAY AGGREGATE SECONDS
#   aggregate_state  the server computes the state
#   client_fold      reads the events, and computes the state here
import sys
import time

import psycopg

way, aggregate, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])


def aggregate_state(db):
    return db.execute("SELECT eventstore.aggregate_state(%s, 'bench.basket(jsonb, eventstore.event)')", [aggregate]).fetchone()[0]


def client_fold(db):
    items, total, last = 0, 0, None
    for event in db.execute("SELECT * FROM eventstore.get_events_by_aggregate(%s)", [aggregate]):
        event_type, data = event[2], event[9]
        if event_type == "item_added":
            items += data["quantity"]
            total += data["quantity"] * data["price"]
            last = data["sku"]
    return {"items": items, "total": total, "last": last}


fold = {"aggregate_state": aggregate_state, "client_fold": client_fold}[way]
with psycopg.connect(autocommit=True, prepare_threshold=0) as db:
    state = fold(db)
    other = {"aggregate_state": client_fold, "client_fold": aggregate_state}[way](db)
    if state != other:
        sys.exit(f"the states differ: {state}, {other}")
    count, begun = 0, time.perf_counter()
    while count == 0 or time.perf_counter() - begun < seconds:
        fold(db)
        count += 1
    print(count / (time.perf_counter() - begun))
