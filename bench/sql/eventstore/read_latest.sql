SELECT * FROM eventstore.get_latest_events(100);
