SELECT * FROM eventstore.import_events('bench.history', 'bench.target');
