/*
 * names.c
 *		What the values of --source and --target name.
 */
#include "migrate.h"

#include <ctype.h>

/* How long the scheme of a URI is, such as "postgresql"; 0 if it is none. */
static size_t
scheme_length(const char *value)
{
	size_t		length = 0;

	while (isalnum((unsigned char) value[length]) || strchr("+-.", value[length]) != NULL)
	{
		if (value[length++] == '\0')
			return 0;
	}
	return strncmp(value + length, "://", 3) == 0 ? length : 0;
}

/* Whether a value is a connection string, not a file. */
bool
is_connection(const char *value)
{
	const char *suffix = strrchr(value, '.');

	if (scheme_length(value) > 0)
		return true;
	if (suffix != NULL && strcmp(suffix, ".jsonl") == 0)
		return false;
	return value[strcspn(value, "=/")] == '=';
}

/* A connection string as libpq takes it; NULL if it is a URI of something else. */
char *
connection_string(const char *value)
{
	static const char *const schemes[] = {"postgresql", "postgres"};
	size_t		length = scheme_length(value);

	if (length == 0)
		return pg_strdup(value);
	for (int i = 0; i < lengthof(schemes); i++)
	{
		if (length == strlen(schemes[i]) && pg_strncasecmp(value, schemes[i], length) == 0)
			return psprintf("%s%s", schemes[i], value + length);
	}
	return NULL;
}

/*
 * A value to be shown.  It may be a mistyped connection string, so it is cut
 * before what may be a password: at a ":" with an "@" behind it, and behind
 * "password".
 */
char *
without_password(const char *value)
{
	char	   *shown = pg_strdup(value);
	char	   *colon = strchr(shown, ':');
	const char *at = strrchr(shown, '@');
	char	   *lower = pg_strdup(shown);
	const char *password;

	for (char *c = lower; *c != '\0'; c++)
		*c = pg_tolower((unsigned char) *c);
	password = strstr(lower, "password");
	if (password != NULL)
		shown[password - lower + strlen("password")] = '\0';
	if (colon != NULL && at != NULL && colon < at)
		*colon = '\0';
	if (strcmp(shown, value) != 0)
		shown = psprintf("%s...", shown);
	pg_free(lower);
	return shown;
}
