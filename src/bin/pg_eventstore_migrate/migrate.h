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
	int64		ordinal;		/* of the event in the source, from 1 */
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
	const char *widening;		/* of a new store's columns, to take the
								 * source's names; NULL if they are wide
								 * enough */
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
extern bool open_again(const End *end, End *again);
extern void begin_query(const End *end, const char *sql);
extern PGresult *end_query(const End *end);
extern void cancel_query(void);
extern void prepare_store(const End *end, const char *widening);
extern char *store_name(const End *end);
extern char *store_literal(const End *end);
extern bool store_exists(const End *end);
extern char *archive_name(const End *end);
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
#define EVENT_ID_SIZE 37

/* What is left of the text of an event. */
typedef struct Scan
{
	const char *at;
	const char *end;
	bool		begun;			/* a key was looked for */
	bool		broken;			/* there is no sense in it */
} Scan;

/* A key of an event, with its quotes, and its value, as they stand there. */
typedef struct Pair
{
	const char *key;
	const char *key_end;
	const char *value;
	const char *value_end;
	bool		escaped;		/* the key has escapes */
} Pair;

/* What puts an event in order. */
typedef struct EventKeys
{
	const char *aggregate_id;	/* NULL is none */
	size_t		aggregate_id_length;
	int32		aggregate_version;	/* 0 is none */
	bool		has_id;
} EventKeys;

extern bool begin_object(Scan *scan, const Line *line);
extern bool next_pair(Scan *scan, Pair *pair);
extern bool at_object_end(Scan *scan);
extern bool is_key(const Pair *pair, const char *quoted);
extern bool is_null(const Pair *pair);
extern int32 version_of(const Pair *pair);
extern void make_event_id(const Line *line, char id[EVENT_ID_SIZE]);
extern bool made_event_ids(void);
extern void scan_event(const Line *line, EventKeys *keys);
extern void add_event_id(const Line *line, PQExpBuffer event);

/* stage.c */
#define STAGE "pg_temp.eventstore_migrate_events"
#define ORDERED_STAGE "pg_temp.eventstore_migrate_ordered"

extern void create_stage(const End *end);
extern void fill_stage(const End *end, Source *source, bool truncate, bool show);
extern void order_stage(const End *end);
extern void put_number(PQExpBuffer rows, int64 value, int size);
extern void put_text(PQExpBuffer rows, const char *value, size_t length);
extern void send_rows(const End *end, PQExpBuffer rows);
extern void begin_copy(const End *end, PQExpBuffer rows, const char *table, bool truncate);
extern PGresult *end_copy(const End *end, PQExpBuffer rows);

/* batch.c */
extern Source *make_batch(Source *origin);
extern bool read_batch(Source *batch);
extern void read_batch_again(Source *batch);

/* columns.c */
#define COLUMNS "pg_temp.eventstore_migrate_columns"
#define COLUMNS_QUERY "SELECT line, event_id, event_type, occurred_at::pg_catalog.timestamptz," \
	" correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version," \
	" data, metadata FROM " COLUMNS

extern void create_columns(const End *end);
extern bool fill_columns(const End *end, Source *batch);

/* import.c, export.c, verify.c */
extern void import_events(Source *source, const End *target, Counts *counts);
extern void export_events(Source *source, Counts *counts);
extern int64 verify_events(void);

/* progress.c */
extern void progress_begin(const Source *source, const char *verb, int64 done);
extern void progress_show(int64 done);
extern void progress_end(void);
extern void progress_sum(const Counts *counts);

/* names.c */
extern bool is_connection(const char *value);
extern char *connection_string(const char *value);
extern char *without_password(const char *value);

/* descriptors.c */
extern void open_closed_descriptors(void);
extern int	descriptor_of(const char *path, int standard);
extern void check_descriptor(const End *end);
extern void protect_standard_input(void);

/* output.c */
extern void open_output(const End *target);
extern void write_line(const Line *line);
extern void close_output(void);
extern void remove_partial(void);

/* signals.c */
extern void catch_signals(void);
extern void catch_cancel(void);
extern void stop_if_canceled(void);

#endif
