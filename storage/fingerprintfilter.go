package storage

import "hash/maphash"

const (
	// A block of the filter is a cache line.
	filterBlockBytes = 64
	// Each key sets so many bits of its block, and is given filterKeyBits of the whole:
	// then one key in a hundred that isn't there seems to be.
	filterHashes  = 7
	filterKeyBits = 10
)

// fingerprintFilter is a Bloom filter in blocks (Putze, Sanders, Singler: Cache-, Hash-
// and Space-Efficient Bloom Filters, 2007) over the keys of fingerprints and requests. More keys
// than it has room for only make it less sure. The seed is this process's: nobody outside can
// look for keys that set the same bits, and would only make it less sure if he could.
type fingerprintFilter struct {
	seed   maphash.Seed
	memory []byte // of whole blocks
	added  int    // keys that didn't seem to be there
}

func newFingerprintFilter(size int64) (*fingerprintFilter, error) {
	memory, err := mapMemory(max(size/filterBlockBytes, 1) * filterBlockBytes)
	if err != nil {
		return nil, err
	}
	return &fingerprintFilter{seed: maphash.MakeSeed(), memory: memory}, nil
}

func (f *fingerprintFilter) close() error { return unmapMemory(f.memory) }

// full says whether the filter has as many keys as it is made for.
func (f *fingerprintFilter) full() bool { return f.added >= len(f.memory)*8/filterKeyBits }

// hash is of a key, for add and mayHave. It may be called at any time.
func (f *fingerprintFilter) hash(key []byte) uint64 { return maphash.Bytes(f.seed, key) }

// bits are where to find a key's: nine of the bits that are returned name one of a block.
func (f *fingerprintFilter) bits(hash uint64) (block []byte, bits uint64) {
	i := (hash >> 32) * uint64(len(f.memory)/filterBlockBytes) >> 32
	return f.memory[i*filterBlockBytes:][:filterBlockBytes], hash * 0x9e3779b97f4a7c15
}

func (f *fingerprintFilter) add(hash uint64) {
	if f.mayHave(hash) {
		return
	}
	block, bits := f.bits(hash)
	for range filterHashes {
		block[bits>>58] |= 1 << (bits >> 55 & 7)
		bits <<= 9
	}
	f.added++
}

// mayHave is false only for a key that was never added.
func (f *fingerprintFilter) mayHave(hash uint64) bool {
	block, bits := f.bits(hash)
	for range filterHashes {
		if block[bits>>58]>>(bits>>55&7)&1 == 0 {
			return false
		}
		bits <<= 9
	}
	return true
}
