CREATE OR REPLACE FUNCTION eventstore.new_event_id() RETURNS varchar
AS 'MODULE_PATHNAME', 'pges_new_event_id'
LANGUAGE C VOLATILE PARALLEL SAFE;

COMMENT ON FUNCTION eventstore.new_event_id() IS
'Returns a new UUID version 7 as text, which is the default of column event_id. The ids that one session generates are ascending.';
