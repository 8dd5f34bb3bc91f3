-- Writes the files that COPY reads to the data directory.
DO $$
DECLARE
  n integer;
BEGIN
  FOREACH n IN ARRAY '{10,100,1000}'::integer[] LOOP
    EXECUTE format($query$
      COPY (SELECT 'order_placed', 'order-1', 'Order',
          '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}'
        FROM generate_series(1, %s)) TO %L $query$,
      n, format('%s/copy_%s.txt', current_setting('data_directory'), n));
  END LOOP;
END $$;
