/*
** dsn.c -- see dsn.h.
*/
#include "pg/dsn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

static char *copy(const char *s, size_t n) {
  char *p = base_alloc(n + 1);

  if (p != NULL) memcpy(p, s, n);
  return p;
}

/* The memory may hold a password. */
static void wipe(char *s) {
  volatile char *p = s;

  if (s == NULL) return;
  while (*p != '\0') *p++ = '\0';
  base_free(s);
}

static void free_targets(dsn *d) {
  int i;

  for (i = 0; i < d->ntargets; i++) {
    base_free(d->targets[i].host);
    base_free(d->targets[i].addr);
    base_free(d->targets[i].port);
  }
  base_free(d->targets);
  d->targets = NULL;
  d->ntargets = 0;
}

void dsn_fini(dsn *d) {
  int i;

  for (i = 0; i < d->n; i++) {
    base_free(d->keys[i]);
    wipe(d->values[i]);
  }
  base_free(d->keys);
  base_free(d->values);
  base_free(d->host);
  base_free(d->addr);
  base_free(d->port);
  free_targets(d);
  memset(d, 0, sizeof *d);
}

static char **slot_of(dsn *d, const char *key) {
  if (strcmp(key, "host") == 0) return &d->host;
  if (strcmp(key, "hostaddr") == 0) return &d->addr;
  if (strcmp(key, "port") == 0) return &d->port;
  return NULL;
}

static int find(const dsn *d, const char *key) {
  int i;

  for (i = 0; i < d->n; i++)
    if (strcmp(d->keys[i], key) == 0) return i;
  return -1;
}

const char *dsn_get(const dsn *d, const char *key) {
  int i = find(d, key);
  return i < 0 ? NULL : d->values[i];
}

static int grow(dsn *d) {
  int cap = d->cap ? d->cap * 2 : 16;
  char **keys, **values;

  if ((keys = base_realloc(d->keys, (size_t)cap * sizeof *keys)) == NULL)
    return -ENOMEM;
  d->keys = keys;
  if ((values = base_realloc(d->values, (size_t)cap * sizeof *values)) == NULL)
    return -ENOMEM;
  d->values = values;
  d->cap = cap;
  return 0;
}

static int put(dsn *d, const char *key, const char *value) {
  char **slot = slot_of(d, key), *v = copy(value, strlen(value)), *k;
  int i;

  if (v == NULL) return -ENOMEM;
  if (slot != NULL) {
    base_free(*slot);
    *slot = v;
    return 0;
  }
  if ((i = find(d, key)) >= 0) {
    wipe(d->values[i]);
    d->values[i] = v;
    return 0;
  }
  if ((d->n == d->cap && grow(d) < 0) ||
      (k = copy(key, strlen(key))) == NULL) {
    wipe(v);
    return -ENOMEM;
  }
  d->keys[d->n] = k;
  d->values[d->n++] = v;
  return 0;
}

/* libpq's message quotes what it could not read, which may be a password:
** only its kind is told, and an option's name where it cannot be one. */
static void explain(const char *said, char *why, size_t size) {
  static const struct {
    const char *said, *why;
  } known[] = {
    {"missing \"=\"", "it is neither a URI (postgresql://...) nor a list of "
                      "key=value"},
    {"unterminated quoted", "a quoted value is not closed"},
    {"invalid percent-encoded", "a %xx sequence is malformed"},
    {"forbidden value %00", "%00 is not allowed"},
    {"unexpected character", "the part after the host is malformed"},
    {"when looking for matching \"]\"", "an IPv6 address lacks its ]"},
    {"IPv6 host address may not be empty", "an IPv6 address is empty"},
    {"URI query parameter", "a parameter after the ? is unknown or malformed"},
    {"invalid connection option", "it has an unknown option"},
  };
  size_t i;

  for (i = 0; i < countof(known); i++)
    if (said != NULL && strstr(said, known[i].said) != NULL) {
      snprintf(why, size, "%s", known[i].why);
      return;
    }
  snprintf(why, size, "it cannot be read");
}

int dsn_parse(dsn *d, const char *text, char *why, size_t size) {
  char *said = NULL;
  PQconninfoOption *all = PQconninfoParse(text, &said), *o;
  int rc = 0;

  if (all == NULL) {
    explain(said, why, size);
    if (said != NULL) {
      volatile char *p = said;
      while (*p != '\0') *p++ = '\0';
      PQfreemem(said);
    }
    return -EINVAL;
  }
  for (o = all; rc == 0 && o->keyword != NULL; o++)
    if (o->val != NULL) rc = put(d, o->keyword, o->val);
  PQconninfoFree(all);
  return rc;
}

int dsn_set(dsn *d, const char *key, const char *value, char *why,
            size_t size) {
  int known = 0;
  PQconninfoOption *all = PQconndefaults(), *o;

  if (all == NULL) return -ENOMEM;
  for (o = all; o->keyword != NULL; o++) known |= !strcmp(o->keyword, key);
  PQconninfoFree(all);
  if (!known) {
    snprintf(why, size, "unknown connection option '%s'", key);
    return -EINVAL;
  }
  return put(d, key, value);
}

/* Item i of a list with commas; NULL behind the end. An empty item is NULL
** with *n == 0 and *there set. */
static const char *item(const char *list, int i, size_t *n, int *there) {
  const char *p = list, *comma;

  *there = 0;
  *n = 0;
  if (p == NULL) return NULL;
  for (; i > 0; i--) {
    if ((comma = strchr(p, ',')) == NULL) return NULL;
    p = comma + 1;
  }
  *there = 1;
  comma = strchr(p, ',');
  *n = comma ? (size_t)(comma - p) : strlen(p);
  return *n ? p : NULL;
}

static int items(const char *list) {
  int n = 1;

  if (list == NULL || *list == '\0') return 0;
  for (; *list != '\0'; list++) n += *list == ',';
  return n;
}

static int is_literal(const char *host) {
  unsigned char to[sizeof(struct in6_addr)];
  char plain[INET6_ADDRSTRLEN + 1];
  const char *zone = strchr(host, '%'); /* fe80::1%eth0 */
  size_t n = zone ? (size_t)(zone - host) : strlen(host);

  if (n >= sizeof plain) return 0;
  memcpy(plain, host, n);
  plain[n] = '\0';
  return inet_pton(AF_INET, plain, to) == 1 ||
         inet_pton(AF_INET6, plain, to) == 1;
}

static int take(const char *list, int i, char **out) {
  size_t n;
  int there;
  const char *p = item(list, i, &n, &there);

  if (p == NULL) return 0;
  return (*out = copy(p, n)) == NULL ? -ENOMEM : 0;
}

/* An empty one is the default. */
static int is_port(const char *s, size_t n) {
  long v = 0;
  size_t i;

  for (i = 0; i < n; i++) {
    if (s[i] < '0' || s[i] > '9' || v > 65535) return 0;
    v = v * 10 + (s[i] - '0');
  }
  return n == 0 || (v >= 1 && v <= 65535);
}

static int check_ports(const dsn *d, int ports, char *why, size_t size) {
  int i, there;

  for (i = 0; i < ports; i++) {
    size_t n;
    const char *p = item(d->port, i, &n, &there);
    if (p == NULL || is_port(p, n)) continue;
    snprintf(why, size, "port %d of %d is not a number from 1 to 65535", i + 1,
             ports);
    if (ports == 1)
      snprintf(why, size, "the port is not a number from 1 to 65535");
    return -EINVAL;
  }
  return 0;
}

static int add_target(dsn *d, int i, int ports) {
  dsn_target *t = &d->targets[d->ntargets++];

  if (take(d->host, i, &t->host) < 0 || take(d->addr, i, &t->addr) < 0 ||
      take(d->port, ports == 1 ? 0 : i, &t->port) < 0)
    return -ENOMEM;
  if (t->addr != NULL || t->host == NULL) return 0;
  if (t->host[0] == '/' || t->host[0] == '@') return 0; /* a unix socket */
  if (!is_literal(t->host)) {
    t->resolve = 1;
    return 0;
  }
  t->addr = copy(t->host, strlen(t->host));
  return t->addr == NULL ? -ENOMEM : 0;
}

int dsn_finish(dsn *d, char *why, size_t size) {
  PQconninfoOption *all = PQconndefaults(), *o;
  int rc = 0, hosts, addrs, ports, n, i;
  const char *attrs;

  if (all == NULL) return -ENOMEM;
  for (o = all; rc == 0 && o->keyword != NULL; o++) {
    char **slot = slot_of(d, o->keyword);
    if (o->val == NULL) continue;
    /* A service file may name them too: leave those to libpq then. */
    if (slot != NULL && *slot == NULL && dsn_get(d, "service") == NULL)
      rc = put(d, o->keyword, o->val);
    if (strcmp(o->keyword, "user") == 0 && dsn_get(d, "user") == NULL &&
        dsn_get(d, "service") == NULL)
      rc = put(d, "user", o->val);
  }
  PQconninfoFree(all);
  if (rc < 0) return rc;
  hosts = items(d->host);
  addrs = items(d->addr);
  ports = items(d->port);
  n = addrs ? addrs : hosts ? hosts : 1;
  if (hosts && addrs && hosts != addrs) {
    snprintf(why, size, "%d hosts but %d host addresses", hosts, addrs);
    return -EINVAL;
  }
  if (ports > 1 && ports != n) {
    snprintf(why, size, "%d ports for %d hosts", ports, n);
    return -EINVAL;
  }
  if ((rc = check_ports(d, ports, why, size)) < 0) return rc;
  free_targets(d);
  d->targets = base_alloc((size_t)n * sizeof *d->targets);
  if (d->targets == NULL) return -ENOMEM;
  for (i = 0; i < n; i++)
    if (add_target(d, i, ports) < 0) return -ENOMEM;
  attrs = dsn_get(d, "target_session_attrs");
  d->standby_first = attrs != NULL && strcmp(attrs, "prefer-standby") == 0;
  return 0;
}
