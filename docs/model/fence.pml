/*
 * The term fence, unknown outcomes and cluster time: docs/adr/0003-cluster-time.md,
 * cluster/propose.go, cluster/outcome.go, fsm/apply.go, fsm/admission.
 *
 * Raft is taken at its word (README.md says which): entries that are appended in a
 * term lie in limbo until that term's leader, or the first Barrier of a later one,
 * decides about them for good.
 *
 * Mutations, each of which spin must refuse:
 *   NO_FENCE        Apply doesn't compare the terms
 *   NO_MAX          an entry's effective time is its stamp
 *   NO_BARRIER      a leader stamps before its first Barrier has completed
 *   EARLY_M0        M0 of a process that didn't apply the entry is its start
 *   LOST_IS_CERTAIN leadership lost after the append is told as 'not applied'
 *   RESEND_UNKNOWN  an unknown outcome is sent again
 */

#define NODES     2    /* that ever lead; the other voters only vote */
#define TERMS     3
#define PROPOSALS 2
#define ATTEMPTS(p) (2 - p) /* one proposal may be sent again */
#define ENTRIES   3    /* ever appended */
#define TIME      2    /* real time runs from 0 to here */
#define NONE      15

/* What became of an entry. */
#define LIMBO 1
#define CHOSEN 2
#define DEAD 3

typedef Entry {
  byte proposal;
  byte state;
  byte stampTerm;
  byte logTerm;
  byte clusterTime;
  byte real;          /* when it was stamped */
  bit toldNotApplied
};

/* Where a proposal is. */
#define IDLE 0
#define STAMPED 1
#define WAITING 2
#define DONE 3

typedef Proposal {
  byte state;
  byte node;
  byte attempts;
  byte stampTerm;
  byte clusterTime;
  byte real;
  byte entry;
  byte applied        /* how often the state machine has applied it */
};

typedef Node {
  byte leads;             /* the term in which it believes to lead; 0: none */
  bit ready;              /* that term's first Barrier has completed, here */
  byte applied;           /* how much of the log */
  byte lag;               /* M0 - C0, as it would be if it began to lead; NONE: it didn't apply the last entry */
  short behind            /* M0 - C0 of its term */
};

Entry entries[ENTRIES];
byte appended;

Proposal proposals[PROPOSALS];
Node nodes[NODES];

byte term = 1;            /* the newest in which a leader was elected */
bit barrier[TERMS + 1];   /* whether a term's first Barrier is chosen … */
byte barrierAt[TERMS + 1];/* … and how much of the log came before it */

/* The log: what Raft has chosen, and what applying it gives on every node. */
byte length;
byte order[ENTRIES];
byte chosenIn[ENTRIES];
bit fenced[ENTRIES];
byte effective[ENTRIES + 1]; /* cluster time before the entry at this place */
byte slack;                  /* real time less cluster time, where the latter was last moved */

byte now;                    /* real time, which is also every node's monotonic clock */

/* choose puts entry e at the end of the log, in term t. */
inline choose(e, t) {
  assert(entries[e].state == LIMBO);
  entries[e].state = CHOSEN;
  order[length] = e;
  chosenIn[length] = t;
  effective[length + 1] = effective[length];
  if
#ifndef NO_FENCE
  :: entries[e].stampTerm != entries[e].logTerm ->
     fenced[length] = 1
#endif
  :: else ->
     assert(!entries[e].toldNotApplied);
     proposals[entries[e].proposal].applied++;
     assert(proposals[entries[e].proposal].applied == 1);
     if
     :: entries[e].clusterTime != effective[length] ->
#ifndef NO_MAX
        if
        :: entries[e].clusterTime > effective[length] -> advance(e)
        :: else
        fi
#else
        advance(e)
#endif
     :: else
     fi
  fi;
  erase(e);
  length++
}

/* erase forgets what no longer matters of an entry: that keeps states few. */
inline erase(e) {
  entries[e].proposal = 0;
  entries[e].stampTerm = 0;
  entries[e].clusterTime = 0;
  entries[e].real = 0
}

/* advance moves cluster time to e's stamp: never back, and never further than
 * real time has gone since it was last moved. */
inline advance(e) {
  effective[length + 1] = entries[e].clusterTime;
  assert(effective[length + 1] >= effective[length]);
  assert(entries[e].real >= entries[e].clusterTime);
  assert(entries[e].real - entries[e].clusterTime >= slack);
  slack = entries[e].real - entries[e].clusterTime
}

/* settle decides, when the first Barrier of term t is chosen, about everything
 * that earlier terms have left in limbo: of each term some prefix stays. */
inline settle(t) {
  i = 1;
  do
  :: i == t -> break
  :: i < t ->
     dropping = 0;
     j = 0;
     do
     :: j == appended -> break
     :: j < appended ->
        if
        :: entries[j].state == LIMBO && entries[j].logTerm == i ->
           if
           :: !dropping -> choose(j, t)
           :: dropping = 1; entries[j].state = DEAD; erase(j)
           fi
        :: else
        fi;
        j++
     od;
     i++
  od;
  i = 0; j = 0; dropping = 0
}

/* notApplied tells the proposer that it may send the proposal again. */
inline notApplied(p) {
  if
  :: proposals[p].attempts < ATTEMPTS(p) -> proposals[p].state = IDLE
  :: else -> proposals[p].state = DONE
  fi;
  forget(p)
}

inline forget(p) {
  proposals[p].stampTerm = 0;
  proposals[p].clusterTime = 0;
  proposals[p].real = 0;
  proposals[p].entry = 0;
  proposals[p].node = 0;
  if
  :: proposals[p].state == DONE -> proposals[p].attempts = 0
  :: else
  fi
}

inline unknown(p) {
#ifdef RESEND_UNKNOWN
  notApplied(p)
#else
  proposals[p].state = DONE;
  forget(p)
#endif
}

/* become fixes C0 and M0, once in a term. */
inline become(n) {
  nodes[n].ready = 1;
  if
  :: nodes[n].lag != NONE -> nodes[n].behind = nodes[n].lag
#ifdef EARLY_M0
  :: else -> nodes[n].behind = 0 - effective[nodes[n].applied]
#else
  :: else -> nodes[n].behind = now - effective[nodes[n].applied]
#endif
  fi
}

inline stepDown(n) {
  nodes[n].leads = 0;
  nodes[n].ready = 0;
  nodes[n].behind = 0
}

#define E entries[proposals[p].entry]
#define HOME nodes[proposals[p].node]

/* place finds where the log has p's entry; at the end if nowhere. */
inline place(p) {
  at = 0;
  do
  :: at < length && order[at] != proposals[p].entry -> at++
  :: else -> break
  od
}

byte i, j, at;
bit dropping;

#define limbo(e, t) (entries[e].state == LIMBO && entries[e].logTerm == t)
#define limboOf(t) (limbo(0, t) || limbo(1, t) || limbo(2, t))

inline raft(n) {
  /* an election; whoever led before may not have heard of it */
  if
  :: term < TERMS && nodes[n].leads == 0 ->
     term++;
     nodes[n].leads = term;
     nodes[n].ready = 0; nodes[n].behind = 0
  /* a majority has the first Barrier of the newest term */
  :: nodes[n].leads == term && !barrier[term] ->
     settle(term);
     barrier[term] = 1;
     barrierAt[term] = length
  /* a majority has the next entry of the newest term */
  :: nodes[n].leads == term && barrier[term] && limboOf(term) ->
     j = 0;
     do
     :: entries[j].state == LIMBO && entries[j].logTerm == term -> break
     :: else -> j++
     od;
     choose(j, term);
     j = 0
  :: nodes[n].leads != 0 -> stepDown(n)
  fi
}

inline process(n) {
  if
  /* a leader applies what was chosen in its own term or before it */
  :: nodes[n].applied < length &&
     (nodes[n].leads == 0 || chosenIn[nodes[n].applied] <= nodes[n].leads) ->
     if
     :: fenced[nodes[n].applied]
     :: else -> nodes[n].lag = now - effective[nodes[n].applied + 1]
     fi;
     nodes[n].applied++
#ifdef NO_BARRIER
  :: nodes[n].leads != 0 && !nodes[n].ready -> become(n)
#else
  :: nodes[n].leads != 0 && !nodes[n].ready && barrier[nodes[n].leads] &&
     nodes[n].applied >= barrierAt[nodes[n].leads] -> become(n)
#endif
  /* a snapshot comes; or, if it brings nothing new, the process begins anew */
  :: nodes[n].leads == 0 && (nodes[n].lag != NONE || nodes[n].applied < length) ->
     nodes[n].lag = NONE;
     if
     :: nodes[n].applied = length
     :: nodes[n].applied < length
     fi
  fi
}

/* superseded says that the log after term t is fixed already: what t's leader, who
 * hasn't heard of it, still appends has no future. */
#define superseded(t) ((t < 2 && barrier[2]) || (t < 3 && barrier[3]))

inline propose(p) {
  if
  :: proposals[p].state == IDLE && (nodes[0].ready || nodes[1].ready) ->
     if
     :: nodes[0].ready -> proposals[p].node = 0
     :: nodes[1].ready -> proposals[p].node = 1
     fi;
     proposals[p].state = STAMPED;
     proposals[p].attempts++;
     proposals[p].stampTerm = HOME.leads;
     proposals[p].clusterTime = now - HOME.behind;
     proposals[p].real = now
  :: proposals[p].state == STAMPED && appended < ENTRIES ->
     if
     :: HOME.leads == 0 -> notApplied(p)
     :: else ->
        entries[appended].proposal = p;
        entries[appended].state = (superseded(HOME.leads) -> DEAD : LIMBO);
        entries[appended].stampTerm = proposals[p].stampTerm;
        entries[appended].logTerm = HOME.leads;
        entries[appended].clusterTime = proposals[p].clusterTime;
        entries[appended].real = proposals[p].real;
        proposals[p].state = WAITING;
        proposals[p].stampTerm = 0;
        proposals[p].clusterTime = 0;
        proposals[p].real = 0;
        proposals[p].entry = appended;
        if
        :: entries[appended].state == DEAD -> erase(appended)
        :: else
        fi;
        appended++
     fi
  :: proposals[p].state == WAITING ->
     place(p);
     if
     :: HOME.leads == E.logTerm && at < length && HOME.applied > at ->
        if
        :: fenced[at] ->
           tell(p);
           notApplied(p)
        :: else ->
           proposals[p].state = DONE;
           forget(p)
        fi
#ifdef LOST_IS_CERTAIN
     :: HOME.leads != E.logTerm ->
        tell(p);
        notApplied(p)
#endif
     :: unknown(p) /* its leadership is lost, or nobody waits any more */
     fi;
     at = 0
  fi
}

/* tell says 'not applied' of p's entry, wherever the log has it now. */
inline tell(p) {
  assert(E.state != CHOSEN || fenced[at]);
  E.toldNotApplied = 1
}

/* lose ends p's waiting where it can only end as unknown. */
inline lose(p) {
  if
  :: proposals[p].state == WAITING && (HOME.leads != E.logTerm || E.state == DEAD) -> unknown(p)
  :: else
  fi
}

/* shed forgets what nobody looks at any more: that keeps states few. */
#define past(i) (i < length && i < nodes[0].applied && i < nodes[1].applied)
#define waits(p, i) (proposals[p].state == WAITING && order[i] == proposals[p].entry)

inline shed() {
#ifndef LOST_IS_CERTAIN
  lose(0);
  lose(1);
#endif
  if
  :: nodes[0].leads != 1 -> barrierAt[1] = 0
  :: else
  fi;
  if
  :: nodes[0].leads != 2 && nodes[1].leads != 2 && term > 2 -> barrierAt[2] = 0
  :: else
  fi;
  j = 0;
  do
  :: past(j) ->
     effective[j] = 0;
     chosenIn[j] = 0;
     if
     :: waits(0, j) || waits(1, j)
     :: else -> order[j] = NONE; fenced[j] = 0
     fi;
     j++
  :: else -> break
  od;
  j = 0;
  do
  :: j == appended -> break
  :: j < appended ->
     if
     :: entries[j].state == LIMBO
     :: (proposals[0].state == WAITING && proposals[0].entry == j) || (proposals[1].state == WAITING && proposals[1].entry == j)
     :: else -> entries[j].logTerm = 0; entries[j].toldNotApplied = 0; entries[j].state = DEAD
     fi;
     j++
  od;
  j = 0
}

active proctype world() {
  nodes[0].leads = 1;
end:
  do
  :: atomic { now < TIME -> now++ }
  :: atomic { raft(0); shed() }
  :: atomic { raft(1); shed() }
  :: atomic { process(0); shed() }
  :: atomic { process(1); shed() }
  :: atomic { propose(0); shed() }
  :: atomic { propose(1); shed() }
  od
}
