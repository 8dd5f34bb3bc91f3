/*
 * migrate.h
 *		What the parts of pg_eventstore_migrate share.
 *
 * Events go one way: a source gives them one after another, as the text of a
 * JSON object each; a target takes them.
 */
#ifndef PGES_MIGRATE_H
#define PGES_MIGRATE_H

#include "postgres_fe.h"

#include "fe_utils/connect_utils.h"
#include "libpq-fe.h"
#include "pqexpbuffer.h"

typedef enum SourceFormat
{
	FORMAT_AUTO,
	FORMAT_EVENTSTORE,
	FORMAT_MESSAGE_DB,
	FORMAT_EMMETT
} SourceFormat;

/* One end of the way: a file, or tables of a database. */
typedef struct End
{
	const char *value;			/* as given; NULL is the database that the
								 * connection options name */
	bool		is_file;
	const char *name;			/* for messages */
	const char *schema;			/* NULL if not given */
	const char *table;			/* the store; NULL if not given */
	PGconn	   *conn;			/* NULL for a file */
} End;

typedef struct Options
{
	End			source;
	End			target;
	ConnParams	connection;
	SourceFormat format;		/* of a source that is a database */
	int			batch_size;		/* events */
	bool		create_schema;
	bool		notifications;
	bool		dry_run;
	bool		verify;
	bool		quiet;
} Options;

/* One event of a source. */
typedef struct Line
{
	int64		number;			/* in the unit of the source, ascending */
	const char *text;			/* not terminated */
	size_t		length;
} Line;

typedef struct Source
{
	const char *name;			/* for messages */
	const char *unit;			/* what Line.number counts: line, position ... */
	int64		events;			/* read */
	int64		expected;		/* events, if greater than 0 */
	int64		bytes;			/* read from a file */
	int64		size;			/* of the file, if greater than 0 */
	bool		(*next) (struct Source *source, Line *line);
	void	   *state;
} Source;

/* What a target has done with the events. */
typedef struct Counts
{
	int64		imported;
	int64		present;		/* that were there already */
} Counts;

extern Options options;
extern const char *progname;

/* database.c */
extern void open_end(End *end);
extern void prepare_store(const End *end);
extern char *store_name(const End *end);
extern char *store_literal(const End *end);
extern bool store_exists(const End *end);
extern bool same_store(const End *a, const End *b);
extern PGresult *run(const End *end, const char *sql);
extern char *ask(const End *end, const char *sql);
extern int64 ask_number(const End *end, const char *sql);
extern PGresult *must(const End *end, PGresult *result);
extern void fail_query(const End *end, const PGresult *result) __attribute__((noreturn));

/* file.c, copy.c */
extern Source *open_file_source(const char *path);
extern Source *open_database_source(const End *end);
extern Source *open_source(const End *end);

/* json.c */
typedef struct EventKeys
{
	const char *aggregate_id;	/* as it stands in the JSON; NULL is none */
	size_t		aggregate_id_length;
	int32		aggregate_version;	/* 0 is none */
	bool		has_id;
} EventKeys;

extern void scan_event(const Line *line, EventKeys *keys);
extern void add_event_id(const Line *line, PQExpBuffer event);

/* stage.c */
#define STAGE "pg_temp.eventstore_migrate_events"
#define ORDERED_STAGE "pg_temp.eventstore_migrate_ordered"

extern void create_stage(const End *end);
extern int64 fill_stage(const End *end, Source *source, int64 max_events,
						bool truncate);
extern void order_stage(const End *end);

/* import.c, export.c, verify.c */
extern void import_events(Source *source, const End *target, Counts *counts);
extern void export_events(Source *source, const End *target, Counts *counts);
extern int64 verify_events(void);

/* progress.c */
extern void progress_begin(const Source *source, const char *verb, int64 done);
extern void progress_show(int64 done);
extern void progress_end(void);
extern void progress_sum(const Counts *counts);

/* main.c */
extern void stop_if_canceled(void);

#endif
