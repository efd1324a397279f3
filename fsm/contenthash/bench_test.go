package contenthash

import (
	"fmt"
	"testing"
)

// BenchmarkBatch hashes what one full request carries: 5000 records of 200 bytes.
func BenchmarkBatch(b *testing.B) {
	shapes := map[string]string{
		"sorted":   `{"amount":%d.50,"city":"Reykjavík","email":"someone@example.org","id":%d,"name":"A customer with a name","note":"some text that fills the record up to its two hundred bytes","tags":["a","b"],"vip":true}`,
		"unsorted": `{"id":%d,"name":"A customer with a name","email":"someone@example.org","vip":true,"tags":["a","b"],"city":"Reykjavík","amount":%d.50,"note":"some text that fills the record up to its two hundred bytes"}`,
	}
	for shape, format := range shapes {
		b.Run(shape, func(b *testing.B) {
			records := make([][]byte, 5000)
			bytes := 0
			for i := range records {
				records[i] = fmt.Appendf(nil, format, i, i)
				bytes += len(records[i])
			}
			source := []byte("crm")
			b.SetBytes(int64(bytes))
			b.ReportAllocs()
			for b.Loop() {
				var h Hasher
				for _, data := range records {
					if _, err := h.Sum(data, source, nil); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
