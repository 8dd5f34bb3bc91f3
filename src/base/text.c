/*
 * text.c
 *		Compares texts by their bytes, and shortens values for messages.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "base/compat.h"
#include "base/text.h"

/* Errors show so many bytes of a value, and three dots. */
#define MAX_SHOWN_BYTES 1000

/* As much of a string as an error message can bear. */
char *
pges_shorten(char *string)
{
	int			length = strlen(string);

	if (length <= MAX_SHOWN_BYTES)
		return string;
	length = pg_mbcliplen(string, length, MAX_SHOWN_BYTES);
	return psprintf("%.*s...", length, string);
}

/* The order of two texts, by bytes; NULL comes first. */
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

/* Whether two texts are the same; NULL is the same as NULL. */
bool
pges_text_equal(const text *a, const text *b)
{
	return pges_text_compare(a, b) == 0;
}
