/*
 * announced_stores.h
 *		The stores that the notifier announces, for this room alone.
 */
#ifndef PGES_ANNOUNCED_STORES_H
#define PGES_ANNOUNCED_STORES_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/hsearch.h"

/* A store that the notifier announces. */
typedef struct PgesAnnouncedStore
{
	Oid			relid;			/* hash key */
	bool		listed;			/* found by the last read of the catalog */
	bool		differs;		/* may have changed since it was read */
	Oid			sequence;
	char		name[2 * (2 * NAMEDATALEN + 2)];	/* quoted */
	char		channel[NAMEDATALEN];
	bool		permanent;		/* and so has a watermark */
	TimestampTz paused_until;	/* after an error */
	int			failures;		/* in a row */
	TimestampTz recorded_at;
	int64		last;			/* last position assigned at the last look; -1
								 * before the first look */
	int64		announced;		/* the mark that was announced last */
	int64		announcing;		/* announced, once the transaction commits */
	int64		recorded;		/* the mark that the watermark has as
								 * announced */
	int64		recording;		/* recorded, once the transaction commits */
	bool		owed;			/* the last look left something to do */
} PgesAnnouncedStore;

/* All announced stores, by relid. */
extern HTAB *pges_announced_stores;

extern void pges_announced_stores_init(void);
extern bool pges_refresh_announced_stores(void);
extern bool pges_announced_stores_may_differ(void);
extern void pges_list_stores_anew(void);
extern bool pges_is_sequence_of(Oid sequence, Oid relid);

#endif							/* PGES_ANNOUNCED_STORES_H */
