/*
 * state.h
 *		Snapshots, reducers and named states, for this room alone.
 */
#ifndef PGES_STATE_H
#define PGES_STATE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "utils/tuplestore.h"

#include "base/own_object.h"
#include "read/read.h"
#include "store/store.h"
#include "table/table.h"

/* The events of an aggregate that a function reads, with the rights of the user. */
typedef struct PgesAggregateRead
{
	const PgesStore *store;
	PgesScope	scope;
	text	   *aggregate_id;
	int32		to_version;
	TimestampTz at;				/* only events that occurred by this time */
	bool		snapshots;		/* snapshots may be used and saved */
} PgesAggregateRead;

/* Whose snapshots: those that clients save, or those of a named state. */
typedef struct PgesSnapshotKey
{
	Datum		state_name;		/* a text; empty for snapshots of clients */
	Datum		fingerprint;	/* a bytea; empty for snapshots of clients */
} PgesSnapshotKey;

/* A snapshot.  It lives in the context of the call that finds or makes it. */
typedef struct PgesSnapshot
{
	int32		version;		/* 0: there is none */
	Datum		state;			/* a jsonb */
	text	   *event_id;		/* of the event that has the version */
	TimestampTz occurred_until; /* greatest time of the events up to it */
	TimestampTz saved_at;
} PgesSnapshot;

/* A function that can be a reducer. */
typedef struct PgesReducer
{
	Oid			oid;
	Oid			owner;
	Oid			event_type;		/* eventstore.event */
	char	   *schema;
	char	   *name;			/* with the schema, quoted where needed */
} PgesReducer;

/* A row of state_definitions.  It lives in the context of the call. */
typedef struct PgesState
{
	char	   *name;
	Oid			relid;			/* of the store */
	char	   *owner_name;		/* NULL: there is no such row */
	Oid			owner;			/* InvalidOid: the role does not exist */
	char	   *reducer_name;
	char	   *reducer_owner;	/* name of the owner of the function */
	Datum		initial;
	int			snapshot_every; /* 0: no automatic snapshots */
	int64		epoch;
	PgesReducer reducer;		/* its oid is InvalidOid if there is none */
} PgesState;

/* in snapshot.c */
extern const PgesOwnTable pges_snapshot_rows;
extern void pges_make_client_key(PgesSnapshotKey *key);
extern void pges_begin_read(PgesAggregateRead *read, const PgesStore *store, text *aggregate_id);
extern bool pges_may_read(Oid relid, Oid role);
extern void pges_check_readable(const PgesAggregateRead *read);
extern bool pges_find_snapshot(const PgesAggregateRead *read, const PgesSnapshotKey *key,
							   PgesSnapshot *snapshot);
extern bool pges_save_client_snapshot(const PgesAggregateRead *read, PgesSnapshot *snapshot);
extern void pges_try_to_save(const PgesAggregateRead *read, const PgesSnapshotKey *key,
							 const PgesSnapshot *snapshot);

/* in reducer.c */
extern void pges_describe_reducer(Oid function, PgesReducer *reducer);
extern void pges_find_reducer(const char *name, PgesReducer *reducer);
extern Datum pges_fingerprint(const PgesState *state);
extern void pges_check_may_execute(const PgesReducer *reducer);

/* in fold.c */
extern void pges_fold(const PgesAggregateRead *read, const PgesReducer *reducer, Oid run_as,
					  PgesSnapshot *snapshot);

/* in state.c */
extern const PgesOwnTable pges_state_rows;
extern PgesState *pges_look_up_state(const char *name, Oid store);
extern PgesState *pges_find_state(const char *name, const PgesStore *store);
extern PgesState *pges_find_state_of(const PgesReducer *reducer, Datum initial, const PgesStore *store);
extern void pges_make_key(const PgesState *state, PgesSnapshotKey *key);
extern const char *pges_problem_of_state(const PgesState *state, int *sqlstate);
extern void pges_check_state(const PgesState *state);
extern void pges_delete_snapshots_of_state(const PgesState *state);

#endif							/* PGES_STATE_H */
