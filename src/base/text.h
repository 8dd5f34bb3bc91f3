/*
 * text.h
 *		Compares texts by their bytes, and formats values and names for messages.
 */
#ifndef PGES_TEXT_H
#define PGES_TEXT_H

#include "postgres.h"

extern char *pges_shorten(char *string);
extern char *pges_relation_name(Oid relid);
extern int	pges_text_compare(const text *a, const text *b);
extern bool pges_text_equal(const text *a, const text *b);

#endif							/* PGES_TEXT_H */
