/*
 * event.h
 *		Door of the room "event": one event, its columns, and a batch of events.
 *
 * Every append function and every import builds a batch.  The rooms store, table, append,
 * read, snapshot, delivery, archive, erase, transfer and lifecycle use this room.  batch.c describes
 * the rules that are checked here, read_event() in read_json.c the form of an event in
 * JSON, and read_time.c the form of a time.
 */
#ifndef PGES_EVENT_H
#define PGES_EVENT_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "utils/array.h"
#include "utils/jsonb.h"

/* The columns of a store, in the order of type eventstore.event. */
typedef enum PgesColumn
{
	PGES_POSITION,
	PGES_EVENT_ID,
	PGES_EVENT_TYPE,
	PGES_OCCURRED_AT,
	PGES_CORRELATION_ID,
	PGES_CAUSATION_ID,
	PGES_AGGREGATE_ID,
	PGES_AGGREGATE_TYPE,
	PGES_AGGREGATE_VERSION,
	PGES_DATA,
	PGES_METADATA,
	PGES_NUM_COLUMNS
} PgesColumn;

/* The columns in that order, for the text of a statement. */
#define PGES_COLUMNS \
	"position, event_id, event_type, occurred_at, correlation_id, " \
	"causation_id, aggregate_id, aggregate_type, aggregate_version, " \
	"data, metadata"

/* The shape that a column of a table of events must have. */
typedef struct PgesColumnShape
{
	const char *name;
	Oid			type;
	bool		not_null;
	const char *comment;
	size_t		offset;			/* in PgesEvent, of a pointer to text or
								 * jsonb; 0: the value is no pointer */
} PgesColumnShape;

/*
 * One event.  A NULL pointer is an SQL null, except for event_id.  The append makes a
 * missing id and a missing time.
 */
typedef struct PgesEvent
{
	int			ordinal;		/* its number in the call, from 1 */
	text	   *event_id;
	bool		event_id_given;
	text	   *event_type;
	TimestampTz occurred_at;
	bool		occurred_at_given;
	text	   *correlation_id;
	text	   *causation_id;
	text	   *aggregate_id;
	text	   *aggregate_type;
	int32		given_version;	/* 0: none */
	Jsonb	   *data;
	Jsonb	   *metadata;
	int			aggregate;		/* index of the event's aggregate in the batch */
	/* filled in by the append */
	int32		version;		/* 0: none */
	int64		position;
} PgesEvent;

/*
 * One aggregate that the batch appends to, or whose version the batch expects.  All
 * events that belong to no aggregate share one entry without an id.
 */
typedef struct PgesAggregate
{
	text	   *id;
	bool		expected_given;
	int32		expected;
	int			nevents;
	int			first_event;
	/* filled in by the append */
	int32		version;		/* of its last event so far */
	text	   *type;
	int64		position;		/* PG_INT64_MAX: unknown */
} PgesAggregate;

typedef struct PgesBatch
{
	MemoryContext context;		/* holds the batch and all it points to */
	PgesEvent  *events;
	int			nevents;
	PgesAggregate *aggregates;
	int			naggregates;
	bool		all_ids_given;	/* the call gives every event its id */
	bool		any_id_given;
	int			current;		/* ordinal of the event being processed, for
								 * the CONTEXT of errors; 0: none */
	/* filled in by the append */
	bool		unlocked;		/* not all aggregates are locked */
	bool		direct;			/* inserts without the executor */
	bool		deduplicated;	/* the events were stored before */
} PgesBatch;

extern void pges_check_event(const PgesEvent *event);
extern PgesBatch *pges_batch_create(int nevents);
extern void pges_batch_one_aggregate(PgesBatch *batch, text *id,
									 bool expected_given, int32 expected);
extern void pges_batch_group(PgesBatch *batch, Jsonb *expected_versions);
extern int	pges_first_repeated(PgesBatch *batch);
extern bool pges_is_json_null(Jsonb *json);
extern bool pges_whole_number(const JsonbValue *value, int32 *number);

/* in read_json.c */
extern int	pges_batch_json_count(Jsonb *events);
extern void pges_batch_read_json(PgesBatch *batch, Jsonb *events);
extern void pges_event_from_json(PgesEvent *event, Jsonb *json);

/* in read_time.c */
extern TimestampTz pges_read_time(int ordinal, const char *value, int length);

/* in columns.c */
extern const PgesColumnShape pges_columns[PGES_NUM_COLUMNS];
extern const char *pges_column_name(PgesColumn column);
extern const char *pges_event_label(const PgesEvent *event);
extern PgesColumn pges_column_of_name(const char *name, int length);
extern PgesColumn pges_column_like(const char *name, int length);
extern Datum pges_event_value(const PgesEvent *event, PgesColumn column,
							  bool *isnull);
extern Datum pges_column_array(const PgesBatch *batch, PgesColumn column);

/* in event_size.c */
extern void pges_check_size(const PgesEvent *event);

/* in event_id.c */
extern text *pges_make_event_id(void);

/* in write_json.c */
extern Jsonb *pges_event_json(HeapTuple row, TupleDesc desc);

/* Return the address of an event's pointer to a text or jsonb value. */
static inline void **
pges_event_pointer(const PgesEvent *event, PgesColumn column)
{
	return (void **) ((char *) event + pges_columns[column].offset);
}

#endif							/* PGES_EVENT_H */
