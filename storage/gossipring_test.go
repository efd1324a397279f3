package storage

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// Whatever prints a ring keeps its keys to itself.
func TestGossipKeysAreNotPrinted(t *testing.T) {
	key := GossipKey(bytes.Repeat([]byte("k7"), 16))
	ring := GossipRing{Revision: 1, Keys: []GossipRingKey{{Key: key}}}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("ring", "ring", ring, "key", key)
	slog.New(slog.NewTextHandler(&log, nil)).Info("ring", "ring", ring, "key", key)
	for _, text := range []string{
		log.String(), fmt.Sprint(ring, key, &ring), fmt.Sprintf("%+v %#v %s %q %x %X %d", ring, ring, key, key, key, key, key),
	} {
		for _, told := range []string{"k7k7", "6b37", "6B37", "107 55", "107,55", "0x6b, 0x37", "azdr"} {
			if strings.Contains(text, told) {
				t.Errorf("%q has %q", text, told)
			}
		}
	}
}

func TestGossipRingDamaged(t *testing.T) {
	two := []GossipRingKey{{AddedAt: 1}, {AddedAt: 2}}
	for what, ring := range map[string]GossipRing{
		"no revision": {Keys: two}, "no keys": {Revision: 1}, "no primary": {Revision: 1, Keys: two, Primary: 2},
		"three keys": {Revision: 1, Keys: append(two, GossipRingKey{})},
	} {
		if _, err := recodeRow(kindGossipRing, encodeRow(ring)); err == nil {
			t.Errorf("%s: it decodes", what)
		}
	}
}
