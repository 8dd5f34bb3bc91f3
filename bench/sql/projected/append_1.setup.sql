\ir ../setup/projections.sql
SELECT eventstore.create_projection('totals', 'bench.add_batch(eventstore.event[])', current_setting('bench.mode'))
 WHERE current_setting('bench.mode') <> 'none';
