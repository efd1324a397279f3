package netns

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// childEnv has this program be what a lab needs on a host.
const childEnv = "PIPESYNC_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		os.Exit(m.Run())
	}
	err := error(nil)
	if ip, ok := strings.CutPrefix(os.Args[1], "echo "); ok {
		err = echo(ip)
	} else {
		err = Child(os.Args[1], os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// echo sends back what comes by one connection.
func echo(ip string) error {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	_, err = io.Copy(conn, conn)
	return err
}

// Under the race detector each process sleeps a second at its end, if it is let.
var self = []string{"env", childEnv + "=1", "GORACE=atexit_sleep_ms=0", os.Args[0]}

func flow(t *testing.T, lab *Lab, from, to int, s Stream) Flow {
	t.Helper()
	f, err := lab.Flow(t.Context(), self, from, to, s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const (
	// arrives is how long a datagram may take at most that should arrive, and lost, after
	// which time one is taken for lost that should be.
	arrives = 5 * time.Second
	lost    = 200 * time.Millisecond
)

// loses says whether nothing arrives.
func loses(t *testing.T, lab *Lab, from, to int, should bool) bool {
	t.Helper()
	few := Stream{Count: 3, Bytes: 100, Within: arrives}
	if should {
		few.Within = lost
	}
	return flow(t, lab, from, to, few).Arrived == 0
}

// awaitWhole waits until all arrives in the lab: a bridge takes a moment at first.
func awaitWhole(t *testing.T, lab *Lab) {
	t.Helper()
	few := Stream{Count: 5, Bytes: 100, Within: lost}
	for from := Hub; from < len(lab.Hosts); from++ {
		for to := Hub; to < len(lab.Hosts); to++ {
			for from != to && flow(t, lab, from, to, few).Arrived < few.Count {
				if t.Context().Err() != nil {
					t.Fatal(t.Context().Err())
				}
			}
		}
	}
}

func TestCutLink(t *testing.T) {
	t.Run("IPv4", func(t *testing.T) { InHub(t, 3, false, nil, cutLinks) })
	t.Run("IPv6", func(t *testing.T) { InHub(t, 3, true, nil, cutLinks) })
}

// Each direction of each link is cut alone, and nothing else is lost.
func cutLinks(t *testing.T, lab *Lab) {
	if err := CanCutLinks(); err != nil {
		Unavailable(t, err)
	}
	awaitWhole(t, lab)
	for _, cut := range [][2]int{{0, 1}, {1, 0}, {2, 0}, {1, Hub}} {
		must(t, lab.CutLink(cut[0], cut[1]))
		for from := Hub; from < len(lab.Hosts); from++ {
			for to := Hub; to < len(lab.Hosts); to++ {
				if from == to {
					continue
				}
				if lost := loses(t, lab, from, to, cut == [2]int{from, to}); lost != (cut == [2]int{from, to}) {
					t.Errorf("with the link %v cut, from %d to %d: lost is %v", cut, from, to, lost)
				}
			}
		}
		must(t, lab.HealLink(cut[0], cut[1]))
	}
	awaitWhole(t, lab)
}

func TestTwoLinksOfOneHost(t *testing.T) {
	InHub(t, 3, false, nil, func(t *testing.T, lab *Lab) {
		if err := CanCutLinks(); err != nil {
			Unavailable(t, err)
		}
		awaitWhole(t, lab)
		must(t, lab.CutLink(0, 1))
		must(t, lab.CutLink(0, 2))
		must(t, lab.HealLink(0, 1))
		if loses(t, lab, 0, 1, false) {
			t.Error("the link that is healed loses all")
		}
		if !loses(t, lab, 0, 2, true) {
			t.Error("the link that isn't healed loses nothing")
		}
	})
}

// More is sent at once than may wait, in both directions.
func TestSlow(t *testing.T) {
	InHub(t, 2, false, nil, func(t *testing.T, lab *Lab) {
		if err := CanSlow(); err != nil {
			Unavailable(t, err)
		}
		awaitWhole(t, lab)
		much := Stream{Count: 60, Bytes: 1200, Within: time.Second}
		must(t, lab.Slow(0, 32<<10))
		for _, way := range [][2]int{{0, 1}, {1, 0}, {Hub, 0}, {0, Hub}} {
			if f := flow(t, lab, way[0], way[1], much); f.Arrived == 0 || f.Arrived > 50 {
				t.Errorf("from %d to %d: %+v", way[0], way[1], f)
			}
		}
		if f := flow(t, lab, Hub, 1, much); f.Arrived < much.Count {
			t.Errorf("at the other host: %+v", f)
		}
		must(t, lab.Hasten(0))
		if f := flow(t, lab, 1, 0, much); f.Arrived < much.Count {
			t.Errorf("after it: %+v", f)
		}
	})
}
