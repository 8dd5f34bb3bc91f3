/*
 * erasure.h
 *		The current erasure, for this room alone.
 */
#ifndef PGES_ERASURE_H
#define PGES_ERASURE_H

#include "postgres.h"

#include "store/store.h"

/* One erasure, from its arguments to its record. */
typedef struct PgesErasure
{
	ErrorContextCallback callback;
	const PgesStore *store;
	text	   *aggregate_id;	/* NULL: an event of no aggregate */
	text	   *event_id;		/* NULL: all events of the aggregate */
	text	   *reason;
	Datum		values[3];		/* for the statements: the key, and the new
								 * data and metadata */
	bool		values_given;	/* not only tombstones */
} PgesErasure;

/* in erasure_record.c */
extern void pges_record_erasure(const PgesErasure *erasure, int64 events);

#endif							/* PGES_ERASURE_H */
