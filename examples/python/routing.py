"""Append to a sliced store without a front in between: find the slot and its server.

    python3 routing.py STORE AGGREGATE_ID EVENT_TYPE [DATA]

The environment (PGHOST, PGDATABASE ...) names a front, which has the map. See doc/many-servers.md.
"""

import sys
import zlib

import psycopg

MOVED = ("42P01", "22023")  # the slot is not there, or another number of slots: the map is old


def slot_of(aggregate_id, slots):
    """The slot of an aggregate: the first bits of the CRC-32 of its id in UTF-8."""
    return zlib.crc32(aggregate_id.encode()) * slots >> 32


class Router:
    """Connections to the nodes of a sliced store, by the map of a front."""

    def __init__(self, store, front=""):
        self.store, self.front, self.map, self.connections = store, front, None, {}

    def read_map(self):
        with psycopg.connect(self.front, autocommit=True) as front:
            rows = front.execute("SELECT slot, conninfo FROM eventstore.slot_map WHERE store = %s", [self.store])
            self.map = dict(rows.fetchall())
        if not self.map:
            raise LookupError(f"the front has no map of store {self.store}")

    def connection(self, aggregate_id):
        """A connection to the server that has the slot of an aggregate."""
        if self.map is None:
            self.read_map()
        conninfo = self.map[slot_of(aggregate_id, len(self.map))]
        if conninfo not in self.connections or self.connections[conninfo].closed:
            self.connections[conninfo] = psycopg.connect(conninfo, autocommit=True)
        return self.connections[conninfo]

    def call(self, sql, aggregate_id, args):
        """Run a statement on the slot of an aggregate. If the slot has moved, read the map and repeat."""
        for attempt in range(5):
            try:
                return self.connection(aggregate_id).execute(sql, args).fetchall()
            except psycopg.Error as error:
                if error.sqlstate not in MOVED or attempt == 4:
                    raise
                self.read_map()


if __name__ == "__main__":
    store, aggregate_id, event_type, data = (sys.argv[1:] + ["{}"])[:4]
    append = "SELECT eventstore.append_event(%s, %s::jsonb, %s, store => eventstore.slot_store(%s, %s))"
    rows = Router(store).call(append, aggregate_id, [event_type, data, aggregate_id, store, aggregate_id])
    print(f"{aggregate_id} is at version {rows[0][0]}")
