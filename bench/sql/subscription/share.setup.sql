\ir ../setup/log.sql
