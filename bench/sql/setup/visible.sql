-- Returns, of the events after position :after, the number of those that the projection has
-- handled, and the milliseconds from the begin of the append to the commit of the
-- projection: p50, p90, p99 and the maximum. Needs track_commit_timestamp.
SELECT count(*), unnest(percentile_disc('{0.5, 0.9, 0.99, 1}'::float8[]) WITHIN GROUP (ORDER BY t.ms))
  FROM bench.seen s JOIN eventstore.events e USING (position),
       round(1000 * extract(epoch FROM pg_xact_commit_timestamp(s.xmin) - e.occurred_at), 3) AS t(ms)
 WHERE position > :after;
