/*
 * table.h
 *		Door of the room "table": access to the rows of a store.
 *
 * The room runs statements and permitted changes on a store and its archive, and locks
 * aggregates and their snapshots.  Rooms append, read, snapshot, subscription, delivery,
 * archive, erase, transfer and lifecycle call it.  The cache of plans is described in statement.c, the permitted
 * changes in immutable.c, and the order of the locks in append.c.
 */
#ifndef PGES_TABLE_H
#define PGES_TABLE_H

#include "postgres.h"

#include "commands/trigger.h"
#include "executor/spi.h"
#include "tcop/dest.h"

#include "event/event.h"
#include "store/store.h"

#define PGES_MAX_PARAMS 11

/* The tables that a statement uses: the meaning of %1$s in its text. */
typedef enum PgesScope
{
	PGES_LIVE,					/* the store */
	PGES_ARCHIVED,				/* its archive */
	PGES_ALL,					/* the union of both, only to read from */
	PGES_EACH					/* %1$s is the store, %2$s its archive */
} PgesScope;

/*
 * A statement on a store.  In its text, %1$s is replaced by the table, or the union, that
 * the scope names.  All other names, also those of operators, must be qualified:
 * PostgreSQL parses a saved plan again under the search_path of the caller.
 */
typedef struct PgesStatement
{
	const char *sql;
	int			nparams;
	Oid			types[PGES_MAX_PARAMS];
	bool		custom;			/* plan each execution for its parameters */
	bool		latest;			/* latest snapshot, also in REPEATABLE READ;
								 * no null parameter, no receiver */
} PgesStatement;

/* When an aggregate was erased, or one of its events was redacted. */
typedef enum PgesErased
{
	PGES_NEVER_ERASED,
	PGES_ERASED_BEFORE,			/* all of it ended before a time */
	PGES_ERASED_SINCE			/* some of it may have ended later */
} PgesErased;

/* Return the scope that covers all events ever appended to a store. */
static inline PgesScope
pges_scope_of_all(const PgesStore *store)
{
	return OidIsValid(store->archive.relid) ? PGES_ALL : PGES_LIVE;
}

extern int	pges_run_statement(const PgesStore *store, PgesScope scope,
							   const PgesStatement *statement, const Datum *values,
							   const bool *nulls, bool read_only,
							   DestReceiver *receiver);
extern bool pges_fetch_one_now(const PgesStore *store, PgesScope scope,
							   const PgesStatement *statement, const Datum *values);

extern int64 pges_found_int64(int column, int64 if_null);
extern int32 pges_found_int32(int column);
extern text *pges_found_text(MemoryContext context, int column);

/* in immutable.c */
extern int	pges_run_change(const PgesStore *store, PgesScope scope,
							const PgesStatement *statement,
							const Datum *values, const bool *nulls);
extern bool pges_may_change(TriggerData *trigdata);
extern void pges_create_protecting_triggers(const char *table);

/* in aggregate_lock.c */
extern void pges_lock_aggregate(const PgesStore *store, const text *aggregate_id,
								const text *event_id);
extern void pges_lock_aggregates(const PgesStore *store, PgesBatch *batch);
extern bool pges_lock_snapshots_of(const PgesStore *store, const text *aggregate_id, bool wait);
extern void pges_lock_snapshots(Oid store);

/* in tombstone.c */
extern Jsonb *pges_tombstone(void);
extern bool pges_is_tombstone(Datum json);
extern bool pges_was_redacted(Oid store, const text *event_id);
extern PgesErased pges_when_erased(Oid store, const text *aggregate_id, TransactionId xmin);

#endif							/* PGES_TABLE_H */
