/*
 * compat.h
 *		What differs between the versions of PostgreSQL; the only home of
 *		version tests.
 */
#ifndef PGES_COMPAT_H
#define PGES_COMPAT_H

#include "postgres.h"

#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/acl.h"

#if PG_VERSION_NUM < 150000
#error "pg_eventstore needs PostgreSQL 15 or later"
#endif

/* The number of this backend's current top transaction; 0 outside of one. */
static inline LocalTransactionId
pges_current_lxid_compat(void)
{
#if PG_VERSION_NUM >= 170000
	return MyProc->vxid.lxid;
#else
	return MyProc->lxid;
#endif
}

/* Whether a role owns a table. */
static inline bool
pges_owns_table_compat(Oid relid, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relid, roleid);
#else
	return pg_class_ownercheck(relid, roleid);
#endif
}

#endif							/* PGES_COMPAT_H */
