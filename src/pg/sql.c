/*
** sql.c -- see sql.h.
*/
#include "pg/sql.h"

#include <string.h>

typedef struct lexer {
  const char *p, *end;
} lexer;

enum token { TOK_END, TOK_WORD, TOK_SEMICOLON, TOK_OTHER };

static int is_word_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         (unsigned char)c >= 0x80;
}

static int is_word(char c) {
  return is_word_start(c) || (c >= '0' && c <= '9') || c == '$';
}

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* p is behind the opening quote. A doubled quote is a character of the text;
** so is a backslashed one where `escapes`. */
static void skip_quoted(lexer *x, char quote, int escapes) {
  while (x->p < x->end) {
    char c = *x->p++;
    if (escapes && c == '\\' && x->p < x->end)
      x->p++;
    else if (c == quote) {
      if (x->p == x->end || *x->p != quote) return;
      x->p++;
    }
  }
}

/* Comments nest. p is behind the opening. */
static void skip_comment(lexer *x) {
  int depth = 1;

  while (x->p < x->end && depth > 0) {
    if (x->end - x->p >= 2 && x->p[0] == '/' && x->p[1] == '*')
      depth++, x->p += 2;
    else if (x->end - x->p >= 2 && x->p[0] == '*' && x->p[1] == '/')
      depth--, x->p += 2;
    else
      x->p++;
  }
}

/* $tag$ ... $tag$. p is behind the first dollar; 0 if it opens no string. */
static int skip_dollar(lexer *x) {
  const char *tag = x->p - 1, *p = x->p;
  size_t n;

  if (p < x->end && *p != '$' && !is_word_start(*p)) return 0; /* $1 */
  while (p < x->end && *p != '$' && is_word(*p)) p++;
  if (p == x->end || *p != '$') return 0;
  n = (size_t)(++p - tag);
  for (; (size_t)(x->end - p) >= n; p++)
    if (memcmp(p, tag, n) == 0) {
      x->p = p + n;
      return 1;
    }
  x->p = x->end;
  return 1;
}

/* The next token; a word goes to `word` in lower case, cut to fit. */
static enum token next(lexer *x, char *word, size_t size) {
  while (x->p < x->end) {
    char c = *x->p++;
    size_t n = 0;

    switch (c) {
    case ' ': case '\t': case '\n': case '\r': case '\f': case '\v':
      continue;
    case '-':
      if (x->p < x->end && *x->p == '-') {
        while (x->p < x->end && *x->p != '\n' && *x->p != '\r') x->p++;
        continue;
      }
      return TOK_OTHER;
    case '/':
      if (x->p < x->end && *x->p == '*') {
        x->p++;
        skip_comment(x);
        continue;
      }
      return TOK_OTHER;
    case '\'':
    case '"':
      skip_quoted(x, c, 0);
      return TOK_OTHER;
    case '$':
      skip_dollar(x);
      return TOK_OTHER;
    case ';':
      return TOK_SEMICOLON;
    default:
      if (!is_word_start(c)) return TOK_OTHER;
      if ((c == 'e' || c == 'E') && x->p < x->end && *x->p == '\'') {
        x->p++;
        skip_quoted(x, '\'', 1);
        return TOK_OTHER;
      }
      for (;; c = *x->p++) {
        if (n + 1 < size) word[n++] = lower(c);
        if (x->p == x->end || !is_word(*x->p)) break;
      }
      word[n] = '\0';
      return TOK_WORD;
    }
  }
  return TOK_END;
}

/* ORDER VERBS: sorted by nothing, searched once per distinct statement. */
static const struct {
  const char *verb;
  unsigned flags;
} verbs[] = {
  {"select", SQL_PLANNED},      {"insert", SQL_PLANNED},
  {"update", SQL_PLANNED},      {"delete", SQL_PLANNED},
  {"with", SQL_PLANNED},        {"values", SQL_PLANNED},
  {"table", SQL_PLANNED},       {"merge", SQL_PLANNED},
  {"begin", SQL_TXN},           {"start", SQL_TXN},
  {"commit", SQL_TXN},          {"end", SQL_TXN},
  {"rollback", SQL_TXN},        {"abort", SQL_TXN},
  {"savepoint", SQL_SAVEPOINT}, {"release", SQL_SAVEPOINT},
  {"set", SQL_SESSION},         {"reset", SQL_SESSION},
  {"discard", SQL_SESSION},     {"listen", SQL_SESSION},
  {"unlisten", SQL_SESSION},    {"prepare", SQL_SESSION},
  {"execute", SQL_SESSION},     {"deallocate", SQL_SESSION},
  {"declare", SQL_SESSION},     {"fetch", SQL_SESSION},
  {"move", SQL_SESSION},        {"close", SQL_SESSION},
  {"load", SQL_SESSION},        {"create", SQL_DDL},
  {"alter", SQL_DDL},           {"drop", SQL_DDL},
};

static unsigned flags_of(const char *verb) {
  size_t i;

  for (i = 0; i < countof(verbs); i++)
    if (strcmp(verb, verbs[i].verb) == 0) return verbs[i].flags;
  return 0;
}

static int is(const char *a, const char *b) { return strcmp(a, b) == 0; }

/* Session locks live until the session ends; those with xact do not. */
static int is_session_lock(const char *word) {
  return is(word, "pg_advisory_lock") || is(word, "pg_advisory_lock_shared") ||
         is(word, "pg_try_advisory_lock") ||
         is(word, "pg_try_advisory_lock_shared");
}

/* What the second word says of the first. */
static unsigned refine(const char *verb, const char *second, unsigned flags) {
  if (is(verb, "rollback") && is(second, "prepared")) return SQL_TXN;
  if (is(verb, "prepare") && is(second, "transaction")) return SQL_TXN;
  if (is(verb, "set") &&
      (is(second, "local") || is(second, "transaction") ||
       is(second, "constraints")))
    return 0; /* gone with the transaction */
  if (is(verb, "create") && (is(second, "temp") || is(second, "temporary")))
    return SQL_SESSION;
  return flags;
}

void sql_scan(const char *sql, size_t len, sql_info *out) {
  lexer x = {sql, sql + len};
  char word[40] = "";
  unsigned nth = 0; /* words seen */
  int ended = 0;    /* a semicolon was seen */
  enum token t;

  memset(out, 0, sizeof *out);
  out->flags = SQL_EMPTY;
  while ((t = next(&x, word, sizeof word)) != TOK_END) {
    if (t == TOK_SEMICOLON) {
      if (!(out->flags & SQL_EMPTY)) ended = 1;
      continue;
    }
    if (ended) {
      /* A routine's body and a rule may hold semicolons. */
      if (!is(out->verb, "create")) out->flags |= SQL_SEVERAL;
      return;
    }
    out->flags &= ~SQL_EMPTY;
    if (t != TOK_WORD) continue;
    nth++;
    if (nth == 1) {
      size_t n = strlen(word);
      if (n >= sizeof out->verb) n = sizeof out->verb - 1;
      memcpy(out->verb, word, n);
      out->flags |= flags_of(word);
    } else if (nth == 2)
      out->flags = refine(out->verb, word, out->flags);
    if (nth > 1 && is(out->verb, "rollback") &&
        (is(word, "to") || is(word, "savepoint")))
      out->flags = SQL_SAVEPOINT;
    if (is(out->verb, "copy") && (is(word, "stdin") || is(word, "stdout")))
      out->flags |= SQL_COPY;
    if (is_session_lock(word)) out->flags |= SQL_SESSION;
  }
}

size_t sql_quote_ident(char *out, const char *name, size_t len) {
  size_t i, n = 0;

  out[n++] = '"';
  for (i = 0; i < len; i++) {
    if (name[i] == '"') out[n++] = '"';
    out[n++] = name[i];
  }
  out[n++] = '"';
  out[n] = '\0';
  return n;
}
