\set h random(1, 100)
SELECT conflict('hot-' || :h);
