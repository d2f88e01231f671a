/*
** cancel.c -- how cancellation travels: down the tree of scopes, past no
** shield, once, when it happens. No Lua here: the loop may call all of it.
** Level-triggered: `cause` stays set, and a checkpoint looks at one pointer.
*/
#include "core/park.h"
#include "core/scope.h"
#include "core/see.h"

/* Does cancellation of s reach t, or is there a shield between? Marks the
** scopes of t that it reaches and puts them on the work list. */
static int mark_chain(task *t, scope *s, scope *cause, scope **work) {
  scope *from = t->current, *x;

  for (x = t->current; x != s; x = x->parent)
    if (x->kind == SCOPE_SHIELD) from = x->parent;
  for (x = from; x != s; x = x->parent) {
    if (unlikely(scope_is_serving(x))) {
      x->prop = cause;
      continue;
    }
    x->cause = cause;
    x->prop = *work;
    *work = x;
  }
  return from == t->current;
}

void scope_propagate(scope *s, scope *cause) {
  scope *work = NULL;

  if (scope_is_serving(s)) {
    s->prop = cause;
  } else {
    s->cause = cause;
    s->prop = NULL;
    work = s;
  }
  if (s->body != NULL && mark_chain(s->body, s, cause, &work))
    park_interrupt(s->body);
  while (work != NULL) {
    scope *x = work;
    work = x->prop;
    x->prop = NULL;
    LIST_EACH_SAFE(n, &x->children) {
      task *c = container_of(n, task, sibling);
      if (mark_chain(c, x, cause, &work)) park_interrupt(c);
    }
  }
}

int scope_cancel(scope *s, int source) {
  if (s->cancelled || s->closed) return 0;
  s->cancelled = 1;
  s->source = (unsigned char)source;
  if (unlikely(s->r->seeing != 0)) see_cancelled(s);
  if (s->cause == NULL && !(scope_is_serving(s) && s->prop != NULL)) scope_propagate(s, s);
  return 1;
}

void scope_on_deadline(neap_timer *t) {
  scope *s = container_of(t, scope, timer);

  if (s->closed || s->expired) return;
  s->expired = 1;
  if (s->body != NULL && s->body->at != NULL)
    s->blocked_in = s->body->at->op->name;
  scope_cancel(s, SRC_DEADLINE);
}

int scope_set_deadline(scope *s, int64_t when) {
  neap_loop *l = &s->r->loop;

  s->deadline = when;
  if (when == INT64_MAX) {
    timer_stop(l, &s->timer);
    return 0;
  }
  if (when <= loop_now(l)) {
    timer_stop(l, &s->timer);
    scope_on_deadline(&s->timer);
    return 0;
  }
  return timer_start(l, &s->timer, when);
}

int64_t scope_deadline(const scope *s) {
  int64_t d = INT64_MAX;

  for (; s != NULL; s = s->parent) {
    if (s->deadline < d) d = s->deadline;
    if (s->kind == SCOPE_SHIELD) break;
  }
  return d;
}
