-- What script/reference.pl needs to know of the extension, as one JSON object.
LOAD 'pg_eventstore';

WITH member AS (
  SELECT classid, objid
    FROM pg_depend
   WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
     AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_eventstore')
), used AS ( -- what the server calls a function for
  SELECT d.refobjid AS function,
         CASE d.classid
           WHEN 'pg_rewrite'::regclass THEN 'view ' || (SELECT relname FROM pg_class c, pg_rewrite r WHERE r.oid = d.objid AND c.oid = r.ev_class)
           WHEN 'pg_attrdef'::regclass THEN 'default of column ' || (SELECT attname FROM pg_attribute a, pg_attrdef f
             WHERE f.oid = d.objid AND attrelid = f.adrelid AND attnum = f.adnum)
           WHEN 'pg_type'::regclass THEN 'type ' || (SELECT typname FROM pg_type t WHERE t.oid = d.objid)
         END AS purpose
    FROM pg_depend d
   WHERE d.refclassid = 'pg_proc'::regclass
     AND d.classid IN ('pg_rewrite'::regclass, 'pg_attrdef'::regclass, 'pg_type'::regclass)
), functions AS (
  SELECT p.proname AS name, p.prokind AS kind, p.proretset AS returns_set,
         format_type(p.prorettype, NULL) AS result,
         p.proargnames AS names, p.proargmodes AS modes,
         ARRAY(SELECT format_type(t, NULL)
                 FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY a(t, n) ORDER BY n) AS types,
         ARRAY(SELECT pg_get_function_arg_default(p.oid, n) FROM generate_series(1, p.pronargs) n ORDER BY n) AS defaults,
         EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x WHERE x.grantee = 0) AS is_public,
         ARRAY(SELECT DISTINCT purpose FROM used WHERE function = p.oid ORDER BY 1) AS used_by,
         obj_description(p.oid, 'pg_proc') AS comment
    FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
), relations AS (
  SELECT c.relname AS name,
         CASE c.relkind WHEN 'v' THEN 'view' WHEN 'c' THEN 'type' ELSE 'table' END AS kind,
         CASE c.relkind WHEN 'c' THEN obj_description(c.reltype, 'pg_type') ELSE obj_description(c.oid, 'pg_class') END AS comment,
         (SELECT json_agg(json_build_object('name', attname, 'type', format_type(atttypid, atttypmod),
                                            'comment', col_description(attrelid, attnum)) ORDER BY attnum)
            FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns
    FROM pg_class c
   WHERE c.relkind IN ('r', 'v', 'c')
     AND ((c.relnamespace = 'eventstore'::regnamespace AND c.relname = 'events')
          OR EXISTS (SELECT FROM member m WHERE (m.classid, m.objid) IN (('pg_class'::regclass, c.oid), ('pg_type'::regclass, c.reltype))))
   UNION ALL
  SELECT t.typname, 'type', obj_description(t.oid, 'pg_type'), '[]'::json
    FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
   WHERE t.typtype = 'b' AND t.typelem = 0
), settings AS (
  SELECT name, vartype AS type, context, unit, boot_val AS default, min_val AS min, max_val AS max,
         short_desc AS meaning, extra_desc AS details
    FROM pg_settings WHERE name LIKE 'pg\_eventstore.%'
)
SELECT json_build_object(
  'sharedir', (SELECT setting FROM pg_config WHERE name = 'SHAREDIR'),
  'functions', (SELECT json_agg(f ORDER BY name COLLATE "C") FROM functions f),
  'relations', (SELECT json_agg(r ORDER BY name COLLATE "C") FROM relations r),
  'settings', (SELECT json_agg(s ORDER BY name COLLATE "C") FROM settings s));
