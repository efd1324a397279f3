// Package simcluster tests a whole cluster in one process, in fake time.
//
// Its nodes run the code of real ones, from the HTTP handlers down to Pebble.
// What they stand on is simulated: the network between them, their disks, their
// clocks. All of it lives in a bubble of testing/synctest, where an hour of
// elections and retries takes seconds. A nemesis breaks things, clients go on
// working, and a ledger that sees every entry applied and every answer told checks
// that no promise is broken.
package simcluster
