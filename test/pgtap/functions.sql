-- Every function of the extension: its signature, what it may do, who may call
-- it, and that it explains itself.
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS pg_eventstore;

CREATE TEMP TABLE wanted (
  name text,
  arguments text,     -- with names and defaults
  result text,
  volatility text,
  parallel text,
  strict text,
  rows real           -- estimate; 0 for a function that returns no set
);

INSERT INTO wanted VALUES
('append_events',
 'events jsonb, expected_version integer DEFAULT NULL::integer, store regclass DEFAULT NULL::regclass',
 'integer', 'volatile', 'unsafe', 'called on null', 0),
('append_event',
 'event_type text, data jsonb, aggregate_id text DEFAULT NULL::text, expected_version integer DEFAULT NULL::integer, '
 'aggregate_type text DEFAULT NULL::text, metadata jsonb DEFAULT NULL::jsonb, event_id text DEFAULT NULL::text, '
 'occurred_at timestamp with time zone DEFAULT NULL::timestamp with time zone, correlation_id text DEFAULT NULL::text, '
 'causation_id text DEFAULT NULL::text, store regclass DEFAULT NULL::regclass',
 'integer', 'volatile', 'unsafe', 'called on null', 0),
('append_to_aggregate',
 'aggregate_id text, event_types text[], data jsonb[], expected_version integer DEFAULT NULL::integer, '
 'aggregate_type text DEFAULT NULL::text, metadata jsonb[] DEFAULT NULL::jsonb[], event_ids text[] DEFAULT NULL::text[], '
 'occurred_at timestamp with time zone[] DEFAULT NULL::timestamp with time zone[], correlation_id text DEFAULT NULL::text, '
 'causation_id text DEFAULT NULL::text, store regclass DEFAULT NULL::regclass',
 'integer', 'volatile', 'unsafe', 'called on null', 0),
('append',
 'events jsonb, expected_versions jsonb DEFAULT NULL::jsonb, store regclass DEFAULT NULL::regclass',
 'TABLE("position" bigint, event_id text, aggregate_id text, aggregate_version integer, deduplicated boolean)',
 'volatile', 'unsafe', 'called on null', 10),
('next_position', 'sequence regclass', 'bigint', 'volatile', 'unsafe', 'strict', 0),
('new_event_id', '', 'character varying', 'volatile', 'safe', 'called on null', 0),
('read_support', 'internal', 'internal', 'immutable', 'safe', 'strict', 0),
('get_events_by_aggregate',
 'aggregate_id text, from_version integer DEFAULT 0, to_version integer DEFAULT NULL::integer, '
 'max_count integer DEFAULT NULL::integer, backwards boolean DEFAULT false, store regclass DEFAULT NULL::regclass, include_archived boolean DEFAULT true',
 'SETOF eventstore.event', 'stable', 'safe', 'called on null', 100),
('get_events_by_type',
 'event_type text, start_date timestamp with time zone DEFAULT NULL::timestamp with time zone, after_position bigint DEFAULT NULL::bigint, '
 'max_count integer DEFAULT NULL::integer, store regclass DEFAULT NULL::regclass, include_archived boolean DEFAULT true',
 'SETOF eventstore.event', 'stable', 'safe', 'called on null', 1000),
('get_events_by_aggregate_type',
 'aggregate_type text, start_date timestamp with time zone DEFAULT NULL::timestamp with time zone, after_position bigint DEFAULT NULL::bigint, '
 'max_count integer DEFAULT NULL::integer, store regclass DEFAULT NULL::regclass, include_archived boolean DEFAULT true',
 'SETOF eventstore.event', 'stable', 'safe', 'called on null', 1000),
('get_events_by_correlation_id',
 'correlation_id text, start_date timestamp with time zone DEFAULT NULL::timestamp with time zone, after_position bigint DEFAULT NULL::bigint, '
 'max_count integer DEFAULT NULL::integer, store regclass DEFAULT NULL::regclass, include_archived boolean DEFAULT true',
 'SETOF eventstore.event', 'stable', 'safe', 'called on null', 10),
('get_events_by_causation_id',
 'causation_id text, start_date timestamp with time zone DEFAULT NULL::timestamp with time zone, after_position bigint DEFAULT NULL::bigint, '
 'max_count integer DEFAULT NULL::integer, store regclass DEFAULT NULL::regclass, include_archived boolean DEFAULT true',
 'SETOF eventstore.event', 'stable', 'safe', 'called on null', 10),
('get_latest_events',
 'max_count integer DEFAULT NULL::integer, store regclass DEFAULT NULL::regclass, include_archived boolean DEFAULT true',
 'SETOF eventstore.event', 'stable', 'safe', 'called on null', 100),
('get_event',
 'event_id text, store regclass DEFAULT NULL::regclass, include_archived boolean DEFAULT true',
 'SETOF eventstore.event', 'stable', 'safe', 'called on null', 1),
('get_aggregate_version',
 'aggregate_id text, store regclass DEFAULT NULL::regclass',
 'integer', 'stable', 'safe', 'called on null', 0),
('save_snapshot', 'aggregate_id text, aggregate_version integer, state jsonb, store regclass DEFAULT NULL::regclass', 'boolean', 'volatile', 'unsafe', 'called on null', 0),
('get_snapshot', 'aggregate_id text, max_version integer DEFAULT NULL::integer, store regclass DEFAULT NULL::regclass',
 'TABLE(aggregate_version integer, state jsonb, saved_at timestamp with time zone)', 'stable', 'unsafe', 'called on null', 1),
('delete_snapshots', 'aggregate_id text DEFAULT NULL::text, before_version integer DEFAULT NULL::integer, store regclass DEFAULT NULL::regclass',
 'bigint', 'volatile', 'unsafe', 'called on null', 0),
('load_aggregate', 'aggregate_id text, store regclass DEFAULT NULL::regclass',
 'TABLE("position" bigint, event_id character varying, event_type character varying, occurred_at timestamp with time zone, correlation_id character varying, '
 'causation_id character varying, aggregate_id character varying, aggregate_type character varying, aggregate_version integer, data jsonb, metadata jsonb, state jsonb)',
 'stable', 'unsafe', 'called on null', 100),
('aggregate_state',
 'aggregate_id text, reducer regprocedure, initial jsonb DEFAULT ''{}''::jsonb, to_version integer DEFAULT NULL::integer, '
 'at timestamp with time zone DEFAULT NULL::timestamp with time zone, store regclass DEFAULT NULL::regclass',
 'jsonb', 'volatile', 'unsafe', 'called on null', 0),
('get_state',
 'name text, aggregate_id text, to_version integer DEFAULT NULL::integer, at timestamp with time zone DEFAULT NULL::timestamp with time zone, store regclass DEFAULT NULL::regclass',
 'jsonb', 'volatile', 'unsafe', 'called on null', 0),
('create_state', 'name text, reducer regprocedure, initial jsonb DEFAULT ''{}''::jsonb, snapshot_every integer DEFAULT 100, store regclass DEFAULT NULL::regclass',
 'void', 'volatile', 'unsafe', 'called on null', 0),
('alter_state',
 'name text, reducer regprocedure DEFAULT NULL::regprocedure, initial jsonb DEFAULT NULL::jsonb, snapshot_every integer DEFAULT NULL::integer, '
 'owner name DEFAULT NULL::name, store regclass DEFAULT NULL::regclass',
 'void', 'volatile', 'unsafe', 'called on null', 0),
('reset_state', 'name text, store regclass DEFAULT NULL::regclass', 'void', 'volatile', 'unsafe', 'called on null', 0),
('drop_state', 'name text, store regclass DEFAULT NULL::regclass', 'void', 'volatile', 'unsafe', 'called on null', 0),
('projection_problem', 'name text', 'text', 'stable', 'unsafe', 'strict', 0),
('state_problem', 'name text, store regclass', 'text', 'stable', 'safe', 'strict', 0),
('skip_lost_snapshot', '', 'trigger', 'volatile', 'unsafe', 'called on null', 0),
('read_events',
 'after_position bigint DEFAULT 0, max_count integer DEFAULT NULL::integer, event_types text[] DEFAULT NULL::text[], '
 'aggregate_types text[] DEFAULT NULL::text[], backwards boolean DEFAULT false, store regclass DEFAULT NULL::regclass, include_archived boolean DEFAULT true',
 'SETOF eventstore.event', 'volatile', 'unsafe', 'called on null', 100),
('high_water_mark', 'store regclass DEFAULT NULL::regclass', 'bigint', 'volatile', 'unsafe', 'called on null', 0),
('wait_for_events',
 'after_position bigint DEFAULT 0, timeout interval DEFAULT ''00:00:10''::interval, event_types text[] DEFAULT NULL::text[], '
 'aggregate_types text[] DEFAULT NULL::text[], store regclass DEFAULT NULL::regclass, include_archived boolean DEFAULT true',
 'bigint', 'volatile', 'unsafe', 'called on null', 0),
('next_checkpoint',
 'after_position bigint DEFAULT 0, event_types text[] DEFAULT NULL::text[], aggregate_types text[] DEFAULT NULL::text[], '
 'store regclass DEFAULT NULL::regclass, include_archived boolean DEFAULT true',
 'bigint', 'volatile', 'unsafe', 'called on null', 0),
('advance_watermark', 'store regclass DEFAULT NULL::regclass', 'bigint', 'volatile', 'unsafe', 'called on null', 0),
('import_events',
 'source text, store regclass DEFAULT NULL::regclass, OUT imported bigint, OUT present bigint',
 'record', 'volatile', 'unsafe', 'called on null', 0),
('import_json',
 'events jsonb, store regclass DEFAULT NULL::regclass, OUT imported bigint, OUT present bigint',
 'record', 'volatile', 'unsafe', 'called on null', 0),
('export_events',
 'after_position bigint DEFAULT 0, max_count integer DEFAULT NULL::integer, store regclass DEFAULT NULL::regclass, include_archived boolean DEFAULT true',
 'TABLE("position" bigint, event jsonb)', 'volatile', 'unsafe', 'called on null', 1000),
('reported_progress',
 'OUT pid integer, OUT store regclass, OUT work text, OUT done bigint, OUT skipped bigint, OUT started_at timestamp with time zone',
 'SETOF record', 'volatile', 'restricted', 'called on null', 10),
('create_store',
 'name text, notifications text DEFAULT ''worker''::text, channel text DEFAULT NULL::text, create_schema_if_missing boolean DEFAULT true, indexes text[] DEFAULT NULL::text[]',
 'regclass', 'volatile', 'unsafe', 'called on null', 0),
('empty_store', 'store regclass', 'bigint', 'volatile', 'unsafe', 'called on null', 0),
('drop_store', 'store regclass, force boolean DEFAULT false', 'void', 'volatile', 'unsafe', 'called on null', 0),
('set_notifications',
 'store regclass, mode text, channel text DEFAULT NULL::text', 'void', 'volatile', 'unsafe', 'called on null', 0),
('store_options',
 'store regclass, OUT notifications text, OUT channel text, OUT position_sequence regclass, OUT slot integer, OUT slots integer, OUT arriving boolean',
 'record', 'stable', 'safe', 'strict', 0),
('create_slots',
 'name text, slots integer, only_slots integer[] DEFAULT NULL::integer[], notifications text DEFAULT ''worker''::text, channel text DEFAULT NULL::text, create_schema_if_missing boolean DEFAULT true, indexes text[] DEFAULT NULL::text[]',
 'SETOF regclass', 'volatile', 'unsafe', 'called on null', 16),
('slot_of', 'aggregate_id text, slots integer', 'integer', 'immutable', 'safe', 'strict', 0),
('slots', 'store text, OUT slot integer, OUT slots integer, OUT slot_store regclass', 'SETOF record', 'stable', 'safe', 'called on null', 16),
('slot_store', 'store text, aggregate_id text', 'regclass', 'stable', 'safe', 'called on null', 0),
('store_of_slot', 'store text, slot integer', 'regclass', 'stable', 'safe', 'called on null', 0),
('lock_slot', 'store regclass', 'void', 'volatile', 'unsafe', 'called on null', 0),
('set_slot_arriving', 'store regclass, arriving boolean', 'void', 'volatile', 'unsafe', 'called on null', 0),
('erase_aggregate',
 'aggregate_id text, reason text, store regclass DEFAULT NULL::regclass', 'integer', 'volatile', 'unsafe', 'called on null', 0),
('redact_event',
 'event_id text, reason text, data jsonb DEFAULT NULL::jsonb, metadata jsonb DEFAULT NULL::jsonb, store regclass DEFAULT NULL::regclass',
 'boolean', 'volatile', 'unsafe', 'called on null', 0),
('is_erased', 'content jsonb', 'boolean', 'immutable', 'safe', 'called on null', 0),
('keep_erasures', '', 'trigger', 'volatile', 'unsafe', 'called on null', 0),
('skip_lost_hold', '', 'trigger', 'volatile', 'unsafe', 'called on null', 0),
('before_ddl', '', 'event_trigger', 'volatile', 'unsafe', 'called on null', 0),
('receive_row', '', 'trigger', 'volatile', 'unsafe', 'called on null', 0),
('after_append', '', 'trigger', 'volatile', 'unsafe', 'called on null', 0),
('refuse_change', '', 'trigger', 'volatile', 'unsafe', 'called on null', 0),
('check_insert', '', 'trigger', 'volatile', 'unsafe', 'called on null', 0),
('create_archive',
 'store regclass DEFAULT NULL::regclass, name text DEFAULT NULL::text, tablespace text DEFAULT NULL::text',
 'regclass', 'volatile', 'unsafe', 'called on null', 0),
('ack', 'subscription text, delivery bigint, up_to_position bigint DEFAULT NULL::bigint', 'void', 'volatile', 'unsafe', 'called on null', 0),
('alter_subscription', 'name text, event_types text[] DEFAULT NULL::text[], aggregate_types text[] DEFAULT NULL::text[], partitions integer DEFAULT NULL::integer, lease interval DEFAULT NULL::interval, max_attempts integer DEFAULT NULL::integer, backoff interval DEFAULT NULL::interval, on_exhausted text DEFAULT NULL::text, owner name DEFAULT NULL::name', 'void', 'volatile', 'unsafe', 'called on null', 0),
('create_subscription', 'name text, store regclass DEFAULT NULL::regclass, event_types text[] DEFAULT NULL::text[], aggregate_types text[] DEFAULT NULL::text[], start_position bigint DEFAULT 0, partitions integer DEFAULT 1, lease interval DEFAULT ''00:00:30''::interval, max_attempts integer DEFAULT 10, backoff interval DEFAULT ''00:00:01''::interval, on_exhausted text DEFAULT ''park''::text', 'void', 'volatile', 'unsafe', 'called on null', 0),
('discard_parked', 'subscription text, aggregate_id text DEFAULT NULL::text, at_position bigint DEFAULT NULL::bigint, reason text DEFAULT NULL::text', 'bigint', 'volatile', 'unsafe', 'called on null', 0),
('drop_subscription', 'name text', 'void', 'volatile', 'unsafe', 'called on null', 0),
('extend_lease', 'subscription text, delivery bigint, lease interval DEFAULT NULL::interval', 'timestamp with time zone', 'volatile', 'unsafe', 'called on null', 0),
('nack', 'subscription text, delivery bigint, at_position bigint, reason text DEFAULT NULL::text, retry_after interval DEFAULT NULL::interval', 'timestamp with time zone', 'volatile', 'unsafe', 'called on null', 0),
('park', 'subscription text, delivery bigint, at_position bigint, reason text DEFAULT NULL::text', 'void', 'volatile', 'unsafe', 'called on null', 0),
('pause_subscription', 'name text', 'void', 'volatile', 'unsafe', 'called on null', 0),
('poll', 'subscription text, max_count integer DEFAULT 100, consumer text DEFAULT NULL::text, wait interval DEFAULT ''00:00:00''::interval, ack bigint DEFAULT NULL::bigint', 'TABLE(delivery bigint, attempt integer, partition integer, "position" bigint, event_id character varying, event_type character varying, occurred_at timestamp with time zone, correlation_id character varying, causation_id character varying, aggregate_id character varying, aggregate_type character varying, aggregate_version integer, data jsonb, metadata jsonb)', 'volatile', 'unsafe', 'called on null', 100),
('release', 'subscription text, consumer text', 'integer', 'volatile', 'unsafe', 'called on null', 0),
('replay_parked', 'subscription text, aggregate_id text DEFAULT NULL::text, at_position bigint DEFAULT NULL::bigint', 'bigint', 'volatile', 'unsafe', 'called on null', 0),
('reset_subscription', 'name text, to_position bigint DEFAULT NULL::bigint, to_time timestamp with time zone DEFAULT NULL::timestamp with time zone', 'bigint', 'volatile', 'unsafe', 'called on null', 0),
('resume_subscription', 'name text', 'void', 'volatile', 'unsafe', 'called on null', 0),
('subscription_lag', 'subscription text, OUT lag bigint, OUT occurred_at timestamp with time zone, OUT problem text', 'record', 'volatile', 'unsafe', 'strict', 0),
('create_projection', 'name text, handler regprocedure, mode text DEFAULT ''async''::text, store regclass DEFAULT NULL::regclass, event_types text[] DEFAULT NULL::text[], aggregate_types text[] DEFAULT NULL::text[], start_position bigint DEFAULT 0, tables regclass[] DEFAULT ''{}''::regclass[], batch_size integer DEFAULT 1000, on_error text DEFAULT ''stop''::text, max_attempts integer DEFAULT 5, backoff interval DEFAULT ''00:00:01''::interval', 'void', 'volatile', 'unsafe', 'called on null', 0),
('alter_projection', 'name text, handler regprocedure DEFAULT NULL::regprocedure, event_types text[] DEFAULT NULL::text[], aggregate_types text[] DEFAULT NULL::text[], tables regclass[] DEFAULT NULL::regclass[], batch_size integer DEFAULT NULL::integer, on_error text DEFAULT NULL::text, max_attempts integer DEFAULT NULL::integer, backoff interval DEFAULT NULL::interval, owner name DEFAULT NULL::name, mode text DEFAULT NULL::text', 'void', 'volatile', 'unsafe', 'called on null', 0),
('drop_projection', 'name text', 'void', 'volatile', 'unsafe', 'called on null', 0),
('pause_projection', 'name text', 'void', 'volatile', 'unsafe', 'called on null', 0),
('resume_projection', 'name text', 'void', 'volatile', 'unsafe', 'called on null', 0),
('run_projection', 'name text, max_count integer DEFAULT NULL::integer', 'integer', 'volatile', 'unsafe', 'called on null', 0),
('wait_for_projection', 'name text, to_position bigint DEFAULT NULL::bigint, timeout interval DEFAULT ''00:00:10''::interval', 'bigint', 'volatile', 'unsafe', 'called on null', 0),
('rebuild_projection', 'name text, in_place boolean DEFAULT false', 'text', 'volatile', 'unsafe', 'called on null', 0),
('run_inline', '', 'trigger', 'volatile', 'unsafe', 'called on null', 0),
('sync_archive', 'store regclass DEFAULT NULL::regclass', 'void', 'volatile', 'unsafe', 'called on null', 0),
('archive_events',
 'store regclass DEFAULT NULL::regclass, before_position bigint DEFAULT NULL::bigint, '
 'before_time timestamp with time zone DEFAULT NULL::timestamp with time zone, aggregate_ids text[] DEFAULT NULL::text[], '
 'max_count integer DEFAULT NULL::integer, dry_run boolean DEFAULT false',
 'bigint', 'volatile', 'unsafe', 'called on null', 0),
('archive_all', -- a procedure
 'IN store regclass DEFAULT NULL::regclass, IN before_position bigint DEFAULT NULL::bigint, '
 'IN before_time timestamp with time zone DEFAULT NULL::timestamp with time zone, IN aggregate_ids text[] DEFAULT NULL::text[], '
 'IN aggregate_query text DEFAULT NULL::text, IN batch_size integer DEFAULT 10000',
 NULL, 'volatile', 'unsafe', 'called on null', 0),
('archive_limit', 'store regclass DEFAULT NULL::regclass', 'bigint', 'volatile', 'unsafe', 'called on null', 0),
('set_retention',
 'store regclass, max_age interval DEFAULT NULL::interval, max_count_per_aggregate integer DEFAULT NULL::integer',
 'void', 'volatile', 'unsafe', 'called on null', 0),
('apply_retention',
 'store regclass DEFAULT NULL::regclass, dry_run boolean DEFAULT true, max_count integer DEFAULT NULL::integer',
 'TABLE(rule text, events bigint)', 'volatile', 'unsafe', 'called on null', 2),
('set_archive_hold', 'name text, up_to_position bigint, store regclass DEFAULT NULL::regclass', 'void', 'volatile', 'unsafe', 'called on null', 0),
('archive_options', 'archive regclass, OUT max_age text, OUT max_count_per_aggregate text', 'record', 'stable', 'safe', 'strict', 0),
('archive_of_store', '', 'trigger', 'volatile', 'unsafe', 'called on null', 0),
('regstore_in', 'cstring', 'eventstore.regstore', 'stable', 'safe', 'strict', 0),
('regstore_out', 'eventstore.regstore', 'cstring', 'stable', 'safe', 'strict', 0),
('regstore_recv', 'internal', 'eventstore.regstore', 'stable', 'safe', 'strict', 0),
('regstore_send', 'eventstore.regstore', 'bytea', 'stable', 'safe', 'strict', 0);

CREATE TEMP VIEW actual AS
SELECT p.oid, p.proname::text AS name,
       pg_get_function_arguments(p.oid) AS arguments,
       pg_get_function_result(p.oid) AS result,
       CASE p.provolatile WHEN 'v' THEN 'volatile' WHEN 's' THEN 'stable' ELSE 'immutable' END AS volatility,
       CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END AS parallel,
       CASE WHEN p.proisstrict THEN 'strict' ELSE 'called on null' END AS strict,
       p.prorows AS rows, p.prosecdef, p.proleakproof, p.prosupport, p.proacl, p.proowner, p.proconfig
  FROM pg_proc p
 WHERE p.pronamespace = 'eventstore'::regnamespace;

SELECT plan(6 * (SELECT count(*)::integer FROM wanted) + 9);

-- all of them, and no overloads
SELECT set_eq('SELECT name FROM actual', 'SELECT name FROM wanted', 'the functions are those listed here');
SELECT is((SELECT count(*) FROM actual), (SELECT count(*) FROM wanted), 'no function has an overload');

SELECT is(a.arguments, w.arguments, w.name || ': arguments')
  FROM wanted w LEFT JOIN actual a USING (name) ORDER BY w.name;
SELECT is(a.result, w.result, w.name || ': result')
  FROM wanted w LEFT JOIN actual a USING (name) ORDER BY w.name;
SELECT is(format('%s, parallel %s, %s', a.volatility, a.parallel, a.strict),
          format('%s, parallel %s, %s', w.volatility, w.parallel, w.strict), w.name || ': behaviour')
  FROM wanted w LEFT JOIN actual a USING (name) ORDER BY w.name;
SELECT is(a.rows, w.rows, w.name || ': rows')
  FROM wanted w LEFT JOIN actual a USING (name) ORDER BY w.name;
SELECT ok(length(obj_description(a.oid, 'pg_proc')) >= 40, w.name || ': has a comment')
  FROM wanted w LEFT JOIN actual a USING (name) ORDER BY w.name;
-- PUBLIC is role 0; what the functions touch is guarded by its own privileges
SELECT is((SELECT array_agg(format('%s%s', x.privilege_type, CASE WHEN x.is_grantable THEN '*' END))
             FROM aclexplode(coalesce(a.proacl, acldefault('f', a.proowner))) x WHERE x.grantee = 0),
          CASE WHEN w.name NOT IN ('before_ddl', 'keep_erasures', 'receive_row', 'skip_lost_hold', 'skip_lost_snapshot') THEN ARRAY['EXECUTE'] END,
          w.name || ': PUBLIC may execute it, unless it is a trigger of a table of ours')
  FROM wanted w LEFT JOIN actual a USING (name) ORDER BY w.name;

SELECT is_empty('SELECT name FROM actual WHERE prosecdef', 'no function is SECURITY DEFINER');
SELECT is_empty('SELECT name FROM actual WHERE proleakproof', 'no function claims to be leakproof');
SELECT is_empty('SELECT name FROM actual WHERE proconfig IS NOT NULL', 'no function has settings of its own');
SELECT is_empty($$SELECT name FROM wanted WHERE arguments LIKE '%include_archived%' AND arguments NOT LIKE '%include_archived boolean DEFAULT true%'
                   OR arguments LIKE '%include_archived%' AND arguments LIKE '%max_count%' AND arguments NOT LIKE '%max_count integer DEFAULT NULL::integer%'$$,
                'readers return archived events, and all of them, unless asked for less');
SELECT set_eq($$SELECT name FROM actual WHERE prosupport <> 0$$,
              $$SELECT name FROM wanted WHERE arguments LIKE '%max_count%' AND (arguments LIKE '%include_archived%' OR name = 'poll')$$,
              'the readers that take max_count, and poll(), have a support function');
SELECT is((SELECT array_agg(DISTINCT prosupport::text) FROM actual WHERE prosupport <> 0),
          ARRAY['eventstore.read_support'], 'and it is read_support()');

-- each argument that a caller gives is told about, by its name or by naming a
-- function whose comment tells it; what appenders call for themselves needs none
SELECT is_empty($$
  SELECT a.name, m[1]
    FROM actual a, regexp_matches(a.arguments, '(?:^|, )(?!OUT)(?:IN )?(\w+) ', 'g') m
   WHERE a.name NOT IN ('append_event', 'append_to_aggregate', 'read_support', 'store_options', 'drop_store')
     AND m[1] NOT IN ('aggregate_id', 'event_type', 'aggregate_type', 'correlation_id', 'causation_id', 'event_id')
     AND NOT (a.name IN ('set_notifications') AND m[1] = 'store')
     AND obj_description(a.oid, 'pg_proc') !~ ('\m' || m[1] || '\M')$$,
  'comments name the arguments');

SELECT * FROM finish();
ROLLBACK;
