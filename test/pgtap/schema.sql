-- What the extension installs: its members, the event type, the default store,
-- the view of stores, the settings.
BEGIN;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS pg_eventstore;
SET LOCAL search_path = public, pg_catalog;

SELECT plan(147);

-- the control file
SELECT has_schema('eventstore');
SELECT is((SELECT format('%s %s', e.extnamespace::regnamespace, e.extrelocatable)
             FROM pg_extension e WHERE e.extname = 'pg_eventstore'),
          'eventstore f', 'the extension is in schema eventstore and stays there');
SELECT matches((SELECT extversion FROM pg_extension WHERE extname = 'pg_eventstore'),
               '^\d+\.\d+\.\d+$', 'its version has three parts');
SELECT is_empty($$
  SELECT pg_describe_object(refclassid, refobjid, 0) FROM pg_depend
   WHERE classid = 'pg_extension'::regclass AND refclassid = 'pg_extension'::regclass
     AND objid = (SELECT oid FROM pg_extension WHERE extname = 'pg_eventstore')$$,
  'it requires no other extension');
SELECT throws_ok('ALTER EXTENSION pg_eventstore SET SCHEMA public', '0A000', NULL, 'it cannot be moved');
SELECT ok(obj_description((SELECT oid FROM pg_extension WHERE extname = 'pg_eventstore'), 'pg_extension') <> '',
          'the extension has a comment');
SELECT is((SELECT array_agg(t.c::regclass::text ORDER BY t.c::regclass::text COLLATE "C") FROM pg_extension e, unnest(e.extconfig) WITH ORDINALITY t(c, n)
            WHERE e.extname = 'pg_eventstore'),
          ARRAY['eventstore.archive_holds', 'eventstore.erasures', 'eventstore.projection_definitions','eventstore.snapshots', 'eventstore.state_definitions', 'eventstore.subscription_definitions', 'eventstore.subscription_parked',
                'eventstore.subscription_progress'],
          'pg_dump carries the records of erasures, the holds, the states, and the subscriptions and projections with their progress');
SELECT is((SELECT array_agg(t.w ORDER BY t.c::regclass::text COLLATE "C") FROM pg_extension e, unnest(e.extconfig, e.extcondition) t(c, w)
            WHERE e.extname = 'pg_eventstore'),
          ARRAY['WHERE store::oid IN (SELECT c.oid FROM pg_catalog.pg_class c WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d '
                'WHERE d.classid = ''pg_catalog.pg_class''::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = ''e''))', '', '',
                'WHERE pg_catalog.lower(pg_catalog.current_setting(''pg_eventstore.dump_snapshots'', true)) IN (''on'', ''true'', ''yes'', ''1'')', '', '', '', ''],
          'every row of them, but for holds of tables that are gone, or that other extensions have, and snapshots only if a setting says so');

-- every member; a new one is to be added here, and tested. Row types and arrays,
-- which are parts of another member, are members too from PostgreSQL 17 on
SELECT set_eq($$
  SELECT pg_describe_object(d.classid, d.objid, d.objsubid)
    FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid
   WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'pg_eventstore'
     AND NOT EXISTS (SELECT FROM pg_depend i
                      WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype = 'i')$$,
  ARRAY[
    'cast from eventstore.regstore to oid',
    'cast from eventstore.regstore to regclass',
    'cast from regclass to eventstore.regstore',
    'event trigger pg_eventstore_ddl',
    'function eventstore.ack(text,bigint,bigint)',
    'function eventstore.advance_watermark(regclass)',
    'function eventstore.after_append()',
    'function eventstore.alter_projection(text,regprocedure,text[],text[],regclass[],integer,text,integer,interval,name,text)',
    'function eventstore.aggregate_state(text,regprocedure,jsonb,integer,timestamp with time zone,regclass)',
    'function eventstore.alter_state(text,regprocedure,jsonb,integer,name,regclass)',
    'function eventstore.alter_subscription(text,text[],text[],integer,interval,integer,interval,text,name)',
    'function eventstore.append(jsonb,jsonb,regclass)',
    'function eventstore.append_event(text,jsonb,text,integer,text,jsonb,text,timestamp with time zone,text,text,regclass)',
    'function eventstore.append_events(jsonb,integer,regclass)',
    'function eventstore.append_to_aggregate(text,text[],jsonb[],integer,text,jsonb[],text[],timestamp with time zone[],text,text,regclass)',
    'function eventstore.apply_retention(regclass,boolean,integer)',
    'function eventstore.archive_all(regclass,bigint,timestamp with time zone,text[],text,integer)',
    'function eventstore.archive_events(regclass,bigint,timestamp with time zone,text[],integer,boolean)',
    'function eventstore.archive_limit(regclass)',
    'function eventstore.archive_of_store()',
    'function eventstore.archive_options(regclass)',
    'function eventstore.before_ddl()',
    'function eventstore.check_insert()',
    'function eventstore.create_archive(regclass,text,text)',
    'function eventstore.create_projection(text,regprocedure,text,regclass,text[],text[],bigint,regclass[],integer,text,integer,interval)',
    'function eventstore.create_state(text,regprocedure,jsonb,integer,regclass)',
    'function eventstore.create_store(text,text,text,boolean,text[])',
    'function eventstore.create_subscription(text,regclass,text[],text[],bigint,integer,interval,integer,interval,text)',
    'function eventstore.delete_snapshots(text,integer,regclass)',
    'function eventstore.discard_parked(text,text,bigint,text)',
    'function eventstore.drop_projection(text)',
    'function eventstore.drop_state(text,regclass)',
    'function eventstore.drop_store(regclass,boolean)',
    'function eventstore.drop_subscription(text)',
    'function eventstore.empty_store(regclass)',
    'function eventstore.erase_aggregate(text,text,regclass)',
    'function eventstore.export_events(bigint,integer,regclass,boolean)',
    'function eventstore.extend_lease(text,bigint,interval)',
    'function eventstore.get_aggregate_version(text,regclass)',
    'function eventstore.get_event(text,regclass,boolean)',
    'function eventstore.get_events_by_aggregate(text,integer,integer,integer,boolean,regclass,boolean)',
    'function eventstore.get_events_by_aggregate_type(text,timestamp with time zone,bigint,integer,regclass,boolean)',
    'function eventstore.get_events_by_causation_id(text,timestamp with time zone,bigint,integer,regclass,boolean)',
    'function eventstore.get_events_by_correlation_id(text,timestamp with time zone,bigint,integer,regclass,boolean)',
    'function eventstore.get_events_by_type(text,timestamp with time zone,bigint,integer,regclass,boolean)',
    'function eventstore.get_latest_events(integer,regclass,boolean)',
    'function eventstore.get_snapshot(text,integer,regclass)',
    'function eventstore.get_state(text,text,integer,timestamp with time zone,regclass)',
    'function eventstore.high_water_mark(regclass)',
    'function eventstore.import_events(text,regclass)',
    'function eventstore.import_json(jsonb,regclass)',
    'function eventstore.is_erased(jsonb)',
    'function eventstore.keep_erasures()',
    'function eventstore.load_aggregate(text,regclass)',
    'function eventstore.nack(text,bigint,bigint,text,interval)',
    'function eventstore.new_event_id()',
    'function eventstore.next_checkpoint(bigint,text[],text[],regclass,boolean)',
    'function eventstore.next_position(regclass)',
    'function eventstore.park(text,bigint,bigint,text)',
    'function eventstore.pause_projection(text)',
    'function eventstore.pause_subscription(text)',
    'function eventstore.poll(text,integer,text,interval,bigint)',
    'function eventstore.read_events(bigint,integer,text[],text[],boolean,regclass,boolean)',
    'function eventstore.read_support(internal)',
    'function eventstore.rebuild_projection(text,boolean)',
    'function eventstore.receive_row()',
    'function eventstore.redact_event(text,text,jsonb,jsonb,regclass)',
    'function eventstore.refuse_change()',
    'function eventstore.regstore_in(cstring)',
    'function eventstore.regstore_out(eventstore.regstore)',
    'function eventstore.regstore_recv(internal)',
    'function eventstore.regstore_send(eventstore.regstore)',
    'function eventstore.release(text,text)',
    'function eventstore.replay_parked(text,text,bigint)',
    'function eventstore.reported_progress()',
    'function eventstore.reset_state(text,regclass)',
    'function eventstore.reset_subscription(text,bigint,timestamp with time zone)',
    'function eventstore.resume_projection(text)',
    'function eventstore.resume_subscription(text)',
    'function eventstore.run_inline()',
    'function eventstore.run_projection(text,integer)',
    'function eventstore.save_snapshot(text,integer,jsonb,regclass)',
    'function eventstore.set_archive_hold(text,bigint,regclass)',
    'function eventstore.set_notifications(regclass,text,text)',
    'function eventstore.set_retention(regclass,interval,integer)',
    'function eventstore.skip_lost_hold()',
    'function eventstore.skip_lost_snapshot()',
    'function eventstore.projection_problem(text)',
    'function eventstore.state_problem(text,regclass)',
    'function eventstore.store_options(regclass)',
    'function eventstore.create_slots(text,integer,integer[],text,text,boolean,text[])',
    'function eventstore.slot_of(text,integer)',
    'function eventstore.slot_store(text,text)',
    'function eventstore.slots(text)',
    'function eventstore.store_of_slot(text,integer)',
    'function eventstore.lock_slot(regclass)',
    'function eventstore.set_slot_arriving(regclass,boolean)',
    'function eventstore.subscription_lag(text)',
    'function eventstore.sync_archive(regclass)',
    'function eventstore.wait_for_events(bigint,interval,text[],text[],regclass,boolean)',
    'function eventstore.wait_for_projection(text,bigint,interval)',
    'sequence eventstore.history_seed',
    'table eventstore.archive_holds',
    'table eventstore.erasures',
    'table eventstore.notifier_status',
    'table eventstore.projection_definitions',
    'table eventstore.projector_status',
    'table eventstore.snapshots',
    'table eventstore.state_definitions',
    'table eventstore.subscription_consumers',
    'table eventstore.subscription_definitions',
    'table eventstore.subscription_parked',
    'table eventstore.subscription_progress',
    'table eventstore.watermarks',
    'type eventstore.event',
    'type eventstore.regstore',
    'view eventstore.archives',
    'view eventstore.notifier',
    'view eventstore.open_appends',
    'view eventstore.parked_events',
    'view eventstore.progress',
    'view eventstore.projections',
    'view eventstore.states',
    'view eventstore.stores',
    'view eventstore.subscription_partitions',
    'view eventstore.subscriptions'
  ], 'the members of the extension are those listed here');
SELECT set_eq($$
  SELECT format('%s %s', c.relkind, c.relname) FROM pg_class c WHERE c.relnamespace = 'eventstore'::regnamespace$$,
  ARRAY[
    'v archives', 'r archive_holds', 'i archive_holds_pkey', 'r notifier_status', 'i notifier_status_pkey', 'v notifier',
    'c event', 'r events', 'S events_position_seq', 'S history_seed', 'r erasures', 'i erasures_aggregate', 'i erasures_pkey', 'r snapshots', 'i snapshots_pkey', 'r state_definitions', 'i state_definitions_pkey', 'v states', 'r watermarks', 'v open_appends', 'v progress', 'v stores', 'i watermarks_pkey',
    'r projection_definitions', 'i projection_definitions_pkey', 'v projections', 'r projector_status', 'i projector_status_pkey',
    'v parked_events', 'r subscription_consumers', 'i subscription_consumers_pkey', 'r subscription_definitions', 'i subscription_definitions_pkey', 'r subscription_parked', 'i subscription_parked_aggregate',
    'i subscription_parked_order', 'i subscription_parked_pkey', 'i subscription_parked_replay', 'v subscription_partitions', 'r subscription_progress', 'i subscription_progress_pkey', 'v subscriptions',
    'i events_pkey', 'i events_position_key', 'i idx_events_aggregate_id', 'i idx_events_aggregate_type',
    'i idx_events_causation_id', 'i idx_events_correlation_id', 'i idx_events_event_type', 'i idx_events_occurred_at'
  ], 'there is no other relation in schema eventstore');
SELECT is_empty($$
  SELECT o.identity
    FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid,
         pg_identify_object(d.classid, d.objid, d.objsubid) o
   WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'pg_eventstore'
     AND o.schema IS DISTINCT FROM 'eventstore' AND o.type NOT IN ('cast', 'event trigger')$$,
  'every member that has a schema is in schema eventstore, none in public');
SELECT is((SELECT format('%s %s %s %s', evtevent, evtenabled, evtfoid::regprocedure, evtowner) FROM pg_event_trigger WHERE evtname = 'pg_eventstore_ddl'),
          'ddl_command_start A eventstore.before_ddl() 10', 'the event trigger');

-- every table of the extension that its functions change has a key, by which subscribers
-- find rows, and a trigger that takes their rows where there are others already
SELECT set_eq($$
  SELECT c.oid::regclass::text FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
   WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_eventstore')
     AND c.relkind IN ('r', 'p', 'm')
     AND c.relreplident = 'd'
     AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
     AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgfoid = 'eventstore.receive_row()'::regprocedure AND t.tgenabled = 'R')$$,
  $$SELECT o.identity FROM pg_depend d, pg_identify_object(d.classid, d.objid, d.objsubid) o
     WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_eventstore')
       AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass AND o.type NOT IN ('view', 'sequence')$$,
  'every table of the extension can be replicated');
SELECT is((SELECT string_agg(format('%s %s', tgrelid::regclass, pg_get_triggerdef(oid)), E'\n' ORDER BY tgrelid::regclass::text)
             FROM pg_trigger WHERE tgfoid = 'eventstore.receive_row()'::regprocedure),
          (SELECT string_agg(format('eventstore.%s CREATE TRIGGER receive_row BEFORE INSERT%s ON eventstore.%s FOR EACH ROW EXECUTE FUNCTION eventstore.receive_row(%L)', t, e, t, a), E'\n' ORDER BY t)
             FROM (VALUES ('archive_holds', '', 'replace'), ('erasures', '', 'keep'), ('notifier_status', ' OR DELETE OR UPDATE', 'ignore'),
                          ('projection_definitions', '', 'replace'), ('projector_status', ' OR DELETE OR UPDATE', 'ignore'), ('snapshots', ' OR DELETE OR UPDATE', 'ignore'),
                          ('state_definitions', '', 'replace'), ('watermarks', '', 'replace'),
                          ('subscription_consumers', ' OR DELETE OR UPDATE', 'ignore'), ('subscription_definitions', '', 'replace'),
                          ('subscription_parked', '', 'replace'), ('subscription_progress', '', 'replace')) v(t, e, a)),
          'which row stays in each');

-- the event type
SELECT is((SELECT array_agg(format('%s %s%s', attname, format_type(atttypid, atttypmod),
                                   (SELECT ' ' || collname FROM pg_collation WHERE oid = attcollation AND collname <> 'default'))
                            ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = 'eventstore.event'::regclass AND attnum > 0 AND NOT attisdropped),
          ARRAY['position bigint', 'event_id character varying C', 'event_type character varying C',
                'occurred_at timestamp with time zone', 'correlation_id character varying C', 'causation_id character varying C',
                'aggregate_id character varying C', 'aggregate_type character varying C', 'aggregate_version integer',
                'data jsonb', 'metadata jsonb'],
          'the event type');
SELECT ok(length(obj_description('eventstore.event'::regtype, 'pg_type')) >= 40, 'the event type has a comment');
SELECT is((SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = 'eventstore.events'::regclass AND attnum > 0 AND NOT attisdropped),
          (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = 'eventstore.event'::regclass AND attnum > 0 AND NOT attisdropped),
          'the default store has the columns of the event type, in its order');

-- the default store
SELECT ok(obj_description('eventstore.events'::regclass, 'pg_class') <> '', 'the default store has a comment');
SELECT is((SELECT format('%s %s', relkind, relpersistence) FROM pg_class WHERE oid = 'eventstore.events'::regclass),
          'r p', 'it is a plain, logged table');
SELECT col_type_is('eventstore', 'events', c, t, format('%s has type %s', c, t))
  FROM (VALUES ('position', 'bigint'), ('event_id', 'character varying(36)'), ('event_type', 'character varying(255)'),
               ('occurred_at', 'timestamp with time zone'), ('correlation_id', 'character varying(36)'),
               ('causation_id', 'character varying(36)'), ('aggregate_id', 'character varying(36)'),
               ('aggregate_type', 'character varying(255)'), ('aggregate_version', 'integer'),
               ('data', 'jsonb'), ('metadata', 'jsonb')) v(c, t);
SELECT is((SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = 'eventstore.events'::regclass AND attnum > 0 AND attnotnull),
          ARRAY['position', 'event_id', 'event_type', 'occurred_at', 'data'], 'the columns that are not null');
SELECT is((SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = 'eventstore.events'::regclass AND attnum > 0 AND attcollation = '"C"'::regcollation),
          ARRAY['event_id', 'event_type', 'correlation_id', 'causation_id', 'aggregate_id', 'aggregate_type'],
          'all columns of ids and types are COLLATE "C"');
SELECT is((SELECT array_agg(format('%s %s', a.attname, pg_get_expr(d.adbin, d.adrelid)) ORDER BY a.attnum)
             FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
            WHERE d.adrelid = 'eventstore.events'::regclass),
          ARRAY['position eventstore.next_position(''eventstore.events_position_seq''::regclass)',
                'event_id eventstore.new_event_id()', 'occurred_at now()'],
          'the columns that have a default');
SELECT col_is_pk('eventstore', 'events', 'event_id', 'event_id is the primary key');
SELECT col_is_unique('eventstore', 'events', ARRAY['aggregate_id', 'aggregate_version'], 'a version exists once');
SELECT col_is_unique('eventstore', 'events', 'position', 'a position exists once');
SELECT is((SELECT array_agg(format('%s: %s', conname, pg_get_constraintdef(oid)) ORDER BY conname)
             FROM pg_constraint WHERE conrelid = 'eventstore.events'::regclass AND contype <> 'n'),
          ARRAY['events_aggregate_version_check: CHECK ((((aggregate_id IS NULL) = (aggregate_version IS NULL)) AND (aggregate_version > 0)))',
                'events_pkey: PRIMARY KEY (event_id)',
                'events_position_key: UNIQUE ("position")',
                'idx_events_aggregate_id: UNIQUE (aggregate_id, aggregate_version)'],
          'the constraints');
SELECT indexes_are('eventstore', 'events',
                   ARRAY['events_pkey', 'events_position_key', 'idx_events_aggregate_id', 'idx_events_aggregate_type',
                         'idx_events_causation_id', 'idx_events_correlation_id', 'idx_events_event_type', 'idx_events_occurred_at']);
SELECT is(pg_get_indexdef(to_regclass('eventstore.' || i)), format('CREATE %s %s ON eventstore.events USING %s', kind, i, def), i)
  FROM (VALUES ('events_pkey', 'UNIQUE INDEX', 'btree (event_id)'),
               ('events_position_key', 'UNIQUE INDEX', 'btree ("position")'),
               ('idx_events_aggregate_id', 'UNIQUE INDEX', 'btree (aggregate_id, aggregate_version)'),
               ('idx_events_event_type', 'INDEX', 'btree (event_type, occurred_at)'),
               ('idx_events_aggregate_type', 'INDEX', 'btree (aggregate_type, occurred_at)'),
               ('idx_events_occurred_at', 'INDEX', 'brin (occurred_at) WITH (autosummarize=''on'')'),
               ('idx_events_correlation_id', 'INDEX', 'btree (correlation_id) WHERE (correlation_id IS NOT NULL)'),
               ('idx_events_causation_id', 'INDEX', 'btree (causation_id) WHERE (causation_id IS NOT NULL)')) v(i, kind, def);
SELECT triggers_are('eventstore', 'events', ARRAY['eventstore_append', 'eventstore_immutable', 'eventstore_immutable_rows', 'zz_eventstore_check']);
SELECT is(pg_get_triggerdef((SELECT oid FROM pg_trigger WHERE tgrelid = 'eventstore.events'::regclass AND tgname = t)), d, t)
  FROM (VALUES ('eventstore_append',
                'CREATE TRIGGER eventstore_append AFTER INSERT ON eventstore.events FOR EACH STATEMENT '
                'EXECUTE FUNCTION eventstore.after_append(''worker'', ''eventstore_events'')'),
               ('eventstore_immutable',
                'CREATE TRIGGER eventstore_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON eventstore.events FOR EACH STATEMENT '
                'EXECUTE FUNCTION eventstore.refuse_change()'),
               ('zz_eventstore_check',
                'CREATE TRIGGER zz_eventstore_check BEFORE INSERT ON eventstore.events FOR EACH ROW '
                'EXECUTE FUNCTION eventstore.check_insert()')) v(t, d);
SELECT is((SELECT array_agg(tgenabled::text) FROM pg_trigger WHERE tgrelid = 'eventstore.events'::regclass),
          ARRAY['O', 'O', 'O', 'O'], 'the triggers are enabled');

-- its sequence
SELECT is((SELECT format('%s %s+%s..%s cache %s cycle %s', seqtypid::regtype, seqstart, seqincrement, seqmax, seqcache, seqcycle)
             FROM pg_sequence WHERE seqrelid = 'eventstore.events_position_seq'::regclass),
          'bigint 1+1..9223372036854775807 cache 1 cycle f', 'the sequence');
SELECT sequence_owner_is('eventstore', 'events_position_seq',
                         (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'eventstore.events'::regclass),
                         'the sequence has the owner of the table');
SELECT is(pg_get_serial_sequence('eventstore.events', 'position'), 'eventstore.events_position_seq', 'it belongs to the column');

-- the view of stores
SELECT is((SELECT array_agg(format('%s %s', attname, format_type(atttypid, atttypmod)) ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = 'eventstore.stores'::regclass AND attnum > 0),
          ARRAY['store regclass', 'notifications text', 'channel text', 'owner name', 'position_sequence regclass', 'estimated_events bigint', 'history text', 'slot integer', 'slots integer', 'arriving boolean'],
          'the columns of the view of stores');
SELECT ok(obj_description('eventstore.stores'::regclass, 'pg_class') <> '', 'the view has a comment');
SELECT is_empty($$
  SELECT attname FROM pg_attribute WHERE attrelid = 'eventstore.stores'::regclass AND attnum > 0
     AND coalesce(col_description(attrelid, attnum), '') = ''$$,
  'each of its columns has a comment');
SELECT results_eq($$
  SELECT store::text, notifications, channel, owner, position_sequence::text FROM eventstore.stores
   WHERE store = 'eventstore.events'::regclass$$,
  $$SELECT 'eventstore.events', 'worker', 'eventstore_events', pg_get_userbyid(relowner), 'eventstore.events_position_seq'
      FROM pg_class WHERE oid = 'eventstore.events'::regclass$$,
  'it shows the default store');

-- the watermarks
SELECT is((SELECT array_agg(format('%s %s %s', attname, format_type(atttypid, atttypmod), attnotnull) ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = 'eventstore.watermarks'::regclass AND attnum > 0),
          ARRAY['store regclass t', 'position bigint t', 'updated_at timestamp with time zone t', 'announced bigint t'], 'the columns of the watermarks');
SELECT col_is_pk('eventstore', 'watermarks', 'store', 'a store has one watermark');
SELECT is((SELECT relreplident FROM pg_class WHERE oid = 'eventstore.watermarks'::regclass), 'd'::"char",
          'its key identifies it to subscribers');
SELECT ok(obj_description('eventstore.watermarks'::regclass, 'pg_class') <> '', 'the watermarks have a comment');
SELECT is_empty($$
  SELECT attname FROM pg_attribute WHERE attrelid = 'eventstore.watermarks'::regclass AND attnum > 0
     AND coalesce(col_description(attrelid, attnum), '') = ''$$,
  'each of their columns has a comment');
SELECT table_owner_is('eventstore', 'watermarks', (SELECT rolname FROM pg_roles WHERE oid = 10), 'they belong to the bootstrap superuser');

-- the state of the notifier
SELECT is((SELECT array_agg(format('%s %s %s', attname, format_type(atttypid, atttypmod), attnotnull) ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = 'eventstore.notifier_status'::regclass AND attnum > 0),
          ARRAY['failed_starts integer t', 'last_error text f', 'last_error_at timestamp with time zone f', 'next_start_at timestamp with time zone f', 'is_only_row boolean t'],
          'the columns of the status of the notifier');
SELECT is((SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'eventstore.notifier'::regclass AND attnum > 0),
          ARRAY['state', 'pid', 'activity', 'failed_starts', 'last_error', 'last_error_at', 'next_start_at']::name[], 'the columns of the view of it');
SELECT ok(obj_description(relid, 'pg_class') <> '', relid || ' has a comment') FROM unnest(ARRAY['eventstore.notifier', 'eventstore.notifier_status']::regclass[]) relid;
SELECT is_empty($$
  SELECT attname FROM pg_attribute WHERE attrelid IN ('eventstore.notifier'::regclass, 'eventstore.notifier_status'::regclass) AND attnum > 0
     AND coalesce(col_description(attrelid, attnum), '') = ''$$,
  'each of their columns has a comment');
SELECT table_owner_is('eventstore', 'notifier_status', (SELECT rolname FROM pg_roles WHERE oid = 10), 'the status belongs to the bootstrap superuser');
SELECT results_eq('SELECT count(*) FROM eventstore.notifier', 'SELECT 1::bigint', 'the view has one row');

-- the subscriptions
SELECT is((SELECT array_agg(format('%s %s', attname, format_type(atttypid, atttypmod)) ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = 'eventstore.subscriptions'::regclass AND attnum > 0),
          ARRAY['name text', 'store eventstore.regstore', 'owner name', 'event_types text[]', 'aggregate_types text[]', 'partitions integer', 'next_partitions integer',
                'lease interval', 'max_attempts integer', 'backoff interval', 'on_exhausted text', 'paused boolean', 'runner text', 'stopped bigint', 'checkpoint bigint', 'lag bigint',
                'lag_seconds double precision', 'rate double precision', 'in_flight bigint', 'consumers bigint', 'oldest_lease timestamp with time zone', 'parked bigint', 'last_error text',
                'last_error_at timestamp with time zone', 'problem text', 'created_at timestamp with time zone'], 'the columns of the view of subscriptions');
SELECT is((SELECT array_agg(format('%s %s', attname, format_type(atttypid, atttypmod)) ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = 'eventstore.subscription_partitions'::regclass AND attnum > 0),
          ARRAY['subscription text', 'partition integer', 'checkpoint bigint', 'consumer text', 'delivery bigint', 'in_flight integer', 'lease_until timestamp with time zone',
                'attempt integer', 'retry_at timestamp with time zone', 'stopped boolean', 'last_error text', 'last_error_at timestamp with time zone'],
          'the columns of the view of partitions');
SELECT is((SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'eventstore.parked_events'::regclass AND attnum > 0),
          ARRAY['subscription', 'reason', 'attempts', 'behind', 'replay', 'parked_at'] ||
          (SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'eventstore.event'::regclass AND attnum > 0),
          'the columns of the view of parked events: what was parked, and the event');
SELECT ok(obj_description(relid, 'pg_class') <> '', relid || ' has a comment')
  FROM unnest(ARRAY['eventstore.subscriptions', 'eventstore.subscription_partitions', 'eventstore.parked_events', 'eventstore.subscription_definitions',
                    'eventstore.subscription_progress', 'eventstore.subscription_consumers', 'eventstore.subscription_parked']::regclass[]) relid;
SELECT is_empty($$
  SELECT attrelid::regclass, attname FROM pg_attribute WHERE attrelid::regclass::text ~ '^eventstore.(subscription|parked)' AND attnum > 0 AND NOT attisdropped
     AND attrelid IN (SELECT oid FROM pg_class WHERE relkind IN ('r', 'v'))
     AND coalesce(col_description(attrelid, attnum), '') = ''$$,
  'each of their columns has a comment');
-- updates of the progress stay on their pages: no index has a column that changes, and the pages have room
SELECT is((SELECT array_agg(pg_get_indexdef(indexrelid)) FROM pg_index WHERE indrelid = 'eventstore.subscription_progress'::regclass),
          ARRAY['CREATE UNIQUE INDEX subscription_progress_pkey ON eventstore.subscription_progress USING btree (subscription, partition)'],
          'the progress has one index, on its key');
SELECT ok('fillfactor=20' = ANY (reloptions), 'and room on its pages') FROM pg_class WHERE oid = 'eventstore.subscription_progress'::regclass;
SELECT is_empty($$
  SELECT c.relname, x.grantee FROM pg_class c, aclexplode(c.relacl) x
   WHERE c.relnamespace = 'eventstore'::regnamespace AND c.relkind = 'r' AND c.relname ~ '^subscription' AND x.grantee <> c.relowner$$,
  'nobody else has a privilege on their tables');

-- the projections
SELECT is((SELECT array_agg(format('%s %s', attname, format_type(atttypid, atttypmod)) ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = 'eventstore.projections'::regclass AND attnum > 0),
          ARRAY['name text', 'mode text', 'state text', 'store eventstore.regstore', 'owner name', 'handler text', 'tables eventstore.regstore[]', 'event_types text[]',
                'aggregate_types text[]', 'batch_size integer', 'on_error text', 'max_attempts integer', 'backoff interval', 'rebuild_of text', 'position bigint', 'lag bigint',
                'lag_seconds double precision', 'rate double precision', 'attempts integer', 'retry_at timestamp with time zone', 'parked bigint', 'last_error text',
                'last_error_at timestamp with time zone', 'last_error_position bigint', 'last_error_event_type text', 'problem text', 'created_at timestamp with time zone'],
          'the columns of the view of projections');
SELECT is((SELECT array_agg(format('%s %s %s', attname, format_type(atttypid, atttypmod), attnotnull) ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = 'eventstore.projection_definitions'::regclass AND attnum > 0),
          ARRAY['projection text t', 'mode text t', 'handler text t', 'tables eventstore.regstore[] t', 'batch_size integer t', 'start_position bigint t', 'rebuild_of text f',
                'copies name f', 'handler_version bigint f', 'last_error_position bigint f', 'last_error_event_type text f'], 'the columns of the definitions of projections');
SELECT is((SELECT array_agg(format('%s %s', attname, format_type(atttypid, atttypmod)) ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'eventstore.projector_status'::regclass AND attnum > 0),
          (SELECT array_agg(format('%s %s', attname, format_type(atttypid, atttypmod)) ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'eventstore.notifier_status'::regclass AND attnum > 0),
          'the status of their workers has the columns of that of the notifier');
SELECT ok(obj_description(relid, 'pg_class') <> '', relid || ' has a comment')
  FROM unnest(ARRAY['eventstore.projections', 'eventstore.projection_definitions', 'eventstore.projector_status']::regclass[]) relid;
SELECT is_empty($$
  SELECT attrelid::regclass, attname FROM pg_attribute
   WHERE attrelid = ANY ('{eventstore.projections,eventstore.projection_definitions,eventstore.projector_status}'::regclass[]) AND attnum > 0
     AND coalesce(col_description(attrelid, attnum), '') = ''$$,
  'each of their columns has a comment');
SELECT results_eq('SELECT count(*) FROM eventstore.projector_status', 'SELECT 1::bigint', 'the status has one row');
SELECT is_empty($$
  SELECT x.grantee FROM pg_class c, aclexplode(c.relacl) x WHERE c.oid = 'eventstore.projection_definitions'::regclass AND x.grantee <> c.relowner$$,
  'nobody else has a privilege on the definitions');
-- the states and the snapshots
SELECT is((SELECT array_agg(format('%s %s', attname, format_type(atttypid, atttypmod)) ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = 'eventstore.states'::regclass AND attnum > 0),
          ARRAY['name text', 'store eventstore.regstore', 'owner name', 'reducer text', 'initial jsonb', 'snapshot_every integer', 'snapshots bigint',
                'last_saved_at timestamp with time zone', 'problem text', 'created_at timestamp with time zone'], 'the columns of the view of states');
SELECT is((SELECT array_agg(format('%s %s %s', attname, format_type(atttypid, atttypmod), attnotnull) ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = 'eventstore.snapshots'::regclass AND attnum > 0),
          ARRAY['store eventstore.regstore t', 'aggregate_id text t', 'state_name text t', 'aggregate_version integer t', 'fingerprint bytea t',
                'event_id text t', 'occurred_until timestamp with time zone t', 'saved_at timestamp with time zone t', 'state jsonb t'], 'the columns of the snapshots');
SELECT col_is_pk('eventstore', 'snapshots', ARRAY['store', 'aggregate_id', 'state_name', 'aggregate_version'], 'a state has one snapshot of a version');
SELECT col_is_pk('eventstore', 'state_definitions', ARRAY['name', 'store'], 'a store has one state of a name');
SELECT ok(obj_description(relid, 'pg_class') <> '', relid || ' has a comment')
  FROM unnest(ARRAY['eventstore.states', 'eventstore.state_definitions', 'eventstore.snapshots']::regclass[]) relid;
SELECT is_empty($$
  SELECT attrelid::regclass, attname FROM pg_attribute
   WHERE attrelid IN ('eventstore.states'::regclass, 'eventstore.state_definitions'::regclass, 'eventstore.snapshots'::regclass) AND attnum > 0
     AND coalesce(col_description(attrelid, attnum), '') = ''$$,
  'each of their columns has a comment');
SELECT is_empty($$
  SELECT c.relname, x.grantee FROM pg_class c, aclexplode(c.relacl) x
   WHERE c.oid IN ('eventstore.state_definitions'::regclass, 'eventstore.snapshots'::regclass) AND x.grantee <> c.relowner$$,
  'nobody else has a privilege on their tables');

-- the records of erasures
SELECT is((SELECT array_agg(format('%s %s %s', attname, format_type(atttypid, atttypmod), attnotnull) ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = 'eventstore.erasures'::regclass AND attnum > 0),
          ARRAY['erasure_id character varying(36) t', 'erased_at timestamp with time zone t', 'erased_by name t', 'session_role name t',
                'store eventstore.regstore t', 'store_name text t', 'aggregate_id text f', 'event_id text f', 'events integer t', 'values_given boolean t', 'reason text t'],
          'the columns of the records of erasures');
SELECT col_is_pk('eventstore', 'erasures', 'erasure_id', 'a record has an id');
SELECT is(pg_get_triggerdef((SELECT oid FROM pg_trigger WHERE tgrelid = 'eventstore.erasures'::regclass AND tgname = 'keep_erasures')),
          'CREATE TRIGGER keep_erasures BEFORE DELETE OR UPDATE OR TRUNCATE ON eventstore.erasures FOR EACH STATEMENT '
          'EXECUTE FUNCTION eventstore.keep_erasures()', 'nobody changes them');
SELECT ok(obj_description('eventstore.erasures'::regclass, 'pg_class') <> '', 'they have a comment');
SELECT is_empty($$
  SELECT attname FROM pg_attribute WHERE attrelid = 'eventstore.erasures'::regclass AND attnum > 0
     AND coalesce(col_description(attrelid, attnum), '') = ''$$,
  'each of their columns has a comment');
-- the archives
SELECT is((SELECT array_agg(format('%s %s %s', attname, format_type(atttypid, atttypmod), attnotnull) ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = 'eventstore.archives'::regclass AND attnum > 0),
          ARRAY['store regclass f', 'archive regclass f', 'max_age interval f', 'max_count_per_aggregate integer f'], 'the columns of the view of archives');
SELECT is((SELECT array_agg(format('%s %s %s', attname, format_type(atttypid, atttypmod), attnotnull) ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = 'eventstore.archive_holds'::regclass AND attnum > 0),
          ARRAY['store eventstore.regstore t', 'name text t', 'position bigint t'], 'the columns of what holds back');
SELECT col_is_pk('eventstore', 'archive_holds', ARRAY['store', 'name'], 'each name holds a store back once');
SELECT ok(obj_description(format('eventstore.%s', t)::regclass, 'pg_class') <> '', t || ' has a comment')
  FROM unnest(ARRAY['archives', 'archive_holds']) t;
SELECT is_empty($$
  SELECT attname FROM pg_attribute WHERE attrelid IN ('eventstore.archives'::regclass, 'eventstore.archive_holds'::regclass) AND attnum > 0
     AND coalesce(col_description(attrelid, attnum), '') = ''$$,
  'each of their columns has a comment');

-- the view of open appends
SELECT is((SELECT array_agg(format('%s %s', attname, format_type(atttypid, atttypmod)) ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = 'eventstore.open_appends'::regclass AND attnum > 0),
          ARRAY['store regclass', 'pid integer', 'gid text', 'usename name', 'application_name text',
                'since timestamp with time zone', 'state text', 'query text', 'first_position bigint'],
          'the columns of the view of open appends');
SELECT ok(obj_description('eventstore.open_appends'::regclass, 'pg_class') <> '', 'the view has a comment');
SELECT is_empty($$
  SELECT attname FROM pg_attribute WHERE attrelid = 'eventstore.open_appends'::regclass AND attnum > 0
     AND coalesce(col_description(attrelid, attnum), '') = ''$$,
  'each of its columns has a comment');

-- the view of long work
SELECT is((SELECT array_agg(format('%s %s', attname, format_type(atttypid, atttypmod)) ORDER BY attnum)
             FROM pg_attribute WHERE attrelid = 'eventstore.progress'::regclass AND attnum > 0),
          ARRAY['pid integer', 'store regclass', 'work text', 'done bigint', 'skipped bigint',
                'started_at timestamp with time zone'],
          'the columns of the view of progress');
SELECT ok(obj_description('eventstore.progress'::regclass, 'pg_class') <> '', 'the view has a comment');
SELECT is_empty($$
  SELECT attname FROM pg_attribute WHERE attrelid = 'eventstore.progress'::regclass AND attnum > 0
     AND coalesce(col_description(attrelid, attnum), '') = ''$$,
  'each of its columns has a comment');
SELECT is_empty($$SELECT * FROM eventstore.progress$$, 'nothing long is under way');
SELECT is_empty($$SELECT * FROM eventstore.open_appends WHERE store = 'eventstore.events'::regclass$$, 'nobody appends to the default store');
SELECT eventstore.append_event('T', '1', store => 'eventstore.events') AS appended \gset
SELECT results_eq($$
  SELECT store::text, pid, gid, usename, since, state FROM eventstore.open_appends WHERE store = 'eventstore.events'::regclass$$,
  $$SELECT 'eventstore.events', pg_backend_pid(), NULL::text, current_user, now(), 'active'$$,
  'it shows an append of this session');

-- comments on what a user meets in psql
SELECT ok(coalesce(obj_description('eventstore'::regnamespace, 'pg_namespace'), '') <> '', 'the schema has a comment');
SELECT ok(coalesce(obj_description('eventstore.events_position_seq'::regclass, 'pg_class'), '') <> '', 'the sequence has a comment');
SELECT is_empty($$
  SELECT attname FROM pg_attribute WHERE attrelid = 'eventstore.events'::regclass AND attnum > 0
     AND coalesce(col_description(attrelid, attnum), '') = ''$$,
  'each column of the default store has a comment');

-- who owns it: all but the default store, its sequence and its indexes belong to the bootstrap superuser
SELECT is((SELECT nspowner FROM pg_namespace WHERE nspname = 'eventstore'), 10::oid, 'the bootstrap superuser owns the schema');
SELECT set_eq($$
  SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'eventstore'::regnamespace AND c.relkind IN ('r', 'v') AND c.relowner = 10$$,
  ARRAY['archive_holds', 'archives', 'erasures', 'notifier', 'notifier_status', 'open_appends', 'parked_events', 'progress', 'projection_definitions', 'projections', 'projector_status','snapshots', 'state_definitions', 'states', 'stores', 'subscription_consumers',
        'subscription_definitions', 'subscription_parked', 'subscription_partitions', 'subscription_progress', 'subscriptions', 'watermarks']
    || CASE WHEN (SELECT relowner FROM pg_class WHERE oid = 'eventstore.events'::regclass) = 10 THEN '{events}'::text[] ELSE '{}' END,
  'and its tables and views');
SELECT is_empty($$SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'eventstore'::regnamespace AND proowner <> 10$$, 'and its functions');

-- what PUBLIC may do with what is no function
SELECT is((SELECT count(*) FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
            WHERE n.nspname = 'eventstore' AND a.grantee = 0), 0::bigint, 'PUBLIC has no privilege on the schema');
SELECT is((SELECT array_agg(format('%s %s', c.relname, a.privilege_type) ORDER BY c.relname)
             FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) a
            WHERE c.relnamespace = 'eventstore'::regnamespace AND c.relkind IN ('r', 'v', 'S') AND a.grantee = 0),
          ARRAY['archive_holds SELECT', 'archives SELECT', 'notifier SELECT', 'notifier_status SELECT', 'open_appends SELECT', 'parked_events SELECT', 'progress SELECT', 'projections SELECT', 'projector_status SELECT','states SELECT', 'stores SELECT',
                'subscription_partitions SELECT', 'subscriptions SELECT', 'watermarks SELECT'],
          'PUBLIC may read the views, the watermarks, the holds, the options and the status, and no other table or sequence');

-- the settings
SELECT eventstore.get_aggregate_version('load the module') AS loaded \gset
SELECT results_eq($$
  SELECT name, vartype, context, boot_val, coalesce(min_val, '-'), coalesce(max_val, '-'), coalesce(unit, '-')
    FROM pg_settings WHERE name LIKE 'pg\_eventstore.%' ORDER BY name$$,
  $$VALUES ('pg_eventstore.direct_append', 'bool', 'user', 'on', '-', '-', '-'),
           ('pg_eventstore.dump_snapshots', 'bool', 'user', 'off', '-', '-', '-'),
           ('pg_eventstore.durable_reads', 'bool', 'user', 'off', '-', '-', '-'),
           ('pg_eventstore.max_aggregate_locks', 'integer', 'superuser', '1000', '0', '2147483647', '-'),
           ('pg_eventstore.notifier_tick', 'integer', 'sighup', '1', '0', '1000', 'ms'),
           ('pg_eventstore.projection_timeout', 'integer', 'sighup', '60000', '0', '2147483647', 'ms'),
           ('pg_eventstore.projection_workers', 'integer', 'sighup', '2', '0', '16', '-'),
           ('pg_eventstore.store', 'string', 'user', 'eventstore.events', '-', '-', '-'),
           ('pg_eventstore.test_database', 'bool', 'user', 'off', '-', '-', '-')$$,
  'the settings');
SELECT is_empty($$
  SELECT name FROM pg_settings WHERE name LIKE 'pg\_eventstore.%' AND coalesce(short_desc, '') = ''$$,
  'each setting has a description');
CREATE ROLE pgtap_nobody;
SET LOCAL ROLE pgtap_nobody;
SELECT lives_ok(format('SET LOCAL pg_eventstore.%s', s), format('anyone may set %s', s))
  FROM unnest(ARRAY['direct_append = off', 'dump_snapshots = on', 'durable_reads = on', 'store = events', 'store = ''"Odd Schema"."Odd.Table"''']) s;
SELECT throws_ok(format('SET LOCAL pg_eventstore.%s', s), c, NULL, format('nobody may set %s', s))
  FROM (VALUES ('max_aggregate_locks = 0', '42501'),
               ('notifier_tick = 0', '55P02'), ('projection_timeout = 0', '55P02'), ('projection_workers = 0', '55P02'),
               ('store = ''''', '22023'), ('store = ''a.b.c''', '22023'), ('store = ''"a''', '22023'),
               ('test_database = on', '22023'), ('no_such_setting = 1', '42602')) v(s, c);
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
