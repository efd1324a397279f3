/*
 * Full refreshes, live writes, reconciles and the change feed of one namespace.
 *
 * Apply is a function of the log, so one copy of the state stands for all. Sequence
 * numbers and timestamps are ranks, numbered anew after each step: so histories have no
 * bound, and the search still ends.
 *
 * Mutations, each of which spin must refuse:
 *   FLOOR_ONLY      tombstones end with their generation (the floor does what they did)
 *   FEED_LIVE_ONLY  the feed looks for an id's row in the live generation alone
 *   INDEX_LIVE_ONLY the collection of stale entries of the change index does
 *   GONE_LIVE_ONLY  a reconcile does, to find out whether an id is gone
 *   NOT_ASKED       a reconcile takes every id for gone
 *   SAME_SEQ        the tombstone of what a refresh removed keeps the record's seq
 *   KEPT_FROM_OLD   a refresh's record keeps the seq of an equal one that was gone
 *   DROP_PENDING    a flip drops the generations that are still pending
 *   LAST_ENDS       a command that says it is the last one ends a reconcile
 *   CAUGHT_UP_EARLY caught_up doesn't wait for reconciles
 *   COLLECT_PENDING the collection of tombstones doesn't wait for reconciles
 *   NEVER_COMPACTED a consumer goes on behind tombstones that were collected
 *   FRESH_EXEMPT    a consumer may that began from nothing and hasn't caught up yet
 *   LIST_GOES_ON    a list's cursor isn't bound to its generation
 */

#define IDS 2
#define CONTENTS(id) (2 - id) /* a second content of one id is enough */
#define OLD 2                 /* generations that are pending at once */

/* What a row may be: a record's content, or a tombstone. */
#define NONE 0
#define TOMBSTONE 3
#define is_record(r) (r.kind != NONE && r.kind != TOMBSTONE)

typedef Row {
  byte kind;
  byte seq;       /* of its last change; 0: the change index has no such entry any more */
  bit newer       /* its timestamp is above the floor */
};
typedef Generation { Row row[IDS] };
Generation generations[OLD + 1]; /* the live one, and the pending ones from the newest on */
byte pending;
#define live(id) generations[0].row[id]

byte top;         /* the newest seq */
bit maxNewer;     /* the newest timestamp is above the floor */
byte horizon;     /* in time: 0 below the floor or none, 1 at the floor, 2 above it */

/* What must be: each record, and whether its last write or removal is above the floor. */
byte truth[IDS];
bit truthNewer[IDS];

/* Either a consumer of the feed or a reader of a list is there. */
bit lists;
byte cursor;      /* the consumer has read up to this seq */
byte since;       /* top when it began from nothing, while that is more than cursor */
byte folded[IDS];
#define FIRST_PAGE 1
#define EXPIRED 2
byte listed;      /* what the reader of a list has, of two pages */

byte i, g, to;
byte content[IDS]; /* of the refresh that is written */
bit inEntry, sameTime;
#ifdef FRESH_EXEMPT
bit fresh;
#endif

#define clear(r) r.kind = NONE; r.seq = 0; r.newer = 0
#define copy(r, from) r.kind = from.kind; r.seq = from.seq; r.newer = from.newer

/* Where the first row of an id is, from the live generation down; OLD + 1: nowhere. */
#define second(id) (generations[1].row[id].kind != NONE -> 1 : (generations[2].row[id].kind != NONE -> 2 : OLD + 1))
#define newest(id) (live(id).kind != NONE -> 0 : second(id))

/* An id is gone if no generation that is newer than g has a row of it. */
#ifdef GONE_LIVE_ONLY
#define gone(g, id) (live(id).kind == NONE)
#else
#ifdef NOT_ASKED
#define gone(g, id) 1
#else
#define gone(g, id) (newest(id) == g)
#endif
#endif

/* bury writes what stays of an id that a refresh has removed: a tombstone, which stays as
 * it was if it was one before. g has the old row. */
#define old(g, id) generations[g].row[id]
inline bury(g, id) {
  if
  :: old(g, id).kind == TOMBSTONE ->
#ifndef FLOOR_ONLY
     copy(live(id), old(g, id))
#else
     clear(live(id))
#endif
  :: is_record(old(g, id)) ->
#ifdef SAME_SEQ
     live(id).seq = old(g, id).seq;
#else
     top++;
     live(id).seq = top;
#endif
     live(id).kind = TOMBSTONE
  :: else
  fi;
  live(id).newer = 0
}

/* write is a live write that is neither stale nor too old. */
#define accepted(id, n) (live(id).kind == NONE -> horizon <= n : live(id).newer <= n)
inline write(id, k, n) {
  accepted(id, n);
  assert(n >= truthNewer[id]);
  if
  :: live(id).kind != k ->
     top++;
     live(id).kind = k;
     live(id).seq = top
  :: else
  fi;
  live(id).newer = n;
  maxNewer = (n > maxNewer -> n : maxNewer);
  truth[id] = (k == TOMBSTONE -> NONE : k);
  truthNewer[id] = n
}

#ifdef KEPT_FROM_OLD
#define before(id) generations[(newest(id) <= OLD -> newest(id) : 0)].row[id]
#else
#define before(id) live(id)
#endif

inline pick(id) {
  if
  :: content[id] = NONE
  :: content[id] = 1
  :: CONTENTS(id) > 1 -> content[id] = 2
  fi
}

/* pick_refresh chooses what a refresh brings, whether it buries what is gone itself or
 * leaves that to a reconcile, and whether its timestamp is as old as it may be. */
inline pick_refresh() {
  pick(0);
  pick(1);
  if
  :: inEntry = 1
  :: pending < OLD -> inEntry = 0
  fi;
  if
  :: sameTime = 1
  :: sameTime = 0
  fi
}

/* refresh is one entry: it writes a generation and makes it the live one. */
inline refresh() {
  if
  :: !inEntry -> retire()
  :: else
  fi;
  i = 0;
  do
  :: i == IDS -> break
  :: i < IDS ->
     if
     :: content[i] == NONE && inEntry -> bury(0, i)
     :: content[i] == NONE && !inEntry -> clear(live(i))
     :: content[i] != NONE && before(i).kind == content[i] -> copy(live(i), before(i))
     :: else ->
        top++;
        live(i).kind = content[i];
        live(i).seq = top
     fi;
     live(i).newer = 0;
     truth[i] = content[i];
     truthNewer[i] = 0;
     content[i] = NONE;
     i++
  od;
  i = 0;
  horizon = (sameTime && horizon == maxNewer + 1 -> 1 : 0);
  maxNewer = 0;
  inEntry = 0;
  sameTime = 0;
  listed = (listed == FIRST_PAGE -> EXPIRED : listed)
}

/* retire makes the live generation a pending one too, and the older ones older. */
inline retire() {
  i = 0;
  do
  :: i == IDS -> break
  :: i < IDS ->
     copy(old(2, i), old(1, i));
     copy(old(1, i), live(i));
#ifdef DROP_PENDING
     clear(old(2, i));
#endif
     i++
  od;
  pending++
}

/* reconcile is a command that gets as far as one row. */
inline reconcile(g, id) {
  g <= pending && old(g, id).kind != NONE;
  if
  :: gone(g, id) -> bury(g, id)
  :: else
  fi;
  clear(old(g, id))
}

/* finish ends the reconcile of generation g. */
#define empty(g) (old(g, 0).kind == NONE && old(g, 1).kind == NONE)
inline finish(g) {
#ifdef LAST_ENDS
  g <= pending;
#else
  g <= pending && empty(g);
#endif
  i = 0;
  do
  :: i == IDS -> break
  :: i < IDS ->
     if
     :: g == 1 -> copy(old(1, i), old(2, i))
     :: else
     fi;
     clear(old(2, i));
     i++
  od;
  i = 0;
  pending--
}

/* collect removes a tombstone. A consumer that may not have read it begins anew, with
 * what it has folded dropped: it would be told so when it next asks. */
inline collect(id) {
#ifdef COLLECT_PENDING
  live(id).kind == TOMBSTONE;
#else
  live(id).kind == TOMBSTONE && pending == 0;
#endif
  horizon = (live(id).newer + 1 > horizon -> live(id).newer + 1 : horizon);
  if
#ifndef NEVER_COMPACTED
#ifdef FRESH_EXEMPT
  :: !lists && !fresh && cursor < live(id).seq && since < live(id).seq -> begin()
#else
  :: !lists && cursor < live(id).seq && since < live(id).seq -> begin()
#endif
#endif
  :: else
  fi;
  clear(live(id))
}

inline begin() {
  cursor = 0;
  since = top;
  folded[0] = NONE;
  folded[1] = NONE;
#ifdef FRESH_EXEMPT
  fresh = 1
#endif
}

/* unindex removes an entry of the change index that nobody would be sent. */
#ifdef INDEX_LIVE_ONLY
#define stale(g, id) 1
#else
#define stale(g, id) (newest(id) != g)
#endif
inline unindex(g, id) {
  old(g, id).seq != 0 && stale(g, id);
  old(g, id).seq = 0
}

/* What the feed has of an id beyond the cursor: the seq of its first row; not of a record
 * that is gone, whose tombstone is to come. */
#ifdef FEED_LIVE_ONLY
#define feeds(id) (newest(id) == 0)
#else
#define feeds(id) (newest(id) <= OLD && (newest(id) == 0 || generations[newest(id)].row[id].kind == TOMBSTONE))
#endif
#define feed_row(id) generations[newest(id)].row[id]
#define unread(id) (feeds(id) -> (feed_row(id).seq > cursor -> feed_row(id).seq : 0) : 0)
#define comes_first(id) (!lists && unread(id) != 0 && (unread(1 - id) == 0 || unread(id) < unread(1 - id)))

/* fold takes the next event in. */
inline fold(id) {
  comes_first(id);
  folded[id] = (feed_row(id).kind == TOMBSTONE -> NONE : feed_row(id).kind);
  cursor = feed_row(id).seq
}

/* progress moves the cursor of a consumer that has read all there is. */
#define read_all (!lists && unread(0) == 0 && unread(1) == 0)
inline progress() {
  read_all && cursor < top;
  cursor = top
}

inline list() {
  if
  :: listed == NONE -> listed = FIRST_PAGE
#ifdef LIST_GOES_ON
  :: listed != NONE ->
#else
  :: listed == EXPIRED -> listed = NONE
  :: listed == FIRST_PAGE ->
#endif
     assert(listed == FIRST_PAGE);
     listed = NONE
  fi
}

/* check says what must hold between any two entries. */
#ifdef CAUGHT_UP_EARLY
#define caught_up read_all
#else
#define caught_up (read_all && pending == 0)
#endif
inline check() {
  assert((is_record(live(0)) -> live(0).kind : NONE) == truth[0]);
  assert((is_record(live(1)) -> live(1).kind : NONE) == truth[1]);
  if
  :: caught_up ->
     assert(folded[0] == truth[0]);
     assert(folded[1] == truth[1]);
#ifdef FRESH_EXEMPT
     fresh = 0
#endif
  :: else
  fi
}

/* Whether any row has seq s. */
#define has(g, s) (generations[g].row[0].seq == s || generations[g].row[1].seq == s)
#define used(s) (has(0, s) || has(1, s) || has(2, s))

/* renumber closes the gaps between the seqs of rows; a cursor in a gap moves down to
 * the row before it. */
inline lower(place) { place = (place > to -> place - 1 : place) }
inline renumber() {
  to = top;
  do
  :: to == 0 -> break
  :: to > 0 ->
     if
     :: used(to) -> to--
     :: else ->
        to--;
        top--;
        lower(generations[0].row[0].seq); lower(generations[0].row[1].seq);
        lower(generations[1].row[0].seq); lower(generations[1].row[1].seq);
        lower(generations[2].row[0].seq); lower(generations[2].row[1].seq);
        lower(cursor); lower(since)
     fi
  od
}

/* shed forgets what no longer decides anything: that keeps states few. */
inline shed() {
  g = 1;
  do
  :: g > OLD -> break
  :: g <= OLD ->
     i = 0;
     do
     :: i == IDS -> break
     :: i < IDS ->
        old(g, i).newer = 0;
#ifndef KEPT_FROM_OLD
#ifndef SAME_SEQ
        if
        :: is_record(old(g, i)) -> old(g, i).kind = 1; old(g, i).seq = 0
        :: else
        fi;
#endif
#endif
        i++
     od;
     g++
  od;
  g = 0; i = 0;
  renumber();
  since = (since <= cursor -> 0 : since)
}

active proctype world() {
  if
#ifndef LIST_GOES_ON
  :: lists = 0
#endif
  :: lists = 1
  fi;
end:
  do
  :: d_step { fold(0); shed(); check() }
  :: d_step { fold(1); shed(); check() }
  :: d_step { progress(); shed(); check() }
  :: atomic { lists -> list() }
  :: d_step { reconcile(1, 0); shed(); check() }
  :: d_step { reconcile(1, 1); shed(); check() }
  :: d_step { reconcile(2, 0); shed(); check() }
  :: d_step { reconcile(2, 1); shed(); check() }
  :: d_step { finish(1); shed(); check() }
  :: d_step { finish(2); shed(); check() }
  :: d_step { collect(0); shed(); check() }
  :: d_step { collect(1); shed(); check() }
  :: d_step { unindex(1, 0); shed(); check() }
  :: d_step { unindex(1, 1); shed(); check() }
  :: d_step { unindex(2, 0); shed(); check() }
  :: d_step { unindex(2, 1); shed(); check() }
  :: d_step { write(0, 1, 0); shed(); check() }
  :: d_step { write(0, 1, 1); shed(); check() }
  :: d_step { write(0, 2, 0); shed(); check() }
  :: d_step { write(0, 2, 1); shed(); check() }
  :: d_step { write(0, TOMBSTONE, 0); shed(); check() }
  :: d_step { write(0, TOMBSTONE, 1); shed(); check() }
  :: d_step { write(1, 1, 0); shed(); check() }
  :: d_step { write(1, 1, 1); shed(); check() }
  :: d_step { write(1, TOMBSTONE, 0); shed(); check() }
  :: d_step { write(1, TOMBSTONE, 1); shed(); check() }
  :: atomic { pick_refresh(); d_step { refresh(); shed(); check() } }
  :: d_step { !lists -> begin(); shed(); check() }
  od
}
