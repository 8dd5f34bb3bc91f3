/*
 * without_password.c
 *		Removes passwords from connection strings, for messages.
 */
#include "client.h"

/*
 * Return a value for messages.  A mistyped connection string may contain a
 * password, so the value is cut at a ":" that precedes an "@", and after the
 * word "password".
 */
char *
without_password(const char *value)
{
	char	   *shown = pg_strdup(value);
	char	   *colon = strchr(shown, ':');
	const char *at = strrchr(shown, '@');

	for (char *c = shown; *c != '\0'; c++)
	{
		if (pg_strncasecmp(c, "password", strlen("password")) == 0)
			c[strlen("password")] = '\0';
	}
	if (colon != NULL && at != NULL && colon < at)
		*colon = '\0';
	if (strcmp(shown, value) != 0)
		shown = psprintf("%s...", shown);
	return shown;
}
