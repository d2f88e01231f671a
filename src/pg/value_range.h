/*
** value_range.h -- the userdata of pg.range, between type_range.c and
** value_range.c. User values 1 and 2 are the bounds.
*/
#ifndef pg_value_range_h
#define pg_value_range_h

#include <lua.h>

/* The flags are those of the wire. */
#define RANGE_EMPTY 1
#define RANGE_LOWER_INC 2
#define RANGE_UPPER_INC 4
#define RANGE_LOWER_INF 8
#define RANGE_UPPER_INF 16
#define RANGE_FLAGS 31

#define RANGE_LOWER 1
#define RANGE_UPPER 2

typedef struct range {
  unsigned char flags;
} range;

/* A new one, without bounds, pushed. */
range *range_push(lua_State *L);

/* A bound that is missing does not belong to it. */
static inline unsigned char range_normal(int flags) {
  if (flags & RANGE_LOWER_INF) flags &= ~RANGE_LOWER_INC;
  if (flags & RANGE_UPPER_INF) flags &= ~RANGE_UPPER_INC;
  return (unsigned char)flags;
}

static inline int range_has_lower(int flags) {
  return !(flags & (RANGE_EMPTY | RANGE_LOWER_INF));
}

static inline int range_has_upper(int flags) {
  return !(flags & (RANGE_EMPTY | RANGE_UPPER_INF));
}

/* Can a bound's text stand without quotes? */
int range_is_plain(const char *s, size_t len);

#endif
