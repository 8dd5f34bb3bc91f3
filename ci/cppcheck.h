/*
 * What cppcheck has to know of PostgreSQL's headers: macros that are statements, and that
 * the report of an error does not return.
 */
#define foreach(cell, list) for (ListCell *cell = list_head(list); cell; cell = lnext(list, cell))
#define pg_attribute_printf(format, arguments)
#define ERROR 21
#define FATAL 22
#define PANIC 23
#define ereport(level, ...) do { (void) (__VA_ARGS__); if ((level) >= ERROR) abort(); } while (0)
#define elog(level, ...) ereport(level, errmsg(__VA_ARGS__))
#define PG_RE_THROW() abort()
#define pg_unreachable() abort()
#define pg_fatal(...) abort()
#define Assert(condition) do { if (!(condition)) abort(); } while (0)
#define PG_RETURN_NULL() return 0
