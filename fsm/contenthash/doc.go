// Package contenthash computes the content hash of a record: 16 bytes that two
// uploads share exactly when they say the same thing. The state machine compares
// hashes instead of JSON, so an upload that changes nothing is recognised on every
// node without parsing a byte of it. docs/FORMAT.md defines the hash for authors of
// pipelines, with test vectors; testdata/vectors.json pins it.
package contenthash
