/*
** value_moment.c -- the Lua classes pg.date, pg.time, pg.timetz, pg.timestamp,
** pg.timestamptz and pg.interval. Values never change once made.
**
** Each pg.x is a callable table with the constants infinity and neg_infinity
** where the type has them. Every function here has its class as upvalue 1.
*/
#include <math.h>
#include <string.h>

#include <lauxlib.h>

#include "neap.h"
#include "pg/type.h"

#define CLASS ((int)lua_tointeger(L, lua_upvalueindex(1)))

static const struct {
  const char *name;
  size_t size;
} about[PG_CLASSES] = {[PG_DATE] = {"date", sizeof(int32_t)},
                       [PG_TIME] = {"time", sizeof(int64_t)},
                       [PG_TIMETZ] = {"timetz", sizeof(timetz)},
                       [PG_TIMESTAMP] = {"timestamp", sizeof(int64_t)},
                       [PG_TIMESTAMPTZ] = {"timestamptz", sizeof(int64_t)},
                       [PG_INTERVAL] = {"interval", sizeof(interval)}};

void moment_push(lua_State *L, int class, const moment *m) {
  memcpy(pg_class_new(L, class, about[class].size), m, about[class].size);
}

size_t pg_moment_text(lua_State *L, int idx, int class, char *out) {
  const moment *m = lua_touserdata(L, idx);

  switch (class) {
  case PG_DATE: return date_text(m->days, out);
  case PG_TIME: return time_text(m->us, out);
  case PG_TIMETZ: return timetz_text(&m->tz, out);
  case PG_INTERVAL: return interval_text(&m->span, out);
  default: return moment_text(m->us, class == PG_TIMESTAMPTZ, out);
  }
}

static const moment *check_moment(lua_State *L, int idx) {
  const moment *m = pg_class_test(L, idx, CLASS);

  if (m == NULL) luaL_typeerror(L, idx, about[CLASS].name);
  return m;
}

static int is_finite(const moment *m, int class) {
  switch (class) {
  case PG_DATE: return m->days != DATE_INFINITY && m->days != DATE_NEG_INFINITY;
  case PG_TIMESTAMP:
  case PG_TIMESTAMPTZ:
    return m->us != MOMENT_INFINITY && m->us != MOMENT_NEG_INFINITY;
  case PG_INTERVAL: return interval_finite(&m->span);
  default: return 1;
  }
}

/* From fields. */

enum { YEAR, MONTH, DAY, HOUR, MIN, SEC, USEC, OFFSET, FIELDS };
static const char *const field_names[FIELDS] = {
    "year", "month", "day", "hour", "min", "sec", "usec", "offset"};

/* Which of the fields a class has, as bits. */
static unsigned fields_of(int class) {
  unsigned date = 1u << YEAR | 1u << MONTH | 1u << DAY;
  unsigned clock = 1u << HOUR | 1u << MIN | 1u << SEC | 1u << USEC;

  switch (class) {
  case PG_DATE: return date;
  case PG_TIME: return clock;
  case PG_TIMETZ: return clock | 1u << OFFSET;
  case PG_TIMESTAMP: return date | clock;
  default: return date | clock | 1u << OFFSET;
  }
}

static const char *join(lua_State *L, int class, const lua_Integer v[FIELDS],
                        moment *m) {
  int64_t us = 0;
  int32_t days = 0;

  if (class != PG_TIME && class != PG_TIMETZ &&
      date_join(&days, v[YEAR], v[MONTH], v[DAY]) < 0)
    return lua_pushfstring(L, "no such date: year %I, month %I, day %I",
                           (LUAI_UACINT)v[YEAR], (LUAI_UACINT)v[MONTH],
                           (LUAI_UACINT)v[DAY]);
  if (class != PG_DATE &&
      time_join(&us, v[HOUR], v[MIN], v[SEC], v[USEC]) < 0)
    return lua_pushfstring(L, "no such time: hour %I, min %I, sec %I, usec %I",
                           (LUAI_UACINT)v[HOUR], (LUAI_UACINT)v[MIN],
                           (LUAI_UACINT)v[SEC], (LUAI_UACINT)v[USEC]);
  if (v[OFFSET] <= -16 * 3600 || v[OFFSET] >= 16 * 3600)
    return "the offset must be less than 16 hours, in seconds";
  switch (class) {
  case PG_DATE: m->days = days; break;
  case PG_TIME: m->us = us; break;
  case PG_TIMETZ:
    m->tz.us = us;
    m->tz.offset = (int32_t)v[OFFSET];
    break;
  default:
    if (moment_join(&m->us, days, us - v[OFFSET] * US_SECOND) < 0)
      return lua_pushfstring(L, "value out of %s range (got year %I)",
                             about[class].name, (LUAI_UACINT)v[YEAR]);
  }
  return NULL;
}

/* sec may have a fraction. */
static const char *take_field(lua_State *L, int i, lua_Integer v[FIELDS]) {
  int exact;

  if (lua_type(L, -1) == LUA_TNUMBER) {
    lua_Number sec = lua_tonumber(L, -1);
    v[i] = lua_tointegerx(L, -1, &exact);
    if (exact) return NULL;
    if (i == SEC && sec >= 0 && sec < 60 && v[USEC] == 0) {
      int64_t us = llround(sec * 1e6);
      v[SEC] = us / US_SECOND;
      v[USEC] = us % US_SECOND;
      return NULL;
    }
  }
  return lua_pushfstring(L, "field '%s': %s", field_names[i],
                         pg_expected(L, -1, "an integer"));
}

static const char *interval_from_fields(lua_State *L, int idx, interval *m) {
  static const char *const names[INTERVAL_PARTS] = {/* ORDER interval_join */
                                                    "years", "months", "weeks",
                                                    "days", "hours", "minutes",
                                                    "seconds", "us"};
  int64_t part[INTERVAL_PARTS] = {0}, fraction = 0;
  int i, exact;

  for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    for (i = 0; i < INTERVAL_PARTS; i++)
      if (strcmp(key, names[i]) == 0) break;
    if (i == INTERVAL_PARTS)
      return lua_pushfstring(L, "unknown field '%s'; an interval has years, "
                                "months, weeks, days, hours, minutes, seconds "
                                "and us", luaL_tolstring(L, -2, NULL));
    part[i] = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &exact)
                                             : (exact = 0);
    if (exact) continue;
    if (lua_type(L, -1) != LUA_TNUMBER || i != INTERVAL_PARTS - 2 ||
        !(fabs(lua_tonumber(L, -1)) < 9e12))
      return lua_pushfstring(L, "field '%s': %s", key,
                             pg_expected(L, -1, "an integer"));
    fraction = llround(lua_tonumber(L, -1) * 1e6);
  }
  if (__builtin_add_overflow(part[INTERVAL_PARTS - 1], fraction,
                             &part[INTERVAL_PARTS - 1]) ||
      interval_join(m, part) < 0)
    return "value out of interval range";
  return NULL;
}

const char *moment_from_fields(lua_State *L, int idx, int class, moment *m) {
  lua_Integer v[FIELDS] = {0};
  unsigned wanted = fields_of(class);
  const char *no;
  int i;

  if (class == PG_INTERVAL) return interval_from_fields(L, idx, &m->span);
  for (i = FIELDS; i-- > 0;) { /* usec before sec */
    if (lua_getfield(L, idx, field_names[i]) != LUA_TNIL) {
      if (!(wanted & 1u << i) && i < HOUR)
        return lua_pushfstring(L, "a %s has no field '%s'", about[class].name,
                               field_names[i]);
      if ((wanted & 1u << i) && (no = take_field(L, i, v)) != NULL) return no;
    } else if ((wanted & 1u << i) && i < HOUR) {
      return lua_pushfstring(L, "field '%s' is missing", field_names[i]);
    }
    lua_pop(L, 1);
  }
  return join(L, class, v, m);
}

/* pg.x(...): a value of the class, a text, a table of fields, or the fields as
** numbers in the order of field_names. */
static int l_moment_new(lua_State *L) {
  int class = CLASS, first = class == PG_TIME || class == PG_TIMETZ ? HOUR : 0;
  const char *no = NULL, *s;
  size_t len;
  moment m;

  lua_remove(L, 1); /* the class table, called */
  if (pg_class_test(L, 1, class) != NULL) return lua_settop(L, 1), 1;
  switch (lua_type(L, 1)) {
  case LUA_TSTRING:
    s = lua_tolstring(L, 1, &len);
    if (moment_from_text(class, s, len, &m) < 0)
      return luaL_error(L, len <= 60 ? "pg.%s: not %s %s: '%s'%s"
                                     : "pg.%s: not %s %s",
                        about[class].name,
                        class == PG_INTERVAL ? "an" : "a", about[class].name, s,
                        class == PG_TIMESTAMPTZ || class == PG_TIMETZ
                            ? " (it needs an offset, such as Z or +02:00)"
                            : "");
    break;
  case LUA_TTABLE: no = moment_from_fields(L, 1, class, &m); break;
  case LUA_TNUMBER:
    if (class != PG_INTERVAL) {
      lua_Integer v[FIELDS] = {0};
      int i, n = lua_gettop(L);
      if (first == YEAR && n < 3)
        return luaL_error(L, "pg.%s: expected year, month, day, ...",
                          about[class].name);
      for (i = n; i >= 1 && no == NULL; i--) {
        if (first + i > FIELDS || !(fields_of(class) & 1u << (first + i - 1)))
          return luaL_error(L, "pg.%s: too many numbers", about[class].name);
        lua_pushvalue(L, i);
        no = take_field(L, first + i - 1, v);
      }
      if (no == NULL) no = join(L, class, v, &m);
      break;
    }
    NEAP_FALLTHROUGH;
  default:
    return luaL_error(L, "pg.%s: %s", about[class].name,
                      pg_expected(L, 1, class == PG_INTERVAL
                                            ? "a string or a table (pg.seconds "
                                              "takes a number)"
                                            : "a string, a table or numbers"));
  }
  if (no != NULL) return luaL_error(L, "pg.%s: %s", about[class].name, no);
  moment_push(L, class, &m);
  return 1;
}

/* Events. */

static int compare_int(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int compare(const moment *a, const moment *b, int class) {
  int c;

  switch (class) {
  case PG_DATE: return compare_int(a->days, b->days);
  case PG_TIMETZ: /* as the server: by instant, then from east to west */
    c = compare_int(a->tz.us - a->tz.offset * US_SECOND,
                    b->tz.us - b->tz.offset * US_SECOND);
    return c != 0 ? c : compare_int(b->tz.offset, a->tz.offset);
  case PG_INTERVAL: return interval_compare(&a->span, &b->span);
  default: return compare_int(a->us, b->us);
  }
}

static int l_moment__eq(lua_State *L) {
  const moment *a = pg_class_test(L, 1, CLASS);
  const moment *b = pg_class_test(L, 2, CLASS);

  lua_pushboolean(L, a != NULL && b != NULL && compare(a, b, CLASS) == 0);
  return 1;
}

static int order(lua_State *L) {
  const moment *a = pg_class_test(L, 1, CLASS);
  const moment *b = pg_class_test(L, 2, CLASS);

  if (a == NULL || b == NULL)
    luaL_error(L, "cannot compare %s and %s", pg_describe(L, 1),
               pg_describe(L, 2));
  return compare(a, b, CLASS);
}

static int l_moment__lt(lua_State *L) {
  lua_pushboolean(L, order(L) < 0);
  return 1;
}

static int l_moment__le(lua_State *L) {
  lua_pushboolean(L, order(L) <= 0);
  return 1;
}

static int l_moment__tostring(lua_State *L) {
  char text[TIME_TEXT];

  check_moment(L, 1);
  lua_pushlstring(L, text, pg_moment_text(L, 1, CLASS, text));
  return 1;
}

/* The field named by key, or nil: also of an infinite value. */
static void push_field(lua_State *L, const moment *m, int class,
                       const char *key) {
  civil c;
  int v[FIELDS], i;

  lua_pushnil(L);
  if (!is_finite(m, class)) return;
  switch (class) {
  case PG_DATE: date_split(m->days, &c); break;
  case PG_TIME:
  case PG_TIMETZ: {
    int64_t us = class == PG_TIME ? m->us : m->tz.us;
    c.hour = (int)(us / (3600 * US_SECOND)); /* up to 24 */
    c.min = (int)(us / (60 * US_SECOND) % 60);
    c.sec = (int)(us / US_SECOND % 60);
    c.usec = (int)(us % US_SECOND);
    break;
  }
  case PG_INTERVAL:
    if (strcmp(key, "months") == 0) lua_pushinteger(L, m->span.months);
    else if (strcmp(key, "days") == 0) lua_pushinteger(L, m->span.days);
    else if (strcmp(key, "us") == 0) lua_pushinteger(L, m->span.us);
    return;
  default: moment_split(m->us, &c);
  }
  for (i = 0; i < FIELDS; i++)
    if ((fields_of(class) & 1u << i) && strcmp(key, field_names[i]) == 0) break;
  if (i == FIELDS) return;
  v[YEAR] = c.year, v[MONTH] = c.month, v[DAY] = c.day, v[HOUR] = c.hour;
  v[MIN] = c.min, v[SEC] = c.sec, v[USEC] = c.usec;
  v[OFFSET] = class == PG_TIMETZ ? m->tz.offset : 0;
  lua_pushinteger(L, v[i]);
}

/* Upvalue 2: the methods. */
static int l_moment__index(lua_State *L) {
  const moment *m = check_moment(L, 1);

  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) return 1;
  if (lua_type(L, 2) == LUA_TSTRING)
    push_field(L, m, CLASS, lua_tostring(L, 2));
  return 1;
}

/* Methods. */

static int l_moment_is_finite(lua_State *L) {
  lua_pushboolean(L, is_finite(check_moment(L, 1), CLASS));
  return 1;
}

/* Seconds since 1970, a float; infinite values give infinities. */
static int l_timestamptz_unix(lua_State *L) {
  const moment *m = check_moment(L, 1);

  if (!is_finite(m, PG_TIMESTAMPTZ))
    lua_pushnumber(L, m->us > 0 ? HUGE_VAL : -HUGE_VAL);
  else
    lua_pushnumber(L, (lua_Number)(m->us / US_SECOND + 946684800) +
                          (lua_Number)(m->us % US_SECOND) / 1e6);
  return 1;
}

/* Microseconds since 1970, an integer. */
static int l_timestamptz_unix_us(lua_State *L) {
  const moment *m = check_moment(L, 1);

  if (!is_finite(m, PG_TIMESTAMPTZ) || m->us > INT64_MAX - UNIX_EPOCH_US)
    return luaL_error(L, "the timestamptz has no integer of microseconds");
  lua_pushinteger(L, m->us + UNIX_EPOCH_US);
  return 1;
}

static int l_timestamp_utc(lua_State *L) {
  moment_push(L, PG_TIMESTAMPTZ, check_moment(L, 1));
  return 1;
}

static int l_interval_seconds(lua_State *L) {
  const interval *v = &check_moment(L, 1)->span;

  if (!interval_finite(v)) {
    lua_pushnumber(L, v->months > 0 ? HUGE_VAL : -HUGE_VAL);
    return 1;
  }
  if (v->months != 0)
    return luaL_error(L, "an interval with months has no length in seconds");
  lua_pushnumber(L, (lua_Number)v->days * 86400 + (lua_Number)v->us / 1e6);
  return 1;
}

/* Microseconds of a number of seconds at 1. */
static int64_t check_seconds(lua_State *L, int64_t most) {
  lua_Number v;

  if (lua_isinteger(L, 1)) {
    lua_Integer i = lua_tointeger(L, 1);
    luaL_argcheck(L, i >= -(most / US_SECOND) && i <= most / US_SECOND, 1,
                  "out of range");
    return i * US_SECOND;
  }
  v = luaL_checknumber(L, 1);
  luaL_argcheck(L, fabs(v) < (lua_Number)most / 1e6, 1, "out of range");
  return llround(v * 1e6);
}

static int l_unix(lua_State *L) {
  lua_Number v = luaL_checknumber(L, 1);
  moment m;

  if (isinf(v)) {
    m.us = v > 0 ? MOMENT_INFINITY : MOMENT_NEG_INFINITY;
  } else {
    int64_t us = check_seconds(L, INT64_MAX - 1);
    luaL_argcheck(L, us > INT64_MIN + UNIX_EPOCH_US, 1, "out of range");
    m.us = us - UNIX_EPOCH_US;
    luaL_argcheck(L, moment_valid(m.us), 1, "out of range");
  }
  moment_push(L, PG_TIMESTAMPTZ, &m);
  return 1;
}

static int l_unix_us(lua_State *L) {
  int64_t us = luaL_checkinteger(L, 1);
  moment m;

  luaL_argcheck(L, us > INT64_MIN + UNIX_EPOCH_US, 1, "out of range");
  m.us = us - UNIX_EPOCH_US;
  luaL_argcheck(L, moment_valid(m.us), 1, "out of range");
  moment_push(L, PG_TIMESTAMPTZ, &m);
  return 1;
}

static int l_seconds(lua_State *L) {
  moment m;

  memset(&m, 0, sizeof m);
  m.span.us = check_seconds(L, INT64_MAX - 1);
  moment_push(L, PG_INTERVAL, &m);
  return 1;
}

/* Opening. */

static void set_functions(lua_State *L, const luaL_Reg *list, int class) {
  lua_pushinteger(L, class);
  luaL_setfuncs(L, list, 1);
}

/* Pushes the class table. */
static void push_class_table(lua_State *L, int class) {
  moment up, down;

  memset(&up, 0, sizeof up);
  memset(&down, 0, sizeof down);
  lua_newtable(L);
  lua_newtable(L);
  lua_pushinteger(L, class);
  lua_pushcclosure(L, l_moment_new, 1);
  lua_setfield(L, -2, "__call");
  lua_setmetatable(L, -2);
  switch (class) {
  case PG_DATE: up.days = DATE_INFINITY, down.days = DATE_NEG_INFINITY; break;
  case PG_TIMESTAMP:
  case PG_TIMESTAMPTZ:
    up.us = MOMENT_INFINITY, down.us = MOMENT_NEG_INFINITY;
    break;
  case PG_INTERVAL: interval_infinities(&up.span, &down.span); break;
  default: return;
  }
  moment_push(L, class, &up);
  lua_setfield(L, -2, "infinity");
  moment_push(L, class, &down);
  lua_setfield(L, -2, "neg_infinity");
}

void time_values_open(lua_State *L) {
  static const luaL_Reg events[] = {{"__eq", l_moment__eq},
                                    {"__lt", l_moment__lt},
                                    {"__le", l_moment__le},
                                    {"__tostring", l_moment__tostring},
                                    {NULL, NULL}};
  static const luaL_Reg shared[] = {{"is_finite", l_moment_is_finite},
                                    {NULL, NULL}};
  static const luaL_Reg zoned[] = {{"unix", l_timestamptz_unix},
                                   {"unix_us", l_timestamptz_unix_us},
                                   {NULL, NULL}};
  static const luaL_Reg local[] = {{"utc", l_timestamp_utc}, {NULL, NULL}};
  static const luaL_Reg span[] = {{"seconds", l_interval_seconds},
                                  {NULL, NULL}};
  static const luaL_Reg makers[] = {{"unix", l_unix},
                                    {"unix_us", l_unix_us},
                                    {"seconds", l_seconds},
                                    {NULL, NULL}};
  int class;

  for (class = PG_DATE; class <= PG_INTERVAL; class++) {
    lua_pushfstring(L, "pg.%s", about[class].name);
    pg_class_define(L, class, lua_tostring(L, -1));
    set_functions(L, events, class);
    lua_pushinteger(L, class);
    lua_newtable(L);
    set_functions(L, shared, class);
    if (class == PG_TIMESTAMPTZ) set_functions(L, zoned, class);
    if (class == PG_TIMESTAMP) set_functions(L, local, class);
    if (class == PG_INTERVAL) set_functions(L, span, class);
    lua_pushcclosure(L, l_moment__index, 2);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 2);
    push_class_table(L, class);
    lua_setfield(L, -2, about[class].name);
  }
  luaL_setfuncs(L, makers, 0);
}
