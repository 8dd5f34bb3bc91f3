-- Makes the front of the group cluster: maps in which all slots are on the node with the
-- connection string :node.
CREATE EXTENSION plproxy;
CREATE EXTENSION pg_eventstore_front;
SELECT eventstore.set_node('node_1', :'node');
SELECT eventstore.set_slot_map('bench.slots_' || slots, array_fill('node_1'::text, ARRAY[slots]))
  FROM unnest(ARRAY[2, 16, 128, 1024]) AS slots;
