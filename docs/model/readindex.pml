/*
 * Linearizable reads: docs/adr/0002-read-index.md, cluster/readindex.go,
 * cluster/progress.go, cluster/numbered.go.
 *
 * Three voters, of which two ever lead. A vote and the handling of an AppendEntries are
 * single steps; an answer may be on its way for as long as it likes.
 *
 * Mutations, each of which spin must refuse:
 *   VERIFY_LEADER  an answer counts whatever its number (bare VerifyLeader)
 *   OWN_APPLIED    R is what the leader's own state machine has applied
 *   NO_BARRIER     a leader answers before the first Barrier of its term
 *   JOIN_RUNNING   a reader joins the round that is running
 *   ANY_TERM       an answer counts whatever its term
 */

#define NODES   3
#define LEADERS 2   /* nodes 0 and 1 */
#define TERMS   2
#define LENGTH  3   /* of a log: the first entries of the terms, and writes */
#define READERS 2

/* A log's entries: the term, and whether it is a write or Raft's own. */
#define OWN(t)   (2 * t)
#define WRITE(t) (2 * t + 1)
#define term_of(e) (e / 2)
#define is_write(e) (e % 2)

typedef Log { byte e[LENGTH]; byte length };
typedef Node {
  byte term;
  bit leads;
  byte commit;        /* counted, or heard from a leader */
  byte applied        /* by its state machine */
};

/* From a leader to each node: the one answer that is on its way, and what arrived. */
typedef Link {
  bit busy;           /* an answer is on its way */
  bit refused;        /* the peer was in a later term when it handled the request */
  byte match;         /* how much of the leader's log it had then; 0: a heartbeat */
  bit fresh;          /* the request was sent after the round's question */
  bit counts;         /* an answer has arrived that counts for the round */
  byte has            /* how much of the leader's log it is known to have */
};
typedef Links { Link to[NODES] };

/* The round of confirmation that runs on a leader. */
#define NO_ROUND 0
#define INDEXED 1     /* R is fixed */
#define ASKED 2       /* s is noted */
typedef Round { byte state; byte index };

#define IDLE 0
#define QUEUED 1      /* for the next round */
#define RUNNING 2     /* in the round that runs */
#define HAS_INDEX 3
#define DONE 4
typedef Reader { byte state; bit asks; byte floor; byte index };

Log logs[NODES];
Node nodes[NODES];
Links links[LEADERS];
Round rounds[LEADERS];
Reader readers[READERS];
byte seen;            /* the newest write that was acknowledged, or shown by a read */
byte i, k, newTerm;

#define last(n) logs[n].e[logs[n].length - 1]
/* the last write at or before place p of n's log, as the number of entries up to it */
#define write1(n) (is_write(logs[n].e[0]) -> 1 : 0)
#define write2(n) (is_write(logs[n].e[1]) -> 2 : write1(n))
#define write3(n) (is_write(logs[n].e[2]) -> 3 : write2(n))
#define last_write(n, p) (p == 3 -> write3(n) : (p == 2 -> write2(n) : (p == 1 -> write1(n) : 0)))

inline clear(n, v) {
  links[n].to[v].busy = 0;
  links[n].to[v].refused = 0;
  links[n].to[v].match = 0;
  links[n].to[v].fresh = 0
}

/* follow makes n a follower in newTerm. */
inline follow(n) {
  nodes[n].term = newTerm;
  nodes[n].leads = 0;
  if
  :: n < LEADERS -> abandon(n)
  :: else
  fi
}

/* abandon drops what a former leader still awaits; its readers ask again. */
inline abandon(n) {
  k = 0;
  do
  :: k == NODES -> break
  :: k < NODES ->
     clear(n, k);
     links[n].to[k].counts = 0;
     links[n].to[k].has = 0;
     k++
  od;
  rounds[n].state = NO_ROUND;
  rounds[n].index = 0;
  k = 0;
  do
  :: k == READERS -> break
  :: k < READERS ->
     if
     :: readers[k].asks == n && (readers[k].state == RUNNING || readers[k].state == QUEUED) ->
        readers[k].state = QUEUED
     :: else
     fi;
     k++
  od;
  k = 0
}

#define upToDate(c, v) (term_of(last(c)) > term_of(last(v)) || \
  (term_of(last(c)) == term_of(last(v)) && logs[c].length >= logs[v].length))
#define grants(v, c) (nodes[v].term < nodes[c].term + 1 && upToDate(c, v))

/* elect makes n the leader of its next term, by the vote of v, and appends the
 * term's first entry. */
inline elect(n, v) {
  newTerm = nodes[n].term + 1;
  follow(v);
  follow(n);
  newTerm = 0;
  nodes[n].leads = 1;
  logs[n].e[logs[n].length] = OWN(nodes[n].term);
  logs[n].length++
}

/* append sends to v all that n has, and its commit index; v's answer sets out. */
inline append(n, v) {
  if
  :: nodes[v].term <= nodes[n].term ->
     if
     :: nodes[v].term < nodes[n].term || nodes[v].leads ->
        newTerm = nodes[n].term; follow(v); newTerm = 0
     :: else
     fi;
     i = 0;
     do
     :: i == LENGTH -> break
     :: i < LENGTH -> logs[v].e[i] = logs[n].e[i]; i++
     od;
     i = 0;
     logs[v].length = logs[n].length;
     nodes[v].commit = (nodes[n].commit > nodes[v].commit -> nodes[n].commit : nodes[v].commit);
     links[n].to[v].match = logs[n].length
  :: else ->
     links[n].to[v].match = 0
  fi;
  links[n].to[v].busy = 1;
  links[n].to[v].refused = (nodes[v].term > nodes[n].term -> 1 : 0);
  links[n].to[v].fresh = (rounds[n].state == ASKED -> 1 : 0)
}

/* hear takes v's answer in. */
#define L links[n].to[v]
inline hear(n, v) {
  if
#ifdef VERIFY_LEADER
  :: rounds[n].state == ASKED && !L.refused -> L.counts = 1
#else
#ifdef ANY_TERM
  :: rounds[n].state == ASKED && L.fresh -> L.counts = 1
#else
  :: rounds[n].state == ASKED && L.fresh && !L.refused -> L.counts = 1
#endif
#endif
  :: else
  fi;
  if
  :: L.match > L.has -> L.has = L.match
  :: else
  fi;
  clear(n, v)
}

#define peer_has(n, v, x) (v != n && links[n].to[v].has >= x)
#define majority_has(n, x) (peer_has(n, 0, x) || peer_has(n, 1, x) || peer_has(n, 2, x))
#define confirmed(n) (links[n].to[0].counts || links[n].to[1].counts || links[n].to[2].counts)

/* Only what has an effect is sent: all else would but add states. */
#define news(n, v) (nodes[n].leads && !links[n].to[v].busy && \
  (links[n].to[v].has < logs[n].length || nodes[v].commit < nodes[n].commit || \
   (rounds[n].state == ASKED && !links[n].to[v].counts)))

/* ready: the first Barrier of the term has completed, so all before it is applied. */
#ifdef NO_BARRIER
#define ready(n) 1
#else
#define ready(n) (nodes[n].applied > 0 && term_of(logs[n].e[nodes[n].applied - 1]) == nodes[n].term)
#endif

#define queued(n, r) (readers[r].state == QUEUED && readers[r].asks == n)

inline lead(n) {
  if
  :: nodes[n].leads && logs[n].length < LENGTH && ready(n) ->
     logs[n].e[logs[n].length] = WRITE(nodes[n].term);
     logs[n].length++
  /* it counts: a majority has an entry of its own term */
  :: nodes[n].leads && nodes[n].commit < logs[n].length && majority_has(n, nodes[n].commit + 1) ->
     i = nodes[n].commit + 1;
     do
     :: i < logs[n].length && majority_has(n, i + 1) -> i++
     :: else -> break
     od;
     if
     :: term_of(logs[n].e[i - 1]) == nodes[n].term && i > nodes[n].commit -> nodes[n].commit = i
     :: else
     fi;
     i = 0
  /* it acknowledges what it has applied */
  :: nodes[n].leads && last_write(n, nodes[n].applied) > seen ->
     seen = last_write(n, nodes[n].applied)
  :: n != 0 && news(n, 0) -> append(n, 0)
  :: n != 1 && news(n, 1) -> append(n, 1)
  :: news(n, 2) -> append(n, 2)
  :: links[n].to[0].busy -> hear(n, 0)
  :: links[n].to[1].busy -> hear(n, 1)
  :: links[n].to[2].busy -> hear(n, 2)
  /* a round begins, with all who wait for one … */
  :: nodes[n].leads && ready(n) && rounds[n].state == NO_ROUND && (queued(n, 0) || queued(n, 1)) ->
     if
     :: queued(n, 0) -> readers[0].state = RUNNING
     :: else
     fi;
     if
     :: queued(n, 1) -> readers[1].state = RUNNING
     :: else
     fi;
     rounds[n].state = INDEXED;
#ifdef OWN_APPLIED
     rounds[n].index = last_write(n, nodes[n].applied)
#else
     rounds[n].index = last_write(n, nodes[n].commit)
#endif
  /* … asks … */
  :: rounds[n].state == INDEXED ->
     rounds[n].state = ASKED;
     links[n].to[0].counts = 0; links[n].to[1].counts = 0; links[n].to[2].counts = 0;
     links[n].to[0].fresh = 0; links[n].to[1].fresh = 0; links[n].to[2].fresh = 0
  /* … and ends */
  :: rounds[n].state == ASKED && nodes[n].leads && confirmed(n) ->
     k = 0;
     do
     :: k == READERS -> break
     :: k < READERS ->
        if
        :: readers[k].state == RUNNING && readers[k].asks == n ->
           readers[k].state = HAS_INDEX;
           readers[k].index = rounds[n].index
        :: else
        fi;
        k++
     od;
     k = 0;
     rounds[n].state = NO_ROUND;
     rounds[n].index = 0;
     links[n].to[0].fresh = 0; links[n].to[1].fresh = 0; links[n].to[2].fresh = 0;
     links[n].to[0].counts = 0; links[n].to[1].counts = 0; links[n].to[2].counts = 0
  fi
}

#define serves(n, r) (nodes[n].applied >= readers[r].index)
inline serve(n, r) {
  assert(last_write(n, nodes[n].applied) >= readers[r].floor);
  seen = (last_write(n, nodes[n].applied) > seen -> last_write(n, nodes[n].applied) : seen);
  readers[r].state = DONE;
  readers[r].floor = 0; readers[r].index = 0; readers[r].asks = 0
}

inline ask(r, n) {
  readers[r].floor = seen;
  readers[r].asks = n;
  readers[r].state = QUEUED;
#ifdef JOIN_RUNNING
  if
  :: rounds[n].state != NO_ROUND -> readers[r].state = RUNNING
  :: else
  fi
#endif
}

/* Readers are alike, so they begin in order. */
#define turn(r) (r == 0 || readers[0].state != IDLE)

inline reader(r) {
  if
  :: readers[r].state == IDLE && turn(r) && nodes[0].leads -> ask(r, 0)
  :: readers[r].state == IDLE && turn(r) && nodes[1].leads -> ask(r, 1)
  :: readers[r].state == HAS_INDEX && serves(0, r) -> serve(0, r)
  :: readers[r].state == HAS_INDEX && serves(1, r) -> serve(1, r)
  :: readers[r].state == HAS_INDEX && serves(2, r) -> serve(2, r)
  fi
}

inline apply(n) { nodes[n].applied < nodes[n].commit -> nodes[n].applied++ }

#define mayLead(n) (nodes[n].term < TERMS && logs[n].length < LENGTH)

active proctype world() {
  atomic {
    do
    :: i == NODES -> break
    :: i < NODES ->
       logs[i].e[0] = OWN(1);
       logs[i].length = 1;
       nodes[i].term = 1; nodes[i].commit = 1; nodes[i].applied = 1;
       i++
    od;
    i = 0;
    nodes[0].leads = 1
  }
end:
  do
  :: atomic { mayLead(1) && grants(0, 1) -> elect(1, 0) }
  :: atomic { mayLead(1) && grants(2, 1) -> elect(1, 2) }
  :: atomic { lead(0) }
  :: atomic { lead(1) }
  :: atomic { apply(0) }
  :: atomic { apply(1) }
  :: atomic { apply(2) }
  :: atomic { reader(0) }
  :: atomic { reader(1) }
  od
}
