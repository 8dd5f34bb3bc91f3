CREATE TABLE bench.checkpoints (consumer text PRIMARY KEY, position bigint NOT NULL);
INSERT INTO bench.checkpoints VALUES ('consumer', 0);
