package fsm

// Outline is what the operations of a sync are about.
type Outline struct {
	Namespaces []string // distinct, in the order in which they are first named
	Uses       []Use    // distinct but for the index, in the order of their indexes
}

// Use is the first operation of its action in its namespace.
type Use struct {
	Action    Action
	Namespace string
	Index     int
}

// Outline goes through the operations once.
func (s *Sync) Outline() Outline {
	var o Outline
	seen := map[string][Delete + 1]bool{}
	for i := range s.Operations {
		op := &s.Operations[i]
		if i > 0 && op.Namespace == s.Operations[i-1].Namespace && op.Action == s.Operations[i-1].Action {
			continue
		}
		actions, named := seen[op.Namespace]
		if !named {
			o.Namespaces = append(o.Namespaces, op.Namespace)
		}
		if !actions[op.Action] {
			actions[op.Action] = true
			seen[op.Namespace] = actions
			o.Uses = append(o.Uses, Use{op.Action, op.Namespace, i})
		}
	}
	return o
}
