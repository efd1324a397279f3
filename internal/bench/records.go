package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"pipesync/client"
)

const (
	benchOrganization = "org_bench"
	benchStore        = "vs_bench"
	benchNamespace    = "bench"
)

// records are those of one namespace, by number. Their ids have no order, as those
// of most sources: what comes in one sync lies all over the key space.
type records struct {
	bytes    int // of data, a record
	versions []uint8
	rng      *rand.Rand
}

func newRecords(bytes int) *records {
	return &records{bytes: bytes, rng: rand.New(rand.NewPCG(1, 2))}
}

func recordID(number int) string {
	h := uint64(number) * 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return fmt.Sprintf("doc-%016x", h^h>>31)
}

// fresh are the numbers of n records that weren't there before.
func (r *records) fresh(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = len(r.versions) + i
	}
	r.versions = append(r.versions, make([]uint8, n)...)
	return numbers
}

// again are n records that came in one batch of the first existing ones, as they are now.
func (r *records) again(existing, n int) []int {
	first := r.rng.IntN(existing/n) * n
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = first + i
	}
	return numbers
}

// changed are n of the first existing records, picked at random, with other content.
func (r *records) changed(existing, n int) []int {
	picked := make(map[int]bool, n)
	numbers := make([]int, 0, n)
	for len(numbers) < n {
		number := r.rng.IntN(existing)
		if picked[number] {
			continue
		}
		picked[number] = true
		r.versions[number]++
		numbers = append(numbers, number)
	}
	return numbers
}

// body is made before the clock starts: a pipeline's own work isn't measured.
func (r *records) body(numbers []int) ([]byte, error) {
	batch := client.SyncRequest{
		OrganizationID: benchOrganization, VectorStoreID: benchStore, Mode: client.Incremental,
		Timestamp: time.Now().UTC().Format(time.RFC3339Nano),
	}
	for _, number := range numbers {
		id := recordID(number)
		data := fmt.Sprintf(`{"id":%q,"version":%d,"text":"`, id, r.versions[number])
		data += strings.Repeat("x", max(0, r.bytes-len(data)-2)) + `"}`
		batch.Operations = append(batch.Operations, client.Operation{
			Action: client.Upsert, Namespace: benchNamespace, ID: id, Data: json.RawMessage(data),
		})
	}
	return json.Marshal(batch)
}
