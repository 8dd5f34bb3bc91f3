/*
 * erasure.h
 *		An erasure under way, for this room alone.
 */
#ifndef PGES_ERASURE_H
#define PGES_ERASURE_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "store/store.h"

/* One erasure under way. */
typedef struct PgesErasure
{
	ErrorContextCallback callback;
	const PgesStore *store;
	text	   *aggregate_id;	/* NULL: an event of no aggregate */
	text	   *event_id;		/* NULL: all events of the aggregate */
	text	   *reason;
	Jsonb	   *data;			/* what takes the place of the old values */
	Jsonb	   *metadata;
	bool		values_given;	/* it is not only the tombstone */
} PgesErasure;

/* in erasure_record.c */
extern void pges_record_erasure(const PgesErasure *erasure, int64 events);

#endif							/* PGES_ERASURE_H */
