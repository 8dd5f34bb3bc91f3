-- Who erased what. Rows are inserted by erase_aggregate() and redact_event() as
-- the owner of the table, and by a restore; nobody changes them.
CREATE TABLE eventstore.erasures (
  erasure_id varchar(36) COLLATE "C" PRIMARY KEY,
  erased_at timestamptz NOT NULL,
  erased_by name NOT NULL,
  session_role name NOT NULL,
  store text NOT NULL,
  aggregate_id text COLLATE "C",
  event_id text COLLATE "C",
  events integer NOT NULL,
  values_given boolean NOT NULL,
  reason text NOT NULL
);
CREATE TRIGGER keep_erasures BEFORE UPDATE OR DELETE OR TRUNCATE ON eventstore.erasures
  FOR EACH STATEMENT EXECUTE FUNCTION eventstore.keep_erasures();
SELECT pg_catalog.pg_extension_config_dump('eventstore.erasures', '');

COMMENT ON TABLE eventstore.erasures IS
'A record of each erasure: who erased what, when and why. erase_aggregate() and redact_event() write it; nobody changes it.';
COMMENT ON COLUMN eventstore.erasures.erasure_id IS 'a UUID version 7, so ids ascend with time';
COMMENT ON COLUMN eventstore.erasures.erased_at IS 'when';
COMMENT ON COLUMN eventstore.erasures.erased_by IS 'who: the current role, whose rights were used';
COMMENT ON COLUMN eventstore.erasures.session_role IS 'who was logged in; another role than erased_by after SET ROLE or in a SECURITY DEFINER function';
COMMENT ON COLUMN eventstore.erasures.store IS 'the name that the store had';
COMMENT ON COLUMN eventstore.erasures.aggregate_id IS 'the aggregate, or that of the event; null for an event of no aggregate';
COMMENT ON COLUMN eventstore.erasures.event_id IS 'the event; null when a whole aggregate was erased';
COMMENT ON COLUMN eventstore.erasures.events IS 'how many events were changed';
COMMENT ON COLUMN eventstore.erasures.values_given IS 'whether redact_event() was given values to take the place of the old ones';
COMMENT ON COLUMN eventstore.erasures.reason IS 'why, as the caller said';
COMMENT ON TRIGGER keep_erasures ON eventstore.erasures IS 'refuses UPDATE, DELETE and TRUNCATE';
