/*
** type_map.h -- the types of one database that are not built in, as far as
** anybody has met them: what the server said of each, and the codec made of
** it. One for each pool. Knows no connection: catalog.c asks the server.
**
** T1  A pg_type that was handed out lives as long as the map, so that a
**     statement may keep it. One that has not changed is handed out again.
** T2  What was said in another generation counts no longer; the generation
**     ends when somebody has changed, or may have changed, a type.
** T3  What Lua keeps for the map (functions of codecs, metatables) is in its
**     space, a table which the pool's environment holds.
*/
#ifndef pg_type_map_h
#define pg_type_map_h

#include <lua.h>

#include "base/buf.h"
#include "pg/value.h"

typedef struct type_map type_map;

typedef struct pg_field {
  const char *name;
  pg_oid oid;
  const pg_type *type; /* once it is built */
} pg_field;

enum codec_form { CODEC_TEXT, CODEC_BINARY, CODEC_VALUE };

/* A codec of the user's. Its functions are in the space, at 2 * number and
** behind it: decode, encode; either may be missing. */
typedef struct codec {
  struct codec *next;
  int number;
  unsigned char form, decodes, encodes;
  char key[]; /* the type's: "schema.name" */
} codec;

/* pg_type.more */
typedef struct pg_more {
  type_map *map;
  int nfields; /* of a composite */
  pg_field *fields;
  const codec *codec;
  const pg_type *base; /* what the codec stands on */
} pg_more;

/* What the server says of a type. */
enum type_kind {
  KIND_ABSENT = 0, /* there is none with this oid */
  KIND_ARRAY = 'a',
  KIND_BASE = 'b',
  KIND_COMPOSITE = 'c',
  KIND_DOMAIN = 'd',
  KIND_ENUM = 'e',
  KIND_MULTIRANGE = 'm',
  KIND_RANGE = 'r',
  KIND_BUILT_IN = 'B' /* known anyway; here because it has a codec */
};

typedef struct type_def {
  pg_oid oid, of; /* of: element, base, subtype, range */
  char kind, delim;
  const char *name, *key; /* as shown; "schema.name" */
  int nfields;
  pg_field *fields;
} type_def;

struct type_map {
  unsigned generation; /* T2; never 0 */
  struct type_entry **entries; /* sorted by oid */
  size_t n, cap;
  struct made_type *made; /* T1 */
  codec *codecs;
  int ncodecs;
  int calling; /* functions of codecs that are running */
  pg_type record, records; /* these have to know the map */
  pg_more more;
};

void type_map_init(type_map *m);
void type_map_fini(type_map *m);

/* Push the space, new; the caller keeps it (T3). */
void type_map_open(lua_State *L, type_map *m);
/* Push it; never raises for lack of it, for there is always one. */
void type_map_push_space(lua_State *L, const type_map *m);

/* Any type may have changed. */
void type_map_stale(type_map *m);

/* The server has said this. [borrow] d and its strings for the call. 0 or
** -ENOMEM. */
int type_map_put(type_map *m, const type_def *d);

/* 1: *type is the type. 0: more has to be known; the oids to ask for are
** appended to missing, each with a comma behind it, unless that is NULL.
** -ENOMEM. */
int type_map_find(type_map *m, pg_oid oid, const pg_type **type, buf *missing);
/* The same for one of which everything is known, else NULL. */
const pg_type *type_map_known(type_map *m, pg_oid oid);

/* A codec for the type with this key: its number, or -ENOMEM. */
int type_map_codec(type_map *m, const char *key, int form, int decodes,
                   int encodes);

/* type_record.c: oids of fields in this value of a record (or array of them)
** that are not known. 1 if there are none, else 0, or -ENOMEM. */
int record_wants(type_map *m, const pg_type *type, const char *p, size_t len,
                 buf *missing);
int type_has_records(const pg_type *type);

/* type_codec.c: t, made by the codec instead of base. */
void codec_apply(pg_type *t, const pg_type *base, const codec *c);

#endif
