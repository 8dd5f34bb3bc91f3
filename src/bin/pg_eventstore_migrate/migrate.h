/*
 * migrate.h
 *		The files of pg_eventstore_migrate, and their shared declarations.
 *
 * Events move one way.  A source returns one event after another, each as the
 * text of a JSON object.  A target stores them.
 *
 * The files are listed by layer.  A file calls only files before it in this
 * list, and those of ../common, see client.h.
 *
 * The command line, files and connections:
 *		connection_string.c	distinguishes connection strings from file names
 *		slot.c				computes the slot of an id, converts lists of slots
 *		options.c			reads the command line into "options"
 *		descriptors.c		checks the standard input, output and error
 *		output_file.c		writes the file of an export
 *		signals.c			catches signals, and removes a partial file
 *		database.c			connects, runs queries, finds and creates the store
 *		slot_stores.c		finds and creates the slots of a sliced store
 * Sources:
 *		file_source.c		reads the lines of a file
 *		copy_out.c			receives rows by COPY
 *		store_log.c			the end, the size and the widths of a store
 *		merge_source.c		reads the slots of a sliced store, merged by time
 *		database_source.c	reads the tables of a database; opens any source
 *		event_text.c		finds keys in the text of an event; makes event ids
 *		slot_source.c		gives each event of another source its slot
 *		batch.c				divides another source into batches
 * From a source to a temporary table of the server:
 *		progress.c			shows the progress
 *		copy_in.c			sends rows by COPY
 *		stage.c				the stage: events as text
 *		column_stage.c		the column stage: a batch of events in columns
 * The tasks of the program, which do not call each other:
 *		import_events.c		imports a source into a store
 *		export_events.c		writes a source to the output file
 *		verify_events.c		compares a store with a source
 * The main program:
 *		main.c				connects, and runs one of the tasks
 */
#ifndef PGES_MIGRATE_H
#define PGES_MIGRATE_H

#include "client.h"

#include "fe_utils/connect_utils.h"

typedef enum SourceFormat
{
	FORMAT_AUTO,
	FORMAT_EVENTSTORE,
	FORMAT_MESSAGE_DB,
	FORMAT_EMMETT
} SourceFormat;

#define MAX_SLOTS 1024

/* The slots of an end that is a sliced store. */
typedef struct Slots
{
	int			count;			/* of the sliced store */
	const char *only;			/* the list of those to move; NULL: all */
	bool		chosen[MAX_SLOTS];	/* the same */
	const char *stores[MAX_SLOTS];	/* in the database; NULL if not there */
} Slots;

/* One end of the move: a file, or tables of a database. */
typedef struct End
{
	const char *value;			/* as given; NULL is the database that the
								 * connection options name */
	bool		is_file;
	const char *name;			/* for messages */
	const char *schema;			/* NULL if not given */
	const char *table;			/* the store; NULL if not given */
	Slots	   *slots;			/* NULL for an ordinary store */
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
	int			slot;			/* only slot_source.c sets it, otherwise 0 */
	const char *text;			/* not terminated */
	size_t		length;
} Line;

/* How to alter a new store for events that have prefixed or composed aggregate ids. */
#define WIDE_AGGREGATE_ID "ALTER aggregate_id TYPE varchar(255) COLLATE \"C\""

typedef struct Source
{
	const char *name;			/* for messages */
	const char *unit;			/* what Line.number counts: line, position ... */
	int			slot;			/* of all events of a batch */
	int64		events;			/* read */
	int64		skipped;		/* events of slots that are not chosen */
	int64		expected;		/* events, if greater than 0 */
	int64		bytes;			/* read from a file */
	int64		size;			/* of the file, if greater than 0 */
	const char *widening;		/* actions of ALTER TABLE that make a new
								 * store's columns wide enough; NULL: none */
	bool		(*next) (struct Source *source, Line *line);	/* false at the end */
	void	   *state;
} Source;

/*
 * The numbers of events that were imported or exported, and that were present
 * before.
 */
typedef struct Counts
{
	int64		imported;
	int64		present;		/* found in the store */
	int64		skipped;		/* as in Source */
} Counts;

/* connection_string.c */
extern bool is_connection_string(const char *value);
extern char *connection_string(const char *value);

/* slot.c */
extern int	slot_of(const char *id, size_t length, int count);
extern void check_slot_count(int count);
extern void choose_slots(Slots *slots);
extern int	count_chosen(const Slots *slots);
extern char *slot_list(const bool *included);

/* options.c */
extern Options options;
extern const char *progname;
extern void read_command_line(int argc, char **argv);

/* descriptors.c */
extern int	descriptor_of(const char *path, int standard);
extern void check_descriptor(const End *end);
extern void protect_standard_input(void);

/* output_file.c */
extern void open_output(const End *target);
extern void write_line(const Line *line);
extern void close_output(void);
extern void remove_partial(void);

/* signals.c */
extern void catch_signals(void);
extern void catch_cancel(void);

/* database.c */
extern void connect_end(End *end);
extern bool connect_again(const End *end, End *again);
extern void begin_query(const End *end, const char *sql);
extern PGresult *end_query(const End *end);
extern void cancel_query(void);
extern void stop_if_canceled(void);
extern PGresult *run_query(const End *end, const char *sql);
extern void run_command(const End *end, const char *sql);
extern char *query_value(const End *end, const char *sql);
extern int64 query_number(const End *end, const char *sql);
extern PGresult *check_result(const End *end, PGresult *result);
extern const char *position_in_context(const PGresult *result);
extern void fail_query(const End *end, const PGresult *result) __attribute__((noreturn));
extern bool extension_exists(const End *end);
extern bool create_extension_if_missing(const End *end);
extern void create_store_if_missing(const End *end, const char *widening);
extern char *store_name(const End *end);
extern char *sql_literal(const End *end, const char *text);
extern char *store_literal(const End *end);
extern bool store_exists(const End *end);
extern char *stores_query(const End *end);
extern char *common_store(const End *a, const End *b);

/* slot_stores.c */
extern int	require_slots(const End *end);
extern bool find_target_slots(const End *end);
extern void create_target_if_missing(const End *end, const char *widening);
extern char *slot_literal(const End *end, int slot);
extern bool has_slot(const End *end, int slot);

/* copy_out.c */
typedef struct CopyOut
{
	const End  *end;
	char	   *row;			/* libpq allocates it */
	bool		running;
} CopyOut;

/* A value of a row. */
typedef struct CopyValue
{
	const char *at;
	size_t		length;
} CopyValue;

extern void begin_copy_out(CopyOut *copy, const char *query);
extern int64 number_at(const char *from, size_t size);
extern bool receive_row(CopyOut *copy, CopyValue *values, int count);
extern void end_copy_out(CopyOut *copy, const char *name, const char *unit, int64 after);

/* store_log.c */
extern int64 estimate_rows(const End *end, const char *table);
extern int64 estimate_events(const End *end);
extern const char *widening_to_match(const End *end);
extern int64 wait_for_mark(const End *end, const char *store);

/* merge_source.c */
#define PAGE_EVENTS 50000

extern void set_up_merge(Source *source, const End *end);

/* file_source.c, database_source.c */
extern Source *open_file_source(const char *path);
extern Source *open_source(const End *end);

/* event_text.c */
#define EVENT_ID_SIZE 37

/* The rest of the text of an event, while its keys are read. */
typedef struct Scan
{
	const char *at;
	const char *end;
	bool		begun;			/* the first key was looked for */
	bool		broken;			/* the text is not valid JSON */
} Scan;

/* A key of an event, with its quotes, and its value, as the text has them. */
typedef struct Pair
{
	const char *key;
	const char *key_end;
	const char *value;
	const char *value_end;
	bool		escaped;		/* the key has escapes */
} Pair;

/* The keys that determine the order of events, and whether there is an id. */
typedef struct EventKeys
{
	const char *aggregate_id;	/* NULL is none */
	size_t		aggregate_id_length;
	int32		aggregate_version;	/* 0 is none */
	Pair		event_id;		/* if has_id */
	bool		has_id;
} EventKeys;

extern bool made_event_ids;		/* whether make_event_id() was called */
extern bool begin_object(Scan *scan, const Line *line);
extern bool next_pair(Scan *scan, Pair *pair);
extern bool at_object_end(Scan *scan);
extern bool is_key(const Pair *pair, const char *quoted);
extern bool is_null(const Pair *pair);
extern int32 version_of(const Pair *pair);
extern void make_event_id(const Line *line, char id[EVENT_ID_SIZE]);
extern bool scan_event(const Line *line, EventKeys *keys);
extern const char *slot_id(const Line *line, size_t *length);
extern void add_event_id(const Line *line, PQExpBuffer event);

/* slot_source.c */
extern Source *create_slot_source(Source *origin, const Slots *slots);

/* batch.c */
typedef struct Batches Batches;

extern Batches *create_batches(Source *origin, int slots);
extern Source *next_batch(Batches *batches);
extern void rewind_batch(Source *batch);
extern void destroy_batch(Source *batch);

/* progress.c */
extern void progress_begin(const Source *source, const char *verb, int64 done);
extern void progress_show(int64 done);
extern void progress_end(void);
extern const char *in_other_slots(int64 skipped);
extern void progress_report_total(const Counts *counts);

/* copy_in.c */
#define COPY_PIECE (64 * 1024)	/* bytes that are sent at once */

extern void put_number(PQExpBuffer rows, int64 value, int size);
extern void put_text(PQExpBuffer rows, const char *value, size_t length);
extern void send_rows(const End *end, PQExpBuffer rows);
extern PQExpBuffer begin_copy(const End *end, const char *table, bool truncate);
extern PGresult *end_copy(const End *end, PQExpBuffer rows);

/* stage.c */
#define STAGE "pg_temp.eventstore_migrate_events"
#define ORDERED_STAGE "pg_temp.eventstore_migrate_ordered"

extern void create_stage(const End *end);
extern bool lacks_character(const PGresult *result);
extern const char *key_with_character(const End *end, const Line *line, const char *prefix);
extern void fill_stage(const End *end, Source *batch, bool truncate);
extern void fill_stage_with_all(const End *end, Batches *batches, const Source *source, const char *verb);
extern void order_stage(const End *end);

/* column_stage.c */
#define COLUMN_STAGE "pg_temp.eventstore_migrate_columns"
#define COLUMN_STAGE_QUERY "SELECT line, event_id, event_type, occurred_at," \
	" correlation_id, causation_id, aggregate_id, aggregate_type, aggregate_version," \
	" data, metadata FROM " COLUMN_STAGE

extern void create_column_stage(const End *end);
extern bool fill_column_stage(const End *end, Source *batch);

/* import_events.c, export_events.c, verify_events.c */
extern void import_events(Source *source, const End *target, Counts *counts);
extern void export_events(Source *source, Counts *counts);
extern int64 verify_events(void);

#endif
