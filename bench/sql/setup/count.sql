-- Counts the events of this database, in all tables that have a column for the
-- data of events.
SELECT format('SELECT sum(n) FROM (%s) t',
    string_agg(format('SELECT count(*) AS n FROM %s', c.oid::regclass), ' UNION ALL '))
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE a.attname IN ('data', 'message_data') AND c.relkind = 'r'
   AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) \gexec
