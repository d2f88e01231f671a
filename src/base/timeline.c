/*
** timeline.c -- see timeline.h.
*/
#include "base/timeline.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define FULL 65536     /* bytes after which the buffer is written */
#define EVENT_MAX 4096 /* no event is longer */
#define TEXT_MAX 200   /* bytes of a name that are shown */

static const char ending[] = "\n]\n";
#define ENDING (sizeof ending - 1)

/* All or an errno. */
static int write_at(int fd, const char *p, size_t n, int64_t at) {
  while (n > 0) {
    ssize_t did = pwrite(fd, p, n, (off_t)at);
    if (did < 0 && errno == EINTR) continue;
    if (did < 0) return errno;
    if (did == 0) return ENOSPC;
    p += did;
    n -= (size_t)did;
    at += did;
  }
  return 0;
}

void timeline_flush(timeline *t) {
  size_t len = t->out.len;

  if (t->error == 0 && t->out.failed) t->error = ENOMEM;
  if (t->error != 0 || len == 0) return;
  buf_append(&t->out, ending, ENDING);
  if ((t->error = write_at(t->fd, t->out.data, len + ENDING, t->offset)) != 0) {
    if (ftruncate(t->fd, (off_t)t->offset) == 0) /* T2 */
      write_at(t->fd, ending, ENDING, t->offset);
  }
  t->offset += (int64_t)len;
  buf_reset(&t->out);
}

int timeline_open(timeline *t, const char *path) {
  int rc;

  memset(t, 0, sizeof *t);
  /* It does not grow after this: an append in between cannot fail. */
  if (buf_grow(&t->out, FULL + EVENT_MAX) == NULL) return ENOMEM;
  t->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
  rc = t->fd < 0 ? errno : 0;
  if (rc == 0 && lseek(t->fd, 0, SEEK_SET) < 0) rc = errno;
  if (rc == 0 && ftruncate(t->fd, 0) < 0 && errno != EINVAL) rc = errno;
  if (rc == 0) {
    buf_byte(&t->out, '[');
    timeline_flush(t);
    rc = t->error;
  }
  if (rc == 0) return 0;
  if (t->fd >= 0) close(t->fd);
  buf_fini(&t->out);
  return rc;
}

int timeline_close(timeline *t) {
  timeline_flush(t);
  if (close(t->fd) < 0 && t->error == 0) t->error = errno;
  buf_fini(&t->out);
  return t->error;
}

/* --- the parts of an event --- */

static void put_number(timeline *t, uint64_t n) {
  char digits[20], *p = digits + sizeof digits;

  do *--p = (char)('0' + n % 10);
  while ((n /= 10) != 0);
  buf_append(&t->out, p, (size_t)(digits + sizeof digits - p));
}

/* Microseconds, to the nanosecond. */
static void put_time(timeline *t, int64_t ns) {
  uint64_t u = ns > 0 ? (uint64_t)ns : 0;
  char part[4] = {'.', (char)('0' + u / 100 % 10), (char)('0' + u / 10 % 10),
                  (char)('0' + u % 10)};

  put_number(t, u / 1000);
  buf_append(&t->out, part, sizeof part);
}

/* Length of the UTF-8 sequence at p, 0 if there is none. */
static size_t sequence(const unsigned char *p, size_t left) {
  size_t n = *p < 0x80 ? 1 : *p < 0xC2 ? 0 : *p < 0xE0 ? 2 : *p < 0xF0 ? 3
             : *p < 0xF5 ? 4 : 0, i;

  if (n > left) return 0;
  for (i = 1; i < n; i++)
    if ((p[i] & 0xC0) != 0x80) return 0;
  if (n == 3 && ((*p == 0xE0 && p[1] < 0xA0) || (*p == 0xED && p[1] > 0x9F)))
    return 0; /* overlong, or a surrogate */
  if (n == 4 && ((*p == 0xF0 && p[1] < 0x90) || (*p == 0xF4 && p[1] > 0x8F)))
    return 0;
  return n;
}

static void put_escape(timeline *t, unsigned char c) {
  static const char hex[] = "0123456789abcdef";
  char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
  buf_append(&t->out, text, sizeof text);
}

static void put_string(timeline *t, const char *s) {
  const unsigned char *p = (const unsigned char *)s;
  size_t left = strlen(s), shown = 0;

  buf_byte(&t->out, '"');
  while (left > 0 && shown < TEXT_MAX) {
    size_t n = sequence(p, left);
    if (n == 0 || *p < 0x20 || *p == '"' || *p == '\\' || *p == 0x7F) {
      put_escape(t, *p);
      n = 1;
    } else
      buf_append(&t->out, p, n);
    p += n;
    left -= n;
    shown += n;
  }
  if (left > 0) buf_string(&t->out, "...");
  buf_byte(&t->out, '"');
}

static void put_key(timeline *t, const char *key) {
  if (t->out.len > 0 && t->out.data[t->out.len - 1] != '{')
    buf_byte(&t->out, ',');
  buf_byte(&t->out, '"');
  buf_string(&t->out, key);
  buf_append(&t->out, "\":", 2);
}

void timeline_number(timeline *t, const char *key, uint64_t n) {
  put_key(t, key);
  put_number(t, n);
}

void timeline_text(timeline *t, const char *key, const char *text) {
  put_key(t, key);
  put_string(t, text);
}

void timeline_address(timeline *t, const char *key, const void *p) {
  put_key(t, key);
  buf_printf(&t->out, "\"%p\"", p);
}

void timeline_duration(timeline *t, int64_t ns) {
  put_key(t, "dur");
  put_time(t, ns);
}

void timeline_args(timeline *t) {
  put_key(t, "args");
  buf_byte(&t->out, '{');
  t->in_args = 1;
}

void timeline_begin(timeline *t, char phase, const char *name, unsigned pid,
                    unsigned tid, int64_t ns) {
  if (t->error != 0) buf_reset(&t->out);
  if (t->events++ > 0) buf_byte(&t->out, ',');
  buf_append(&t->out, "\n{\"ph\":\"", 8);
  buf_byte(&t->out, phase);
  buf_append(&t->out, "\",\"pid\":", 8);
  put_number(t, pid);
  buf_append(&t->out, ",\"tid\":", 7);
  put_number(t, tid);
  buf_append(&t->out, ",\"ts\":", 6);
  put_time(t, ns);
  buf_append(&t->out, ",\"name\":", 8);
  put_string(t, name);
  t->in_args = 0;
  if (phase == 'i') timeline_text(t, "s", "t"); /* of its track only */
  if (phase == 'f') timeline_text(t, "bp", "e");
}

void timeline_end(timeline *t) {
  buf_append(&t->out, "}}", t->in_args ? 2 : 1);
  if (t->out.len >= FULL) timeline_flush(t);
}
