#!/usr/bin/env python3
"""An order service whose read models the server keeps up to date, by projections (see ../orders.sql):

python3 orders.py place ORDER TOTAL      places an order, and shows it in the read model
python3 orders.py pay ORDER              pays an order, and shows it
python3 orders.py register USER EMAIL    registers a user, unless another one has the address
python3 orders.py rebuild                handles all events again, after list_order() was replaced
"""
import sys

import psycopg
from psycopg.types.json import Jsonb


def append(db, order, version, event_type, data):
    """Append an event to an order that is at a version; return its position."""
    event = {"event_type": event_type, "aggregate_type": "Order", "aggregate_id": order, "data": data}
    return db.execute("SELECT position FROM eventstore.append(%s, expected_versions => %s, store => 'example.orders')",
                      [Jsonb([event]), Jsonb({order: version})]).fetchone()[0]


def show(db, order, position):
    """Read an order from the read model, when that has handled the event at the position."""
    if db.execute("SELECT eventstore.wait_for_projection('example.order_list', %s, '5 seconds')", [position]).fetchone()[0] is None:
        print("the list of orders may be old", file=sys.stderr)
    state, total = db.execute("SELECT state, total FROM example.order_list WHERE order_id = %s", [order]).fetchone()
    print(f"{order}: {state}, {total}")


def place(db, order, total):
    try:
        position = append(db, order, 0, "order_placed", {"total": int(total)})
    except psycopg.Error as error:
        if error.sqlstate != "40V01":
            raise
        sys.exit(f"{order} was placed before")
    show(db, order, position)


def pay(db, order):
    version = db.execute("SELECT eventstore.get_aggregate_version(%s, 'example.orders')", [order]).fetchone()[0]
    if version == 0:
        sys.exit(f"there is no order {order}")
    show(db, order, append(db, order, version, "order_paid", {}))


def register(db, user, email):
    try:
        db.execute("""SELECT eventstore.append_event('user_registered', %s, %s, expected_version => 0, aggregate_type => 'User',
                                                     store => 'example.users')""", [Jsonb({"email": email}), user])
    except psycopg.errors.UniqueViolation as error:
        if error.diag.constraint_name != "emails_pkey":
            raise
        sys.exit(f"{email} is taken")  # the event was not stored
    print(f"{user} is registered")


def rebuild(db):
    rebuild = db.execute("SELECT eventstore.rebuild_projection('example.order_list')").fetchone()[0]
    # meanwhile, readers see the old rows
    while db.execute("SELECT eventstore.wait_for_projection(%s)", [rebuild]).fetchone()[0] is None:
        lag = db.execute("SELECT lag FROM eventstore.projections WHERE name = %s", [rebuild]).fetchone()
        print(f"{lag[0] if lag else 0} events to go", file=sys.stderr)
    print("order_list is rebuilt")


if __name__ == "__main__":
    commands = {"place": place, "pay": pay, "register": register, "rebuild": rebuild}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    # poolers in transaction mode may not know prepared statements
    with psycopg.connect(autocommit=True, prepare_threshold=None) as db:
        commands[sys.argv[1]](db, *sys.argv[2:])
