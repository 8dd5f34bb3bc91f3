/*
 * append_error.c
 *		Raises the errors of an append: version conflicts and duplicate keys.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "append/append_steps.h"
#include "base/errors.h"
#include "event/event.h"
#include "store/store.h"

/* Return a version as JSON.  A negative version is unknown, and becomes null. */
static const char *
version_json(int32 version)
{
	return version < 0 ? "null" : psprintf("%d", version);
}

/* Return a version conflict as a JSON object, for programs.  NULL is an unknown id. */
static char *
conflict_json(const char *aggregate_id, int32 expected, int32 actual)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"aggregate_id\": ");
	if (aggregate_id)
		escape_json(&json, aggregate_id);
	else
		appendStringInfoString(&json, "null");
	appendStringInfo(&json, ", \"expected\": %s, \"actual\": %s}",
					 version_json(expected), version_json(actual));
	return json.data;
}

/* Set the schema and the table in the fields of an error that programs read. */
static int
errstore(const PgesStore *store)
{
	err_generic_string(PG_DIAG_SCHEMA_NAME, store->live.schema);
	err_generic_string(PG_DIAG_TABLE_NAME, store->live.table);
	return 0;
}

/* Raise the version conflict of an aggregate that is not at the expected version. */
void
pges_report_conflict(const PgesStore *store, const PgesAggregate *aggregate)
{
	char	   *id = text_to_cstring(aggregate->id);

	ereport(ERROR,
			(errcode(ERRCODE_PGES_VERSION_CONFLICT),
			 errmsg("version conflict on aggregate \"%s\"", id),
			 errdetail("Expected version %d, but the aggregate is at version %d in store %s.\n%s",
					   aggregate->expected, aggregate->version,
					   store->live.qualified_name,
					   conflict_json(id, aggregate->expected, aggregate->version)),
			 errhint("Read the aggregate again, decide again, and retry with its current version."),
			 errstore(store)));
}

/*
 * Raise the version conflict of an aggregate to which events were appended, and moved to
 * the archive, after its version was looked up.
 */
void
pges_report_archived(const PgesStore *store, const PgesAggregate *aggregate, int32 version)
{
	char	   *id = text_to_cstring(aggregate->id);

	ereport(ERROR,
			(errcode(ERRCODE_PGES_VERSION_CONFLICT),
			 errmsg("version conflict on aggregate \"%s\"", id),
			 errdetail("Events up to version %d were appended to store %s and archived concurrently.\n%s",
					   version, store->live.qualified_name,
					   conflict_json(id, aggregate->expected_given ? aggregate->expected : -1, version)),
			 errhint("Retry the call."),
			 errstore(store)));
}

/*
 * Raise the version conflict of an event whose version is taken: another event has the
 * version, or the event has no id to compare with the stored event.
 */
void
pges_report_taken(const PgesStore *store, const PgesEvent *event,
				  const PgesAggregate *aggregate)
{
	char	   *id = text_to_cstring(aggregate->id);

	ereport(ERROR,
			(errcode(ERRCODE_PGES_VERSION_CONFLICT),
			 errmsg("version %d of aggregate \"%s\" is taken", event->given_version, id),
			 errdetail("Event %d is to be version %d, but the aggregate is at version %d in store %s, and its event of that version %s.\n%s",
					   event->ordinal, event->given_version, aggregate->version,
					   store->live.qualified_name,
					   event->event_id_given ? "has another id" : "cannot be compared with one that has no id",
					   conflict_json(id, event->given_version - 1, aggregate->version)),
			 errstore(store)));
}

/* Raise the error that an event id exists and the call is no retry; "detail" says why. */
void
pges_report_duplicate(const PgesStore *store, const PgesEvent *event,
					  const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("event id \"%s\" already exists in store %s",
					text_to_cstring(event->event_id), store->live.qualified_name),
			 errdetail("Key \"event_id\" of %s: %s", pges_event_label(event), detail),
			 errhint("Give every event an id of its own; repeat a call only with the same ids and the same content."),
			 errstore(store)));
}

/*
 * Return the event that has a duplicate key, for an error without detail: PostgreSQL omits
 * the detail if the user may not read the key.  Return NULL if more than one event may
 * have the key.  An id that the store has made is not a duplicate.
 */
static const PgesEvent *
find_only_event(const PgesBatch *batch, bool by_version)
{
	const PgesEvent *found = NULL;

	for (int i = 0; i < batch->nevents; i++)
	{
		const PgesEvent *event = &batch->events[i];

		if (by_version ? event->aggregate_id == NULL : !event->event_id_given)
			continue;
		if (found && !(by_version && event->aggregate == found->aggregate))
			return NULL;
		if (found == NULL)
			found = event;
	}
	return found;
}

/*
 * Return the event whose version or id is the key in the detail of a duplicate key error.
 * Return NULL if no event has the key, because a trigger has inserted the row.
 */
static const PgesEvent *
find_event(const PgesBatch *batch, const ErrorData *error, bool by_version)
{
	Assert(batch->events != NULL);
	if (error->detail == NULL)
		return find_only_event(batch, by_version);
	for (int i = 0; i < batch->nevents; i++)
	{
		const PgesEvent *event = &batch->events[i];
		char	   *key;

		CHECK_FOR_INTERRUPTS();
		if (by_version && event->aggregate_id == NULL)
			continue;
		key = by_version ?
			psprintf("(aggregate_id, aggregate_version)=(%s, %d)",
					 text_to_cstring(event->aggregate_id), event->version) :
			psprintf("(event_id)=(%s)", text_to_cstring(event->event_id));
		if (strstr(error->detail, key) != NULL)
			return event;
		pfree(key);
	}
	return NULL;
}

/* Raise the error that a stored event has a position that the sequence returned. */
static void
report_position(const PgesStore *store, const ErrorData *error)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("position from the sequence of store %s already exists",
					store->live.qualified_name),
			 errdetail("%s", error->detail ? error->detail : "The sequence of the positions is behind the events."),
			 errhint("If events came without their sequence, for example by logical replication, the owner of the store can set the sequence: "
					 "SELECT setval(pg_get_serial_sequence(%1$s, 'position'), greatest((SELECT max(position) FROM %2$s), "
					 "(SELECT position FROM eventstore.watermarks WHERE store = %1$s::regclass))).",
					 quote_literal_cstr(store->live.qualified_name), store->live.qualified_name),
			 errstore(store)));
}

/*
 * Raise the error that an event id exists, if only the unique index found it.  Row
 * security is in force, and may hide the other event from the user.  "event" is NULL if it
 * is unknown which event of the batch has the id.
 */
static void
report_secured_id(const PgesStore *store, const PgesBatch *batch, const PgesEvent *event)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 event ? errmsg("event id \"%s\" already exists in store %s",
							text_to_cstring(event->event_id), store->live.qualified_name) :
			 errmsg("an event id of the call already exists in store %s", store->live.qualified_name),
			 event ? errdetail("Key \"event_id\" of %s: An event with this id is stored elsewhere, was stored concurrently, or is hidden from the current role by row security.",
							   pges_event_label(event)) :
			 errdetail("It is unknown which of the %d events has the id. The other event was stored concurrently, or row security hides it from the current role.",
					   batch->nevents),
			 errhint("Give every event an id of its own. If this call repeats an earlier one, ask the owner of the store: its events may be hidden from the current role."),
			 errstore(store)));
}

/*
 * Raise a version conflict that only the unique index found.  A BEFORE INSERT trigger of
 * the owner may have appended to the same aggregate.
 */
static void
report_version(const PgesStore *store, const PgesBatch *batch, const PgesEvent *event)
{
	const PgesAggregate *aggregate = &batch->aggregates[event->aggregate];
	char	   *id = text_to_cstring(event->aggregate_id);

	ereport(ERROR,
			(errcode(ERRCODE_PGES_VERSION_CONFLICT),
			 errmsg("version conflict on aggregate \"%s\"", id),
			 errdetail("Version %d was inserted into store %s concurrently.\n%s",
					   event->version, store->live.qualified_name,
					   conflict_json(id, aggregate->expected_given ? aggregate->expected : -1, -1)),
			 store->has_trigger_before ?
			 errhint("Read the aggregate again and retry. If that fails again, a BEFORE INSERT trigger of the store appends to the same aggregate: its owner can make it an AFTER INSERT trigger.") :
			 aggregate->expected_given ?
			 errhint("Read the aggregate again, decide again, and retry with its current version.") :
			 event->given_version > 0 ?
			 errhint("Retry the call: the stored event may be this event.") :
			 errhint("Retry the call: no version was expected, so the events get the next versions."),
			 errstore(store)));
}

/*
 * Raise a version conflict that only the unique index found.  Row security is in force,
 * and may hide the other event from the user; then every retry fails.  "event" is NULL if
 * it is unknown which event of the batch has the version.
 */
static void
report_secured_version(const PgesStore *store, const PgesBatch *batch, const PgesEvent *event)
{
	const PgesAggregate *aggregate = event ? &batch->aggregates[event->aggregate] : NULL;
	char	   *id = event ? text_to_cstring(event->aggregate_id) : NULL;

	ereport(ERROR,
			(errcode(ERRCODE_PGES_VERSION_CONFLICT),
			 event ? errmsg("version conflict on aggregate \"%s\"", id) :
			 errmsg("version conflict on one of the aggregates of the call"),
			 errdetail("A version was inserted into store %s concurrently, or row security hides its event from the current role.\n%s",
					   store->live.qualified_name,
					   conflict_json(id, aggregate && aggregate->expected_given ? aggregate->expected : -1, -1)),
			 errhint("Read the aggregate again and retry. If that fails again, row security hides events of the aggregate: use another aggregate id, or ask the owner of the store."),
			 errstore(store)));
}

/*
 * Replace a duplicate key error: raise an error in terms of events.  If the key belongs to
 * another table or to a further unique index, return; the caller then raises the original
 * error.  If "secured", row security is in force for the user, and PostgreSQL omits the
 * detail of the error.
 */
void
pges_report_unique_violation(const PgesStore *store, PgesBatch *batch,
							 const ErrorData *error, bool secured)
{
	bool		by_version;
	const PgesEvent *event;

	if (error->constraint_name == NULL || error->table_name == NULL ||
		error->schema_name == NULL ||
		strcmp(error->table_name, store->live.table) != 0 ||
		strcmp(error->schema_name, store->live.schema) != 0)
		return;

	if (strcmp(error->constraint_name, store->index_names[PGES_KEY_POSITION]) == 0)
		report_position(store, error);
	by_version = strcmp(error->constraint_name, store->index_names[PGES_KEY_VERSION]) == 0;
	if (!by_version && strcmp(error->constraint_name, store->index_names[PGES_KEY_ID]) != 0)
		return;
	event = find_event(batch, error, by_version);
	if (event == NULL && (!secured || error->detail != NULL))
		return;
	batch->current = event ? event->ordinal : 0;
	if (secured && by_version)
		report_secured_version(store, batch, event);
	else if (secured)
		report_secured_id(store, batch, event);
	else if (by_version)
		report_version(store, batch, event);
	else
		pges_report_duplicate(store, event,
							  "An event with this id is stored elsewhere, or was stored concurrently.");
}
