package fsm

import (
	"fmt"

	"pipesync/storage"
)

// Usage is what a vector store has, an organization, or the cluster.
type Usage = storage.Usage

// usageRows are what a vector store has, its organization, and the cluster. Each is
// the sum over its namespaces, so whatever changes a namespace moves all three. An
// entry opens them once: what it reads is the state before it.
type usageRows struct {
	org     storage.OrgNum
	store   storage.StoreNum
	inStore storage.Usage
	inOrg   storage.Usage
	inAll   storage.Usage
	// digest is the store's: whoever changes a namespace's replaces that in it, and
	// calls settleDigests.
	digest digestSum
}

func readUsage(r storage.Reader, org storage.OrgNum, store storage.StoreNum) (*usageRows, error) {
	u := &usageRows{org: org, store: store}
	var err error
	if u.inStore, err = r.Usage(org, store); err == nil {
		u.inOrg, err = r.Usage(org, 0)
	}
	if err == nil {
		u.inAll, err = r.Usage(0, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	u.digest = newDigestSum(u.inStore.Digest)
	return u, nil
}

// move takes away what a namespace had before, and adds what it has after. Sums
// of unsigned numbers come out right, in whichever order.
func (u *usageRows) move(before, after storage.Usage) {
	for _, total := range []*storage.Usage{&u.inStore, &u.inOrg, &u.inAll} {
		total.Records += after.Records - before.Records
		total.Bytes += after.Bytes - before.Bytes
		total.Tombstones += after.Tombstones - before.Tombstones
		total.Namespaces += after.Namespaces - before.Namespaces
	}
}

// settleDigests has the digests of organization and cluster follow that of the store,
// after digest has changed. The names are those of organization and store.
func (u *usageRows) settleDigests(org, store string) {
	after := newDigestSum(u.inOrg.Digest)
	after.replace(store, u.inStore.Digest, u.digest.digest())
	u.inStore.Digest = u.digest.digest()
	u.replaceOrg(org, after.digest())
}

// replaceOrg gives the organization of that name another digest.
func (u *usageRows) replaceOrg(name string, after storage.Digest) {
	all := newDigestSum(u.inAll.Digest)
	all.replace(name, u.inOrg.Digest, after)
	u.inOrg.Digest, u.inAll.Digest = after, all.digest()
}

func (u *usageRows) put(b *storage.Batch) {
	b.PutUsage(u.org, u.store, u.inStore)
	b.PutUsage(u.org, 0, u.inOrg)
	b.PutUsage(0, 0, u.inAll)
}

// usageOf is what a namespace counts for; its row is zero where there is none.
func usageOf(row *storage.Namespace) storage.Usage {
	u := storage.Usage{Records: row.Count, Bytes: row.Bytes, Tombstones: row.Tombstones}
	if row.Num != 0 && !row.Deleted {
		u.Namespaces = 1
	}
	return u
}

// size is what a record counts for: the bytes of its id and of its fields, as
// they were sent.
func (op *Operation) size() uint32 {
	n := len(op.ID)
	for _, field := range op.content() {
		n += len(field)
	}
	return uint32(n)
}

// StoreUsage is what a vector store has; zero where it or the organization is missing.
func (v *View) StoreUsage(org, store string) (storage.Usage, error) {
	o, found, err := v.snapshot.Org(org)
	if err != nil || !found {
		return storage.Usage{}, err
	}
	s, found, err := v.snapshot.Store(o.Num, store)
	if err != nil || !found {
		return storage.Usage{}, err
	}
	return v.snapshot.Usage(o.Num, s.Num)
}

// OrgUsage is what an organization of this view has.
func (v *View) OrgUsage(o OrgInfo) (storage.Usage, error) { return v.snapshot.Usage(o.Num, 0) }

// Usage is what the whole cluster has.
func (v *View) Usage() (storage.Usage, error) { return v.snapshot.Usage(0, 0) }
