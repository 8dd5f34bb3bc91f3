-- Makes two queues of the same events, in batches of 100 and of 1000. A tick ends a batch.
CREATE INDEX ON load (i);
SELECT pgq.create_queue('log_' || n), pgq.set_queue_config('log_' || n, 'ticker_max_count', (n / 2)::text)
  FROM unnest('{100,1000}'::integer[]) n;
DO $$
DECLARE
  n integer;
BEGIN
  FOREACH n IN ARRAY '{100,1000}'::integer[] LOOP
    FOR low IN 1 .. (SELECT max(i) FROM load) BY n LOOP
      PERFORM pgq.insert_event('log_' || n, type, data::text, aggregate, version::text, correlation, occurred_at::text)
        FROM load WHERE i BETWEEN low AND low + n - 1 ORDER BY i;
      COMMIT;
      PERFORM pgq.ticker('log_' || n);
      COMMIT;
    END LOOP;
  END LOOP;
END $$;
