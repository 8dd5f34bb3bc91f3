/*
 * own_function.h
 *		Finds the functions of the extension itself.
 */
#ifndef PGES_OWN_FUNCTION_H
#define PGES_OWN_FUNCTION_H

#include "postgres.h"

extern Oid	pges_function_oid(const char *name, int nargs, Oid *argtypes);

#endif							/* PGES_OWN_FUNCTION_H */
