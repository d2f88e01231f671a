/*
** type.h -- what the codecs (type_*.c) and the registry (value.c) share. The
** rest of the driver sees value.h only.
*/
#ifndef pg_type_h
#define pg_type_h

#include <lua.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/decimal.h"
#include "pg/value.h"
#include "pg/value_scan.h"
#include "pg/value_time.h"

/*
** Classes of Lua values. A metatable of ours holds its number under
** pg_class_mark; the registry holds each metatable under its pg_class_key.
** No string is hashed to make or to recognise a value.
*/
enum pg_class {
  PG_FOREIGN, /* anything else */
  PG_NUMERIC,
  PG_DATE,
  PG_TIME,
  PG_TIMETZ,
  PG_TIMESTAMP,
  PG_TIMESTAMPTZ,
  PG_INTERVAL,
  PG_JSON,  /* user value 1: the JSON text */
  PG_BYTEA, /* user value 1: the bytes */
  PG_BITS,
  PG_RANGE, /* user values: lower and upper */
  PG_ARRAY, /* this and the next are tables */
  PG_MULTIRANGE,
  PG_CLASSES
};
extern const char pg_class_key[PG_CLASSES]; /* addresses only */

/* A new metatable of the class with its name: registered, marked, pushed. */
void pg_class_define(lua_State *L, int class, const char *name);
/* Marks (and registers) the metatable on top; leaves it there. */
void pg_class_mark(lua_State *L, int class);
void pg_class_adopt(lua_State *L, int class);
int pg_class_of(lua_State *L, int idx);
void pg_class_push(lua_State *L, int class); /* the metatable */
void *pg_class_new(lua_State *L, int class, size_t size); /* userdata */
/* The userdata at idx if it is of the class, else NULL. */
void *pg_class_test(lua_State *L, int idx, int class);

/* t.n of the table at idx (absolute) where that is a count, else -1. */
lua_Integer pg_count_of(lua_State *L, int idx);

/* Raise: the bytes are not a value of the type. Never returns. */
void pg_garbage(lua_State *L, const pg_type *type, size_t len, int text)
    BASE_NORETURN;

/* Answers of an encoder (see pg_encode in value.h). */
const char *pg_expected(lua_State *L, int idx, const char *what);
const char *pg_out_of_range(lua_State *L, int idx, const pg_type *type);
const char *pg_describe(lua_State *L, int idx); /* pushes "an integer" */

/* The bytes of a value as the user would write it, for a parameter that goes
** as text: no NUL at the end. NULL, or what is wrong. */
const char *pg_text_of(lua_State *L, int idx, buf *out);
/* The same of a value that is to be of the type, checked as far as it has a
** binary form. Each type's own pg_encode to_text does no less. */
const char *pg_write_text(lua_State *L, const pg_type *type, int idx,
                          buf *out);

/* What an array, range or multirange is made of. */
static inline const pg_type *pg_part(const pg_type *type) {
  return type->of != NULL ? type->of : pg_type_of(type->element);
}

/* Push a text in which quotes, doubled quotes and backslashes may stand, up to
** one of the two ends, which is left: 1, 0 when there is nothing, not even
** quotes, -1 when there is no end. */
int pg_read_quoted(lua_State *L, scan *s, char end1, char end2);
/* Puts a backslash before each quote and backslash from start on. */
void pg_escape(buf *out, size_t start);
/* The length, which stands in the four bytes at `at`, of what follows. */
void pg_set_length(buf *out, size_t at);

/* A buffer that the collector frees, pushed. */
buf *pg_scratch_push(lua_State *L);

/* A table as an array literal, of items of a type or NULL. */
const char *array_text(lua_State *L, const pg_type *element, int idx,
                       buf *out);
/* Values of these classes as text; bounds are of the type, or NULL. */
const char *bits_text(lua_State *L, int idx, buf *out);
const char *range_text(lua_State *L, const pg_type *part, int idx, buf *out);
const char *multirange_text(lua_State *L, const pg_type *range, int idx,
                            buf *out);

/* Arrays, between type_array.c and type_array_text.c. */
#define ARRAY_DIMS 6 /* the server's limit */
typedef struct array_shape {
  int dims;
  int32_t length[ARRAY_DIMS], lower[ARRAY_DIMS];
} array_shape;

/* Is the value at idx a row of an array, not an item? flat: enum pg_flat. */
int array_is_level(lua_State *L, int idx, int flat);
/* The shape of the table at idx (absolute), by its first items. NULL, or what
** is wrong. */
const char *array_measure(lua_State *L, int idx, int flat, array_shape *shape);
/* What is wrong with the value at idx where an array is wanted, or NULL. */
const char *array_refuses(lua_State *L, int idx);
/* Makes the table on top an array with these lower bounds. */
void array_finish(lua_State *L, const array_shape *shape);

/*
** Dates, times, ... (PG_DATE to PG_INTERVAL), between type_time.c and
** value_moment.c. The userdata is the member of the class, no more.
*/
typedef union moment {
  int32_t days; /* PG_DATE */
  int64_t us;   /* PG_TIME, PG_TIMESTAMP, PG_TIMESTAMPTZ */
  timetz tz;
  interval span;
} moment;

void moment_push(lua_State *L, int class, const moment *m);
/* From a table of fields: NULL, or what is wrong. */
const char *moment_from_fields(lua_State *L, int idx, int class, moment *m);
int moment_from_text(int class, const char *s, size_t len, moment *m);
/* Text of the userdata at idx; out has TIME_TEXT bytes. */
size_t pg_moment_text(lua_State *L, int idx, int class, char *out);

/* The decoder of one type, its text form, its encoder. */
#define PG_CODEC(t)                                                           \
  void t##_from_binary(lua_State *L, const pg_type *type, const char *p,      \
                       size_t len);                                           \
  void t##_from_text(lua_State *L, const pg_type *type, const char *p,        \
                     size_t len);                                             \
  const char *t##_to_binary(lua_State *L, const pg_type *type, int idx,       \
                            buf *out)

PG_CODEC(bool);
PG_CODEC(int2);
PG_CODEC(int4);
PG_CODEC(int8);
PG_CODEC(uint4); /* oid, xid, cid */
PG_CODEC(uint8); /* xid8 */
PG_CODEC(lsn);
PG_CODEC(float4);
PG_CODEC(float8);
PG_CODEC(numeric);
PG_CODEC(text); /* and what looks like it */
PG_CODEC(char);
PG_CODEC(bytea);
PG_CODEC(uuid);
PG_CODEC(void);
PG_CODEC(json);
PG_CODEC(jsonb);
PG_CODEC(jsonpath);
PG_CODEC(date);
PG_CODEC(time);
PG_CODEC(timetz);
PG_CODEC(timestamp);
PG_CODEC(timestamptz);
PG_CODEC(interval);
PG_CODEC(inet);
PG_CODEC(cidr);
PG_CODEC(macaddr);
PG_CODEC(macaddr8);
PG_CODEC(array);
PG_CODEC(vector); /* int2vector, oidvector */
PG_CODEC(bits);   /* bit, varbit */
PG_CODEC(point);
PG_CODEC(lseg);
PG_CODEC(box);
PG_CODEC(path);
PG_CODEC(polygon);
PG_CODEC(line);
PG_CODEC(circle);
PG_CODEC(range);
PG_CODEC(multirange);
PG_CODEC(record);
PG_CODEC(composite);
PG_CODEC(hstore);
PG_CODEC(floats); /* vector of pgvector */

#define PG_TO_TEXT(t)                                                         \
  const char *t##_to_text(lua_State *L, const pg_type *type, int idx, buf *out)

PG_TO_TEXT(bytea);
PG_TO_TEXT(json); /* and jsonb */
PG_TO_TEXT(array);
PG_TO_TEXT(vector);
PG_TO_TEXT(point);
PG_TO_TEXT(lseg);
PG_TO_TEXT(box);
PG_TO_TEXT(path);
PG_TO_TEXT(polygon);
PG_TO_TEXT(line);
PG_TO_TEXT(circle);
PG_TO_TEXT(range);
PG_TO_TEXT(multirange);
PG_TO_TEXT(composite);
PG_TO_TEXT(hstore);
PG_TO_TEXT(floats);

/* Parts of pg_values_open(): each adds its constructors to the table on top
** of the stack. */
void numeric_values_open(lua_State *L);
void time_values_open(lua_State *L);
void array_values_open(lua_State *L);
void json_values_open(lua_State *L);
void bytea_values_open(lua_State *L);
void bits_values_open(lua_State *L);
void range_values_open(lua_State *L);

#endif
