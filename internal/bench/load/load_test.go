package load

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestRunSendsEachRequestOnce(t *testing.T) {
	j := Job{Clients: 4, Requests: 100, Operations: 3}
	var sent [100]atomic.Int32
	f, err := Run(t.Context(), j, func(_ context.Context, client, request int) error {
		if client < 0 || client >= j.Clients {
			t.Errorf("there is no client %d", client)
		}
		sent[request].Add(1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range sent {
		if n := sent[i].Load(); n != 1 {
			t.Errorf("request %d was sent %d times", i, n)
		}
	}
	if f.Requests != 100 || f.Records != 300 || f.Seconds <= 0 || f.RecordsPerSecond() != 300/f.Seconds {
		t.Errorf("figures %+v", f)
	}
}

func TestRunEndsAtTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	var sent atomic.Int32
	_, err := Run(t.Context(), Job{Clients: 2, Requests: 1000}, func(ctx context.Context, _, request int) error {
		sent.Add(1)
		if request == 3 {
			return broken
		}
		if request > 3 {
			<-ctx.Done() // it is told
		}
		return ctx.Err()
	})
	if !errors.Is(err, broken) || sent.Load() > 6 {
		t.Errorf("after %d requests: %v", sent.Load(), err)
	}
	if _, err := Run(t.Context(), Job{Clients: 1}, nil); err == nil {
		t.Error("a job without requests was done")
	}
}

func TestPercentile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	for percent, want := range map[int]time.Duration{0: 1, 1: 1, 50: 50, 99: 99, 100: 100} {
		if got := Percentile(hundred, percent); got != want {
			t.Errorf("percentile %d: %d, want %d", percent, got, want)
		}
	}
	if got := Percentile([]int{7, 8}, 99); got != 8 {
		t.Errorf("of two: %d", got)
	}
}

func TestDriverCarriesJobsAndErrors(t *testing.T) {
	answers := new(strings.Builder)
	jobs := `{"kind":"fresh","clients":1,"operations":2,"requests":3,"bytes":4,"to":"leader"}` + "\n" + `{"kind":"no such"}` + "\n"
	var got []Job
	err := Serve(t.Context(), strings.NewReader(jobs), answers, func(_ context.Context, j Job) (Figures, error) {
		got = append(got, j)
		if j.Kind != Fresh {
			return Figures{}, errors.New("what is that?")
		}
		return Figures{Seconds: 1.5, Requests: 3, Records: 6, P50: 2, P99: 4}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Job{Fresh, 1, 2, 3, 4, Leader}); len(got) != 2 || got[0] != want {
		t.Errorf("jobs %+v", got)
	}
	d := newDriver("driver", nil, strings.NewReader(answers.String()))
	if f, err := d.answer(); err != nil || f != (Figures{1.5, 3, 6, 2, 4}) {
		t.Errorf("figures %+v, %v", f, err)
	}
	if _, err := d.answer(); err == nil || !strings.Contains(err.Error(), "what is that?") {
		t.Errorf("the error came as %v", err)
	}
	if _, err := d.answer(); err == nil {
		t.Error("an answer came from nowhere")
	}
	if err := Serve(t.Context(), strings.NewReader("{"), answers, nil); err == nil {
		t.Error("half a job was taken")
	}
}
