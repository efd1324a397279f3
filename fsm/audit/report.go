package audit

import (
	"encoding/json"
	"fmt"

	"pipesync/storage"
)

// report is what a member tells the others.
type report struct {
	Marks  []reportedMark  `json:"marks"`
	Scrubs []reportedScrub `json:"scrubs"`
}

type reportedMark struct {
	Index uint64 `json:"index"`
	Chain string `json:"chain"` // hexadecimal
}

type reportedScrub struct {
	Index uint64 `json:"index"`
	Hash  string `json:"hash"` // hexadecimal
}

// Report is what this node has found at the last marks, as JSON. It has at most
// storage.MarksMax marks and maxScrubs scrubs.
func (a *Auditor) Report() []byte {
	b, err := json.Marshal(a.report())
	if err != nil {
		return nil // numbers and texts alone: it can't fail
	}
	return b
}

func (a *Auditor) report() report {
	r := report{Marks: []reportedMark{}, Scrubs: []reportedScrub{}}
	for _, m := range a.marks() {
		r.Marks = append(r.Marks, reportedMark{m.Index, fmt.Sprintf("%016x", m.Chain)})
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.scrubs {
		r.Scrubs = append(r.Scrubs, reportedScrub{s.Index, s.Hash})
	}
	return r
}

// readReport reads what another member says; nothing where it can't be read.
func readReport(b []byte) report {
	var r report
	if json.Unmarshal(b, &r) != nil || len(r.Marks) > storage.MarksMax || len(r.Scrubs) > maxScrubs {
		return report{}
	}
	return r
}

func (r report) marks() (notes []noted) {
	for _, m := range r.Marks {
		notes = append(notes, noted{m.Index, m.Chain})
	}
	return notes
}

func (r report) scrubs() (notes []noted) {
	for _, s := range r.Scrubs {
		notes = append(notes, noted{s.Index, s.Hash})
	}
	return notes
}
