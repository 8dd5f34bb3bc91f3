CREATE OR REPLACE FUNCTION eventstore.notifier_failures(
  OUT failed_starts integer,
  OUT last_error text,
  OUT last_error_at timestamptz,
  OUT next_start_at timestamptz)
RETURNS record
AS 'MODULE_PATHNAME', 'pges_notifier_failures'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;

COMMENT ON FUNCTION eventstore.notifier_failures() IS
'The failures of the notifier, as table notifier_status has them now; the view eventstore.notifier shows them with its state.
Errors: 55000 when the table is not as the extension has made it.';
