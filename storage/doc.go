// Package storage keeps the replicated state in Pebble: the layout of keys,
// the encoding of rows, atomic batches and consistent views. It knows neither
// what the rows mean nor how they are replicated.
//
// There is no write-ahead log: whatever replicates the batches must be able to
// replay them. A batch becomes durable as a whole, in the order of commits,
// when its memtable is flushed; after a crash the database holds the effect of
// some prefix of the committed batches, never of part of one. The System row,
// which every batch rewrites, tells where that prefix ends.
package storage
