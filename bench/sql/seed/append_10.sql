\set a random(1, 1000000000000000)
BEGIN;
SELECT COALESCE(max(aggregate_version), 0) AS version FROM public.events WHERE aggregate_id = 'order-' || :a \gset
-- 10 times
\set version :version + 1
INSERT INTO public.events (event_id, event_type, occurred_at, aggregate_id, aggregate_type, aggregate_version, data)
VALUES (gen_random_uuid(), 'order_placed', now(), 'order-' || :a, 'Order', :version, '{"sku": "A-1047", "quantity": 3, "price": 12.5, "note": "some text of the length that notes often have"}');
-- end
COMMIT;
