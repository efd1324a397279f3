package fsm

import "testing"

// Whatever may be in a log, or come out of Apply, has a name of its own.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for k, format := range decoders {
		name := Kind(k).Name()
		if (name != "") != (format.decode != nil) || seen[name] && name != "" {
			t.Errorf("kind %d is named %q", k, name)
		}
		seen[name] = true
	}
	if got := len(Kinds()); got != len(seen)-1 || Kind(255).Name() != "" {
		t.Errorf("%d kinds, %d names", got, len(seen)-1)
	}
	seen = map[string]bool{}
	for _, o := range Outcomes() {
		if o.Name() == "" || seen[o.Name()] {
			t.Errorf("outcome %d is named %q", o, o.Name())
		}
		seen[o.Name()] = true
	}
	for o := range Outcome(255) {
		if o.known() != (o.Name() != "") {
			t.Errorf("outcome %d is named %q, and known: %t", o, o.Name(), o.known())
		}
	}
}
