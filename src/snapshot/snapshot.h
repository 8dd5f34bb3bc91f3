/*
 * snapshot.h
 *		Door of the room "snapshot": snapshots of aggregates, and states that reducers
 *		compute.
 *
 * Users call the SQL functions of the room.  The rooms "erase" and "lifecycle" call
 * pges_forget_...(), because a snapshot contains what its events contain.  The head of
 * snapshot.c describes when a snapshot is valid, and the locks.
 */
#ifndef PGES_SNAPSHOT_H
#define PGES_SNAPSHOT_H

#include "postgres.h"

#include "store/store.h"

/* in snapshot.c */
extern void pges_forget_snapshots_of(const PgesStore *store, const text *aggregate_id);
extern void pges_forget_snapshots(Oid store);

/* in state.c */
extern void pges_forget_states(Oid store);

#endif							/* PGES_SNAPSHOT_H */
