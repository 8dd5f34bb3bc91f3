-- Returns the bytes of all tables but system tables, and the bytes of their indexes.
SELECT sum(pg_total_relation_size(c.oid) - pg_indexes_size(c.oid)), sum(pg_indexes_size(c.oid))
  FROM pg_class c
 WHERE c.relkind IN ('r', 'm')
   AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
   AND c.relnamespace::regnamespace::text NOT LIKE 'pg_toast%';
