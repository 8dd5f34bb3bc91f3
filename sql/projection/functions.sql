CREATE OR REPLACE FUNCTION eventstore.create_projection(
  name text,
  handler regprocedure,
  mode text DEFAULT 'async',
  store regclass DEFAULT NULL,
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  start_position bigint DEFAULT 0,
  tables regclass[] DEFAULT '{}',
  batch_size integer DEFAULT 1000,
  on_error text DEFAULT 'stop',
  max_attempts integer DEFAULT 5,
  backoff interval DEFAULT '1 second')
RETURNS void
AS 'MODULE_PATHNAME', 'pges_create_projection'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION eventstore.alter_projection(
  name text,
  handler regprocedure DEFAULT NULL,
  event_types text[] DEFAULT NULL,
  aggregate_types text[] DEFAULT NULL,
  tables regclass[] DEFAULT NULL,
  batch_size integer DEFAULT NULL,
  on_error text DEFAULT NULL,
  max_attempts integer DEFAULT NULL,
  backoff interval DEFAULT NULL,
  owner name DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_alter_projection'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION eventstore.drop_projection(name text)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_drop_projection'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION eventstore.pause_projection(name text)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_pause_projection'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION eventstore.resume_projection(name text)
RETURNS void
AS 'MODULE_PATHNAME', 'pges_resume_projection'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION eventstore.run_projection(
  name text,
  max_count integer DEFAULT NULL)
RETURNS integer
AS 'MODULE_PATHNAME', 'pges_run_projection'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION eventstore.wait_for_projection(
  name text,
  to_position bigint DEFAULT NULL,
  timeout interval DEFAULT '10 seconds')
RETURNS bigint
AS 'MODULE_PATHNAME', 'pges_wait_for_projection'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE OR REPLACE FUNCTION eventstore.run_inline() RETURNS trigger
AS 'MODULE_PATHNAME', 'pges_run_inline'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION eventstore.run_inline() IS
'Trigger after INSERT on a store: runs an inline projection with the events of the statement. create_projection() creates the trigger.
Errors: 39P01 not called as that trigger; 55000 the handler of a projection appended to its store; others as the handler raises them.';
