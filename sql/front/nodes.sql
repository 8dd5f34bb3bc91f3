
-- The nodes and the fronts. The maps of the stores are foreign servers of PL/Proxy.
CREATE TABLE eventstore.nodes (
  node text COLLATE "C" PRIMARY KEY CHECK (node OPERATOR(pg_catalog.<>) ''),
  conninfo text COLLATE "C" NOT NULL UNIQUE
);
SELECT pg_catalog.pg_extension_config_dump('eventstore.nodes', '');

COMMENT ON TABLE eventstore.nodes IS 'The nodes: the databases that have slots. set_node() writes the rows.';
COMMENT ON COLUMN eventstore.nodes.node IS 'name of the node';
COMMENT ON COLUMN eventstore.nodes.conninfo IS 'connection string of libpq, as the fronts use it; without password';

CREATE TABLE eventstore.fronts (
  conninfo text COLLATE "C" PRIMARY KEY
);
SELECT pg_catalog.pg_extension_config_dump('eventstore.fronts', '');

COMMENT ON TABLE eventstore.fronts IS 'The fronts of these nodes, this one included. pg_eventstore_cluster changes the maps of all of them. set_front() writes the rows.';
COMMENT ON COLUMN eventstore.fronts.conninfo IS 'connection string of libpq, as pg_eventstore_cluster uses it; without password';

CREATE VIEW eventstore.slot_map AS
SELECT s.srvname::text AS store,
       pg_catalog.substr(o.option_name, 2)::integer AS slot,
       pg_catalog.count(*) OVER (PARTITION BY s.oid)::integer AS slots,
       n.node,
       o.option_value AS conninfo
  FROM pg_catalog.pg_foreign_server s
  JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid OPERATOR(pg_catalog.=) s.srvfdw
       CROSS JOIN LATERAL pg_catalog.pg_options_to_table(s.srvoptions) o
  LEFT JOIN eventstore.nodes n ON n.conninfo OPERATOR(pg_catalog.=) o.option_value
 WHERE w.fdwname OPERATOR(pg_catalog.=) 'plproxy' AND o.option_name OPERATOR(pg_catalog.~) '^p\d+$';

COMMENT ON VIEW eventstore.slot_map IS 'The maps of this front: which node has each slot of each sliced store.';
COMMENT ON COLUMN eventstore.slot_map.store IS 'name of the sliced store';
COMMENT ON COLUMN eventstore.slot_map.slot IS 'number of the slot';
COMMENT ON COLUMN eventstore.slot_map.slots IS 'number of slots of the store';
COMMENT ON COLUMN eventstore.slot_map.node IS 'node that has the slot; null if no node has this connection string';
COMMENT ON COLUMN eventstore.slot_map.conninfo IS 'connection string of the node';

GRANT SELECT ON eventstore.nodes, eventstore.slot_map TO PUBLIC;
