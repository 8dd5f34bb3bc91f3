/*
 * slot_stores.c
 *		Finds and creates the stores that are the slots of a sliced store.
 *
 * A database need not have all slots of a sliced store.  The program creates slots in a
 * database that has none of the store, or if the command line names them.  Otherwise it
 * could create a second time the slots that another server has.
 */
#include "migrate.h"

#include "common/logging.h"

/* Return the name of an option of an end. */
static char *
option_of(const End *end, const char *name)
{
	return psprintf("--%s%s", end == &options.source ? "source-" : "", name);
}

/* End the program if the name of the sliced store is that of one of its slots. */
static void
check_is_no_slot(const End *end)
{
	char	   *slot = query_value(end, psprintf("SELECT pg_catalog.format('slot %%s of %%s', slot, slots)"
												 " FROM eventstore.stores WHERE slot IS NOT NULL"
												 " AND store = pg_catalog.to_regclass(%s)", store_literal(end)));

	if (slot == NULL)
		return;
	pg_log_error("store %s of %s is %s", store_name(end), end->name, slot);
	pg_log_error_hint("With %s, option %s names the sliced store.", option_of(end, "slots"), option_of(end, "table"));
	exit(1);
}

/* End the program if the sliced store has another number of slots than the option says. */
static void
check_count(const End *end, int count)
{
	if (count == end->slots->count)
		return;
	pg_log_error("store %s of %s has %d slots, not %d", store_name(end), end->name, count, end->slots->count);
	if (end != &options.source)
		pg_log_error_hint("The number of slots cannot be changed. Move the events to a sliced store of another name; option --source-slots=%d reads them.", count);
	exit(1);
}

/* Find the slots that are in the database, and return how many. */
static int
find_slots(const End *end)
{
	Slots	   *slots = end->slots;
	PGresult   *result;
	int			found;

	memset(slots->stores, 0, sizeof(slots->stores));
	if (!extension_exists(end))
		return 0;
	check_is_no_slot(end);
	result = check_result(end, run_query(end, psprintf("SELECT slots, slot, slot_store FROM eventstore.slots(%s)",
													   store_literal(end))));
	found = PQntuples(result);
	for (int row = 0; row < found; row++)
	{
		check_count(end, (int) strtol(PQgetvalue(result, row, 0), NULL, 10));
		slots->stores[strtol(PQgetvalue(result, row, 1), NULL, 10)] = pg_strdup(PQgetvalue(result, row, 2));
	}
	PQclear(result);
	return found;
}

/* Return whether the database has all chosen slots, and the list of those that it lacks. */
static bool
has_chosen(const Slots *slots, char **missing)
{
	bool		lacks[MAX_SLOTS] = {false};
	bool		complete = true;

	for (int slot = 0; slot < slots->count; slot++)
	{
		lacks[slot] = slots->chosen[slot] && slots->stores[slot] == NULL;
		complete = complete && !lacks[slot];
	}
	*missing = slot_list(lacks);
	return complete;
}

/* Report that the database lacks slots, and end the program. */
static void
fail_missing(const End *end, const char *missing, bool may_create)
{
	const Slots *slots = end->slots;
	bool		there[MAX_SLOTS] = {false};

	for (int slot = 0; slot < slots->count; slot++)
		there[slot] = slots->chosen[slot] && slots->stores[slot] != NULL;
	pg_log_error("%s lacks %s %s of store %s", end->name, strpbrk(missing, ",-") ? "slots" : "slot",
				 missing, store_name(end));
	if (*slot_list(there) != '\0')
		pg_log_error_hint("Option %s=%s takes those that are there.%s", option_of(end, "only-slots"), slot_list(there),
						  may_create ? " If all belong to this database, create the others with eventstore.create_slots()." : "");
	exit(1);
}

/*
 * Find the slots that are in the database, and return how many.  If it lacks one that is
 * chosen, end the program.
 */
int
require_slots(const End *end)
{
	int			found = find_slots(end);
	char	   *missing;

	if (found == 0)
		pg_fatal("%s has no slots of store %s", end->name, store_name(end));
	if (!has_chosen(end->slots, &missing))
		fail_missing(end, missing, false);
	return found;
}

/* Find the slots of a target.  Return false if some have to be created. */
bool
find_target_slots(const End *end)
{
	int			found = find_slots(end);
	char	   *missing;

	if (has_chosen(end->slots, &missing))
		return true;
	if (found > 0 && end->slots->only == NULL)
		fail_missing(end, missing, true);
	return false;
}

/* Create the chosen slots that are missing, in the current transaction. */
static void
create_slots(const End *end, const char *widening)
{
	bool		created[MAX_SLOTS] = {false};
	const Slots *slots = end->slots;
	PQExpBufferData numbers;

	initPQExpBuffer(&numbers);
	for (int slot = 0; slot < slots->count; slot++)
	{
		created[slot] = slots->chosen[slot] && slots->stores[slot] == NULL;
		if (created[slot])
			appendPQExpBuffer(&numbers, "%s%d", numbers.len > 0 ? "," : "", slot);
	}
	run_command(end, psprintf("SELECT pg_catalog.count(*) FROM eventstore.create_slots(%s, %d, '{%s}',"
							  " notifications => '%s', create_schema_if_missing => %s)",
							  store_literal(end), slots->count, numbers.data,
							  options.notifications ? "worker" : "off",
							  options.create_schema ? "true" : "false"));
	termPQExpBuffer(&numbers);
	(void) require_slots(end);
	for (int slot = 0; slot < slots->count; slot++)
	{
		if (created[slot] && widening != NULL)
			run_command(end, psprintf("ALTER TABLE %s %s", slots->stores[slot], widening));
	}
}

/*
 * Create the extension, and the store or the slots of a target, if they are missing.  All
 * slots are created or none, so that those which exist are never the rest of another run.
 */
void
create_target_if_missing(const End *end, const char *widening)
{
	bool		is_idle = PQtransactionStatus(end->conn) == PQTRANS_IDLE;

	if (end->slots == NULL)
	{
		create_store_if_missing(end, widening);
		return;
	}
	if (find_target_slots(end))
		return;
	create_extension_if_missing(end);
	if (is_idle)
		run_command(end, "BEGIN");
	create_slots(end, widening);
	if (is_idle)
		run_command(end, "COMMIT");
}

/* Return the store of a slot as an SQL literal; an ordinary store has slot 0. */
char *
slot_literal(const End *end, int slot)
{
	return end->slots ? sql_literal(end, end->slots->stores[slot]) : store_literal(end);
}

/* Return whether an end has events of a slot. */
bool
has_slot(const End *end, int slot)
{
	return end->slots ? slot < end->slots->count && end->slots->chosen[slot] : slot == 0;
}
