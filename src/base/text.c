/*
 * text.c
 *		Compares texts by their bytes, and formats values and names for messages.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "base/text.h"

/* Error messages cut longer values to this length, and append three dots. */
#define MAX_SHOWN_BYTES 1000

/* Return a string as an error message shows it: shortened if it is too long. */
char *
pges_shorten(char *string)
{
	int			length = strlen(string);

	if (length <= MAX_SHOWN_BYTES)
		return string;
	length = pg_mbcliplen(string, length, MAX_SHOWN_BYTES);
	return psprintf("%.*s...", length, string);
}

/* Return the name of a relation with its schema, quoted where needed; NULL if none. */
char *
pges_relation_name(Oid relid)
{
	char	   *name = get_rel_name(relid);

	return name ? quote_qualified_identifier(get_namespace_name_or_temp(get_rel_namespace(relid)), name) : NULL;
}

/* Return the order of two texts by their bytes, like memcmp(); NULL comes first. */
int
pges_text_compare(const text *a, const text *b)
{
	int			alen;
	int			blen;
	int			result;

	if (a == NULL || b == NULL)
		return (a != NULL) - (b != NULL);
	alen = VARSIZE_ANY_EXHDR(a);
	blen = VARSIZE_ANY_EXHDR(b);
	result = memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(alen, blen));
	return result != 0 ? result : (alen > blen) - (alen < blen);
}

/* Return whether two texts have equal bytes; NULL equals NULL. */
bool
pges_text_equal(const text *a, const text *b)
{
	return pges_text_compare(a, b) == 0;
}
