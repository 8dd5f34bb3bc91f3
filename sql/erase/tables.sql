-- Records of erasures. erase_aggregate() and redact_event() insert rows as the owner
-- of the table. A restore inserts rows, too. No row is ever changed, except that a row
-- about a dropped store forgets the OID when another store gets it.
CREATE TABLE eventstore.erasures (
  erasure_id varchar(36) COLLATE "C" PRIMARY KEY,
  erased_at timestamptz NOT NULL,
  erased_by name NOT NULL,
  session_role name NOT NULL,
  store eventstore.regstore NOT NULL,
  store_name text NOT NULL,
  aggregate_id text COLLATE "C",
  event_id text COLLATE "C",
  events integer NOT NULL,
  values_given boolean NOT NULL,
  reason text NOT NULL
);
CREATE INDEX erasures_aggregate ON eventstore.erasures (aggregate_id);
CREATE TRIGGER keep_erasures BEFORE UPDATE OR DELETE OR TRUNCATE ON eventstore.erasures
  FOR EACH STATEMENT EXECUTE FUNCTION eventstore.keep_erasures();
CREATE TRIGGER receive_row BEFORE INSERT ON eventstore.erasures
  FOR EACH ROW EXECUTE FUNCTION eventstore.receive_row('keep');
ALTER TABLE eventstore.erasures ENABLE REPLICA TRIGGER receive_row;
SELECT pg_catalog.pg_extension_config_dump('eventstore.erasures', '');

COMMENT ON TABLE eventstore.erasures IS
'The records of erasures: by which role, when, of what and why. erase_aggregate() and redact_event() write the records. UPDATE, DELETE and TRUNCATE are rejected with SQLSTATE 0A000. Superusers can read the records, and can grant SELECT to other roles.';
COMMENT ON COLUMN eventstore.erasures.erasure_id IS 'a UUID version 7: ids ascend with time';
COMMENT ON COLUMN eventstore.erasures.erased_at IS 'time of the erasure';
COMMENT ON COLUMN eventstore.erasures.erased_by IS 'the current role, whose privileges were used';
COMMENT ON COLUMN eventstore.erasures.session_role IS 'the role that was logged in; differs from erased_by after SET ROLE or in a SECURITY DEFINER function';
COMMENT ON COLUMN eventstore.erasures.store IS 'the store, by its present name; - if the store was dropped, or not restored';
COMMENT ON COLUMN eventstore.erasures.store_name IS 'name of the store at the time of the erasure';
COMMENT ON COLUMN eventstore.erasures.aggregate_id IS 'the aggregate, or the aggregate of the event; null for an event of no aggregate';
COMMENT ON COLUMN eventstore.erasures.event_id IS 'the event; null if a whole aggregate was erased';
COMMENT ON COLUMN eventstore.erasures.events IS 'number of events that were changed';
COMMENT ON COLUMN eventstore.erasures.values_given IS 'whether the call of redact_event() gave new values';
COMMENT ON COLUMN eventstore.erasures.reason IS 'the reason that the caller gave';
COMMENT ON TRIGGER keep_erasures ON eventstore.erasures IS 'rejects UPDATE, DELETE and TRUNCATE';
COMMENT ON TRIGGER receive_row ON eventstore.erasures IS 'takes the rows that logical replication brings';
