SELECT * FROM eventstore.poll(current_setting('pg_eventstore.store') || '-idle', 100);
