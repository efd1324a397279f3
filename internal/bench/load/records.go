package load

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Record is one to write.
type Record struct {
	Number int // from 0, in the order in which they came to be
	ID     string
	Data   string // JSON
}

// Records are those that one place has, by number. Their ids have no order, as those of
// most sources: what comes in one request lies all over the key space. It is for one
// goroutine: requests are made before the clock starts.
type Records struct {
	versions []uint8
	rng      *rand.Rand
}

// NewRecords has none yet. The same calls give the same records.
func NewRecords() *Records { return &Records{rng: rand.New(rand.NewPCG(1, 2))} }

// Len is how many there are.
func (r *Records) Len() int { return len(r.versions) }

// Batches makes the requests of a job. What is fresh or updated in them exists from now on.
func (r *Records) Batches(j Job) ([][]Record, error) {
	existing := r.Len()
	if j.Kind != Fresh && existing < 2*j.Operations {
		return nil, fmt.Errorf("%s of %d records needs more than the %d that there are", j.Kind, j.Operations, existing)
	}
	makers := map[string]func(Job, int) []Record{Fresh: r.fresh, Update: r.update, Repush: r.repush, Read: r.read}
	maker, known := makers[j.Kind]
	if !known {
		return nil, fmt.Errorf("%q is no kind of work", j.Kind)
	}
	all := make([][]Record, j.Requests)
	for i := range all {
		all[i] = maker(j, existing)
	}
	return all, nil
}

func (r *Records) fresh(j Job, _ int) (batch []Record) {
	for range j.Operations {
		r.versions = append(r.versions, 0)
		batch = append(batch, r.record(r.Len()-1, j.Bytes))
	}
	return batch
}

func (r *Records) update(j Job, existing int) (batch []Record) {
	picked := make(map[int]bool, j.Operations)
	for len(batch) < j.Operations {
		if number := r.rng.IntN(existing); !picked[number] {
			picked[number] = true
			r.versions[number]++
			batch = append(batch, r.record(number, j.Bytes))
		}
	}
	return batch
}

// repush takes the records from a multiple of j.Operations on.
func (r *Records) repush(j Job, existing int) (batch []Record) {
	first := r.rng.IntN(existing/j.Operations) * j.Operations
	for number := first; number < first+j.Operations; number++ {
		if number%repushShare == 0 {
			r.versions[number]++
		}
		batch = append(batch, r.record(number, j.Bytes))
	}
	return batch
}

func (r *Records) read(j Job, existing int) (batch []Record) {
	for range j.Operations {
		number := r.rng.IntN(existing)
		batch = append(batch, Record{Number: number, ID: recordID(number)})
	}
	return batch
}

// record has data of so many bytes, or {} where its head alone takes more.
func (r *Records) record(number, bytes int) Record {
	id := recordID(number)
	head := fmt.Sprintf(`{"id":%q,"version":%d,"text":"`, id, r.versions[number])
	room := bytes - len(head) - len(`"}`)
	if room < 0 {
		return Record{Number: number, ID: id, Data: "{}"}
	}
	var data strings.Builder
	data.Grow(bytes + longestWord)
	data.WriteString(head)
	for word := mix(uint64(number)<<8 | uint64(r.versions[number])); data.Len() < bytes; word = mix(word) {
		data.WriteString(words[word%uint64(len(words))])
	}
	return Record{Number: number, ID: id, Data: data.String()[:len(head)+room] + `"}`}
}

func recordID(number int) string { return fmt.Sprintf("doc-%016x", mix(uint64(number))) }

// mix is splitmix64: https://prng.di.unimi.it/splitmix64.c.
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

const longestWord = 12

// words make text that can be compressed about as well as people's.
var words = func() (all [1024]string) {
	for i := range all {
		letters := mix(uint64(i))
		word := make([]byte, 3+letters%(longestWord-3))
		for k := range word {
			letters = mix(letters)
			word[k] = 'a' + byte(letters%26)
		}
		word[len(word)-1] = ' '
		all[i] = string(word)
	}
	return all
}()
