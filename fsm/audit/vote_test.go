package audit

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// voting builds ballots from what each member has noted, "index:chain …".
func voting(members map[string]string) []ballot {
	var ballots []ballot
	for id, text := range members {
		b := ballot{id: id, voter: id[0] != 'x'}
		for _, note := range strings.Fields(text) {
			index, value, _ := strings.Cut(note, ":")
			n, err := strconv.ParseUint(index, 10, 64)
			if err != nil {
				panic(err)
			}
			b.notes = append(b.notes, noted{n, value})
		}
		ballots = append(ballots, b)
	}
	return ballots
}

func TestVote(t *testing.T) {
	for name, c := range map[string]struct {
		noted map[string]string
		want  map[string]judgement
	}{
		"alone":                      {map[string]string{"a": "1:7"}, map[string]judgement{"a": {Agrees, 1}}},
		"no mark yet":                {map[string]string{"a": "", "b": ""}, map[string]judgement{"a": {Unknown, 0}, "b": {Unknown, 0}}},
		"all the same":               {map[string]string{"a": "1:7 2:8", "b": "1:7 2:8", "c": "1:7 2:8"}, map[string]judgement{"a": {Agrees, 2}, "b": {Agrees, 2}, "c": {Agrees, 2}}},
		"one differs":                {map[string]string{"a": "1:7 2:8", "b": "1:7 2:8", "c": "1:7 2:9"}, map[string]judgement{"a": {Agrees, 2}, "b": {Agrees, 2}, "c": {Diverged, 2}}},
		"one has differed since":     {map[string]string{"a": "1:7 2:8", "b": "1:7 2:8", "c": "1:6 2:9"}, map[string]judgement{"a": {Agrees, 2}, "b": {Agrees, 2}, "c": {Diverged, 1}}},
		"one is down":                {map[string]string{"a": "1:7", "b": "1:7", "c": ""}, map[string]judgement{"a": {Agrees, 1}, "b": {Agrees, 1}, "c": {Unknown, 0}}},
		"one is down, two differ":    {map[string]string{"a": "1:7", "b": "1:8", "c": ""}, map[string]judgement{"a": {Disputed, 1}, "b": {Disputed, 1}, "c": {Unknown, 0}}},
		"two that differ":            {map[string]string{"a": "1:7", "b": "1:8"}, map[string]judgement{"a": {Disputed, 1}, "b": {Disputed, 1}}},
		"all differ":                 {map[string]string{"a": "1:7", "b": "1:8", "c": "1:9"}, map[string]judgement{"a": {Disputed, 1}, "b": {Disputed, 1}, "c": {Disputed, 1}}},
		"one lags and agrees":        {map[string]string{"a": "1:7 2:8", "b": "1:7 2:8", "c": "1:7"}, map[string]judgement{"a": {Agrees, 2}, "b": {Agrees, 2}, "c": {Agrees, 1}}},
		"one lags and differed then": {map[string]string{"a": "1:7 2:8", "b": "1:7 2:8", "c": "1:9"}, map[string]judgement{"a": {Agrees, 2}, "b": {Agrees, 2}, "c": {Diverged, 1}}},
		"a dispute, agreed before":   {map[string]string{"a": "1:7 2:8", "b": "1:7 2:9", "c": "1:7"}, map[string]judgement{"a": {Disputed, 2}, "b": {Disputed, 2}, "c": {Agrees, 1}}},
		"a dispute, decided before":  {map[string]string{"a": "1:7 2:8", "b": "1:6 2:9", "c": "1:7"}, map[string]judgement{"a": {Disputed, 2}, "b": {Diverged, 1}, "c": {Agrees, 1}}},
		"alone with a newer mark":    {map[string]string{"a": "1:7 2:8", "b": "1:7", "c": "1:7"}, map[string]judgement{"a": {Agrees, 1}, "b": {Agrees, 1}, "c": {Agrees, 1}}},
		"a non-voter differs":        {map[string]string{"a": "1:7", "b": "1:7", "x": "1:8"}, map[string]judgement{"a": {Agrees, 1}, "b": {Agrees, 1}, "x": {Diverged, 1}}},
		"non-voters have no vote":    {map[string]string{"a": "1:7", "x": "1:8", "xx": "1:8"}, map[string]judgement{"a": {Agrees, 1}, "x": {Diverged, 1}, "xx": {Diverged, 1}}},
	} {
		if diff := cmp.Diff(c.want, vote(voting(c.noted), nil), cmp.AllowUnexported(judgement{})); diff != "" {
			t.Errorf("%s (-want +got): %s", name, diff)
		}
	}
}

func TestVoteRemembersWhoWasWrong(t *testing.T) {
	known := map[string]uint64{"c": 2}
	for name, c := range map[string]struct {
		noted map[string]string
		want  map[string]judgement
	}{
		"raises no doubt":        {map[string]string{"a": "3:7", "b": "", "c": "3:8"}, map[string]judgement{"a": {Unknown, 0}, "b": {Unknown, 0}, "c": {Diverged, 2}}},
		"is wrong still":         {map[string]string{"a": "3:7", "b": "3:7", "c": "3:8"}, map[string]judgement{"a": {Agrees, 3}, "b": {Agrees, 3}, "c": {Diverged, 3}}},
		"says nothing":           {map[string]string{"a": "3:7", "b": "3:7", "c": ""}, map[string]judgement{"a": {Agrees, 3}, "b": {Agrees, 3}, "c": {Diverged, 2}}},
		"was right before":       {map[string]string{"a": "1:7", "b": "1:7", "c": "1:7"}, map[string]judgement{"a": {Agrees, 1}, "b": {Agrees, 1}, "c": {Diverged, 2}}},
		"is wrong again":         {map[string]string{"a": "2:7 3:8", "b": "2:7 3:8", "c": "2:7 3:9"}, map[string]judgement{"a": {Agrees, 3}, "b": {Agrees, 3}, "c": {Diverged, 3}}},
		"has come back":          {map[string]string{"a": "2:7", "b": "2:7", "c": "2:7"}, map[string]judgement{"a": {Agrees, 2}, "b": {Agrees, 2}, "c": {Agrees, 2}}},
		"two others that differ": {map[string]string{"a": "3:7", "b": "3:6", "c": "3:8"}, map[string]judgement{"a": {Disputed, 3}, "b": {Disputed, 3}, "c": {Diverged, 2}}},
	} {
		if diff := cmp.Diff(c.want, vote(voting(c.noted), known), cmp.AllowUnexported(judgement{})); diff != "" {
			t.Errorf("%s (-want +got): %s", name, diff)
		}
	}
}

// TestVoteNeverAccusesTheRight: of members of which a majority has one history, and
// the others went another way at some mark, with reports that lag or are missing,
// none is said to have diverged before it did, or to agree after.
func TestVoteNeverAccusesTheRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 7).Draw(t, "members")
		wrong := rapid.IntRange(0, (size-1)/2).Draw(t, "wrong")
		var ballots []ballot
		wentWrong := map[string]int{}
		for i := range size {
			b := ballot{id: fmt.Sprint(i), voter: true}
			from := 100
			if i < wrong {
				from = rapid.IntRange(1, 10).Draw(t, "wrong from")
			}
			wentWrong[b.id] = from
			first := rapid.IntRange(1, 10).Draw(t, "first")
			for index := first; index <= rapid.IntRange(0, 10).Draw(t, "last"); index++ {
				value := "right"
				if index >= from {
					value = rapid.SampledFrom([]string{"one way", "another"}).Draw(t, "way") // two may go wrong alike
				}
				b.notes = append(b.notes, noted{uint64(index), value})
			}
			ballots = append(ballots, b)
		}
		judged := vote(ballots, nil)
		for id, from := range wentWrong {
			switch j := judged[id]; {
			case j.verdict == Diverged && (from == 100 || int(j.at) < from):
				t.Fatalf("member %s is right until %d: %+v", id, from, j)
			case j.verdict == Agrees && int(j.at) >= from:
				t.Fatalf("member %s went wrong at %d: %+v", id, from, j)
			}
		}
		if !maps.Equal(vote(ballots, nil), judged) {
			t.Fatal("the vote depends on something else")
		}
	})
}
