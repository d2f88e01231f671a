/*
** type_table.c -- the types that every server has, by oid. A new one is a line
** here and a codec in a type_*.c. Types of users: type_map.c.
*/
#include <string.h>

#include "pg/type.h"

/* clang-format off */
#define FULL(oid, element, name, codec, to_text, flat, delim)                 \
  {oid, element, name, codec##_from_binary, codec##_from_text,                \
   codec##_to_binary, to_text, flat, delim, NULL, NULL}
#define TEXT_ONLY(oid, element, name, from_text, to_text)                     \
  {oid, element, name, NULL, from_text, NULL, to_text, 0, 0, NULL, NULL}

#define TYPE(oid, name, codec) FULL(oid, 0, name, codec, NULL, 0, 0)
#define BOTH(oid, name, codec) FULL(oid, 0, name, codec, codec##_to_text, 0, 0)
#define JSON(oid, name, codec)                                                \
  FULL(oid, 0, name, codec, json_to_text, PG_ALL_FLAT, 0)
#define TABLE(oid, name, codec)                                               \
  FULL(oid, 0, name, codec, codec##_to_text, PG_FLAT,                         \
       (oid) == BOX ? ';' : 0)
#define RANGE(oid, name, part)                                                \
  FULL(oid, part, name, range, range_to_text, 0, 0)
#define MULTIRANGE(oid, name, range)                                          \
  FULL(oid, range, name, multirange, multirange_to_text, PG_FLAT, 0)
#define ARRAY(oid, name, element)                                             \
  FULL(oid, element, name "[]", array, array_to_text, 0, 0)
#define VECTOR(oid, name, element)                                            \
  FULL(oid, element, name, vector, vector_to_text, PG_FLAT, 0)
#define READ(oid, name, codec) /* never a parameter */                        \
  {oid, 0, name, codec##_from_binary, codec##_from_text, NULL, NULL, 0, 0,    \
   NULL, NULL}
#define RECORD(oid, name, codec) /* what a parameter is only the server knows */ \
  {oid, 0, name, codec##_from_binary, codec##_from_text, NULL, NULL, PG_FLAT, \
   0, NULL, NULL}
#define WORDS(oid, name) /* what only its text form tells anybody */          \
  TEXT_ONLY(oid, 0, name, text_from_text, NULL)
#define WORDS_ARRAY(oid, name, element)                                       \
  TEXT_ONLY(oid, element, name "[]", array_from_text, array_to_text)

#define BOX 603 /* the one built-in type with another delimiter */

static const pg_type types[] = { /* sorted by oid */
  TYPE(16, "bool", bool),
  BOTH(17, "bytea", bytea),
  TYPE(18, "char", char),
  TYPE(19, "name", text),
  TYPE(20, "int8", int8),
  TYPE(21, "int2", int2),
  VECTOR(22, "int2vector", 21),
  TYPE(23, "int4", int4),
  WORDS(24, "regproc"),
  TYPE(25, "text", text),
  TYPE(26, "oid", uint4),
  WORDS(27, "tid"),
  TYPE(28, "xid", uint4),
  TYPE(29, "cid", uint4),
  VECTOR(30, "oidvector", 26),
  JSON(114, "json", json),
  TYPE(142, "xml", text),
  ARRAY(143, "xml", 142),
  WORDS(194, "pg_node_tree"),
  ARRAY(199, "json", 114),
  ARRAY(271, "xid8", 5069),
  TABLE(600, "point", point),
  TABLE(601, "lseg", lseg),
  TABLE(602, "path", path),
  TABLE(603, "box", box),
  TABLE(604, "polygon", polygon),
  TABLE(628, "line", line),
  ARRAY(629, "line", 628),
  TYPE(650, "cidr", cidr),
  ARRAY(651, "cidr", 650),
  TYPE(700, "float4", float4),
  TYPE(701, "float8", float8),
  TYPE(705, "unknown", text),
  TABLE(718, "circle", circle),
  ARRAY(719, "circle", 718),
  TYPE(774, "macaddr8", macaddr8),
  ARRAY(775, "macaddr8", 774),
  WORDS(790, "money"),
  WORDS_ARRAY(791, "money", 790),
  TYPE(829, "macaddr", macaddr),
  TYPE(869, "inet", inet),
  ARRAY(1000, "bool", 16),
  ARRAY(1001, "bytea", 17),
  ARRAY(1002, "char", 18),
  ARRAY(1003, "name", 19),
  ARRAY(1005, "int2", 21),
  ARRAY(1006, "int2vector", 22),
  ARRAY(1007, "int4", 23),
  WORDS_ARRAY(1008, "regproc", 24),
  ARRAY(1009, "text", 25),
  WORDS_ARRAY(1010, "tid", 27),
  ARRAY(1011, "xid", 28),
  ARRAY(1012, "cid", 29),
  ARRAY(1013, "oidvector", 30),
  ARRAY(1014, "bpchar", 1042),
  ARRAY(1015, "varchar", 1043),
  ARRAY(1016, "int8", 20),
  ARRAY(1017, "point", 600),
  ARRAY(1018, "lseg", 601),
  ARRAY(1019, "path", 602),
  ARRAY(1020, "box", 603),
  ARRAY(1021, "float4", 700),
  ARRAY(1022, "float8", 701),
  ARRAY(1027, "polygon", 604),
  ARRAY(1028, "oid", 26),
  WORDS(1033, "aclitem"),
  WORDS_ARRAY(1034, "aclitem", 1033),
  ARRAY(1040, "macaddr", 829),
  ARRAY(1041, "inet", 869),
  TYPE(1042, "bpchar", text),
  TYPE(1043, "varchar", text),
  TYPE(1082, "date", date),
  TYPE(1083, "time", time),
  TYPE(1114, "timestamp", timestamp),
  ARRAY(1115, "timestamp", 1114),
  ARRAY(1182, "date", 1082),
  ARRAY(1183, "time", 1083),
  TYPE(1184, "timestamptz", timestamptz),
  ARRAY(1185, "timestamptz", 1184),
  TYPE(1186, "interval", interval),
  ARRAY(1187, "interval", 1186),
  ARRAY(1231, "numeric", 1700),
  ARRAY(1263, "cstring", 2275),
  TYPE(1266, "timetz", timetz),
  ARRAY(1270, "timetz", 1266),
  TYPE(1560, "bit", bits),
  ARRAY(1561, "bit", 1560),
  TYPE(1562, "varbit", bits),
  ARRAY(1563, "varbit", 1562),
  TYPE(1700, "numeric", numeric),
  TYPE(1790, "refcursor", text),
  ARRAY(2201, "refcursor", 1790),
  WORDS(2202, "regprocedure"),
  WORDS(2203, "regoper"),
  WORDS(2204, "regoperator"),
  WORDS(2205, "regclass"),
  WORDS(2206, "regtype"),
  WORDS_ARRAY(2207, "regprocedure", 2202),
  WORDS_ARRAY(2208, "regoper", 2203),
  WORDS_ARRAY(2209, "regoperator", 2204),
  WORDS_ARRAY(2210, "regclass", 2205),
  WORDS_ARRAY(2211, "regtype", 2206),
  RECORD(2249, "record", record),
  TYPE(2275, "cstring", text),
  READ(2278, "void", void),
  ARRAY(2287, "record", 2249),
  WORDS_ARRAY(2949, "txid_snapshot", 2970),
  TYPE(2950, "uuid", uuid),
  ARRAY(2951, "uuid", 2950),
  WORDS(2970, "txid_snapshot"),
  TYPE(3220, "pg_lsn", lsn),
  ARRAY(3221, "pg_lsn", 3220),
  WORDS(3361, "pg_ndistinct"),
  WORDS(3402, "pg_dependencies"),
  WORDS(3614, "tsvector"),
  WORDS(3615, "tsquery"),
  WORDS(3642, "gtsvector"),
  WORDS_ARRAY(3643, "tsvector", 3614),
  WORDS_ARRAY(3644, "gtsvector", 3642),
  WORDS_ARRAY(3645, "tsquery", 3615),
  WORDS(3734, "regconfig"),
  WORDS_ARRAY(3735, "regconfig", 3734),
  WORDS(3769, "regdictionary"),
  WORDS_ARRAY(3770, "regdictionary", 3769),
  JSON(3802, "jsonb", jsonb),
  ARRAY(3807, "jsonb", 3802),
  RANGE(3904, "int4range", 23),
  ARRAY(3905, "int4range", 3904),
  RANGE(3906, "numrange", 1700),
  ARRAY(3907, "numrange", 3906),
  RANGE(3908, "tsrange", 1114),
  ARRAY(3909, "tsrange", 3908),
  RANGE(3910, "tstzrange", 1184),
  ARRAY(3911, "tstzrange", 3910),
  RANGE(3912, "daterange", 1082),
  ARRAY(3913, "daterange", 3912),
  RANGE(3926, "int8range", 20),
  ARRAY(3927, "int8range", 3926),
  TYPE(4072, "jsonpath", jsonpath),
  ARRAY(4073, "jsonpath", 4072),
  WORDS(4089, "regnamespace"),
  WORDS_ARRAY(4090, "regnamespace", 4089),
  WORDS(4096, "regrole"),
  WORDS_ARRAY(4097, "regrole", 4096),
  WORDS(4191, "regcollation"),
  WORDS_ARRAY(4192, "regcollation", 4191),
  MULTIRANGE(4451, "int4multirange", 3904),
  MULTIRANGE(4532, "nummultirange", 3906),
  MULTIRANGE(4533, "tsmultirange", 3908),
  MULTIRANGE(4534, "tstzmultirange", 3910),
  MULTIRANGE(4535, "datemultirange", 3912),
  MULTIRANGE(4536, "int8multirange", 3926),
  WORDS(4600, "pg_brin_bloom_summary"),
  WORDS(4601, "pg_brin_minmax_multi_summary"),
  WORDS(5017, "pg_mcv_list"),
  WORDS(5038, "pg_snapshot"),
  WORDS_ARRAY(5039, "pg_snapshot", 5038),
  TYPE(5069, "xid8", uint8),
  ARRAY(6150, "int4multirange", 4451),
  ARRAY(6151, "nummultirange", 4532),
  ARRAY(6152, "tsmultirange", 4533),
  ARRAY(6153, "tstzmultirange", 4534),
  ARRAY(6155, "datemultirange", 4535),
  ARRAY(6157, "int8multirange", 4536),
};
/* clang-format on */

const pg_type *pg_type_of(pg_oid oid) {
  size_t low = 0, high = countof(types);

  while (low < high) {
    size_t mid = (low + high) / 2;
    if (types[mid].oid < oid) low = mid + 1;
    else high = mid;
  }
  return low < countof(types) && types[low].oid == oid ? &types[low] : NULL;
}

const pg_type *pg_type_named(const char *name) {
  size_t i;

  for (i = 0; i < countof(types); i++)
    if (strcmp(types[i].name, name) == 0) return &types[i];
  return NULL;
}
