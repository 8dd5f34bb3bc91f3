/*
 * plain.c
 *		Recognises plain stores, to which events can be appended without the executor.
 *
 * See insert_direct.c for the definition of a plain store.
 */
#include "postgres.h"

#include "access/genam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "event/event.h"
#include "store/plain.h"
#include "store/store.h"

/* Return whether the store's own trigger is enabled, and no other fires on INSERT. */
static bool
has_plain_triggers(Relation rel, const char *own)
{
	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (!TRIGGER_FOR_INSERT(trigger->tgtype))
			continue;
		if (strcmp(trigger->tgname, own) != 0 ||
			(trigger->tgenabled != TRIGGER_FIRES_ON_ORIGIN &&
			 trigger->tgenabled != TRIGGER_FIRES_ALWAYS))
			return false;
	}
	return true;
}

/*
 * Return whether a table has only the columns of a store, rounds no time, and takes
 * texts as equal only if their bytes are.  Look-ups in the indexes compare bytes.
 */
static bool
has_plain_columns(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	int			live = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped)
			continue;
		if (att->atttypid != VARCHAROID && att->atttypmod != -1)
			return false;
		if (OidIsValid(att->attcollation) && !get_collation_isdeterministic(att->attcollation))
			return false;
		live++;
	}
	return live == PGES_NUM_COLUMNS;
}

/* Return the collation of the first column of an index. */
Oid
pges_index_collation(Oid indexid)
{
	Relation	index = index_open(indexid, AccessShareLock);
	Oid			collation = index->rd_indcollation[0];

	index_close(index, NoLock);
	return collation;
}

/* Return whether an index on the versions is as create_store() makes it. */
bool
pges_has_plain_index(Oid indexid)
{
	Relation	index = index_open(indexid, AccessShareLock);
	bool		plain = index->rd_rel->relam == BTREE_AM_OID &&
		index->rd_indcollation[0] == C_COLLATION_OID &&
		index->rd_indoption[0] == 0 && index->rd_indoption[1] == 0;

	index_close(index, AccessShareLock);
	return plain;
}

/* Return whether an INSERT has to do nothing but insert; see insert_direct.c. */
bool
pges_is_plain(Relation rel, const PgesStore *store)
{
	const FormData_pg_class *form = rel->rd_rel;

	return form->relkind == RELKIND_RELATION && form->relam == HEAP_TABLE_AM_OID &&
		!form->relrowsecurity && !form->relhasrules &&
		!form->relispartition && has_plain_columns(rel) &&
		has_plain_triggers(rel, store->trigger) &&
		pges_has_plain_index(store->version_index_oid) &&
		(!OidIsValid(store->archive.relid) || store->archive.plain);
}
