/*
** catalog.h -- asking the server what its types are: one flat query, and what
** its answer puts into the map. No Lua, no connection.
*/
#ifndef pg_catalog_h
#define pg_catalog_h

#include <libpq-fe.h>

#include "pg/type_map.h"

/* The query, in two parts: between them stand oids, with commas between. */
extern const char catalog_head[], catalog_tail[];

/* Run in front of it, where it does not change anybody's transaction. */
extern const char catalog_prelude[];

/* Take the answer. 0 or -ENOMEM. */
int catalog_learn(type_map *m, const PGresult *r);

#endif
