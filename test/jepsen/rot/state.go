package rot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// tableTries is how many places are tried until one is found that is live.
	tableTries = 20
	// tableTailBytes are torn off a table.
	tableTailBytes = 512
)

// database is where the database of the state in dir, a node's directory, is.
func database(dir string) (string, error) {
	name, err := os.ReadFile(filepath.Join(dir, "state", "CURRENT"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrNothing
	}
	return filepath.Join(dir, "state", strings.TrimSuffix(string(name), "\n")), err
}

// TableBlock is a block of a table of the state that is read with its rows. That is
// tried: on a copy in which a bit of it is flipped not all rows can be read.
func TableBlock(dir string, rng *rand.Rand) (Place, error) {
	return inTables(dir, rng, func(path string) (Place, error) {
		blocks, err := dataBlocks(path)
		if err != nil || len(blocks) == 0 {
			return Place{}, errors.Join(err, ErrNothing)
		}
		n := rng.IntN(len(blocks))
		p := blocks[n]
		p.What = fmt.Sprintf("block %d of %d of %s", n+1, len(blocks), filepath.Base(path))
		return p, nil
	}, func(p Place) error {
		_, err := p.Flip(rng)
		return err
	})
}

// TableTail is the end of a table of the state, without which not all rows can be read.
func TableTail(dir string, rng *rand.Rand) (Place, error) {
	return inTables(dir, rng, func(path string) (Place, error) {
		info, err := os.Stat(path)
		if err != nil || info.Size() <= tableTailBytes {
			return Place{}, errors.Join(err, ErrNothing)
		}
		return Place{File: path, Offset: info.Size() - tableTailBytes, Length: tableTailBytes, What: "the end of " + filepath.Base(path)}, nil
	}, Place.Zero)
}

// inTables has find look for a place in tables that the newest version of the database
// has, until damage to it shows.
func inTables(dir string, rng *rand.Rand, find func(path string) (Place, error), damage func(Place) error) (found Place, err error) {
	from, err := database(dir)
	if err != nil {
		return Place{}, err
	}
	for range tableTries {
		err = scratch(dir, func(aside string) error {
			if err := cloneDatabase(from, aside); err != nil {
				return err
			}
			tables, err := liveTables(aside)
			if err != nil || len(tables) == 0 {
				return errors.Join(err, ErrNothing)
			}
			table := tables[rng.IntN(len(tables))]
			trial := filepath.Join(aside, table)
			if found, err = find(filepath.Join(from, table)); err != nil {
				return err
			}
			// The table of the clone is a link: it gets bytes of its own.
			if err := errors.Join(os.Remove(trial), copyFile(found.File, trial)); err != nil {
				return err
			}
			copied := found
			copied.File = trial
			if err := damage(copied); err != nil {
				return err
			}
			if readable(aside) {
				return ErrNothing
			}
			found.Told = table
			return nil
		})
		if !errors.Is(err, ErrNothing) {
			return found, err
		}
	}
	return Place{}, ErrNothing
}

// cloneDatabase makes a database of its own in to, an empty directory: tables are links.
func cloneDatabase(from, to string) error {
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, f := range files {
		how := copyFile
		if strings.HasSuffix(f.Name(), ".sst") {
			how = os.Link
		}
		if f.Name() == "LOCK" {
			continue
		}
		if err := how(filepath.Join(from, f.Name()), filepath.Join(to, f.Name())); err != nil {
			return err
		}
	}
	return nil
}

// reading are the options to read with. They report nothing: errors are returned as well.
func reading() *pebble.Options {
	return &pebble.Options{
		ReadOnly: true, Logger: quiet{}, FormatMajorVersion: pebble.FormatNewest,
		EventListener: &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}},
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(f string, args ...any) {
	panic(fmt.Sprintf(f, args...))
}

// liveTables are the names of the tables of which the database consists.
func liveTables(db string) (names []string, err error) {
	d, err := pebble.Open(db, reading())
	if err != nil {
		return nil, err
	}
	levels, err := d.SSTables()
	for _, level := range levels {
		for _, table := range level {
			names = append(names, fmt.Sprintf("%s.sst", table.BackingSSTNum))
		}
	}
	return names, errors.Join(err, d.Close())
}

// Readable says that all rows of the state in dir, a node's directory, can be read.
func Readable(dir string) (whole bool, err error) {
	from, err := database(dir)
	if err != nil {
		return false, err
	}
	err = scratch(dir, func(aside string) error {
		if err := cloneDatabase(from, aside); err != nil {
			return err
		}
		whole = readable(aside)
		return nil
	})
	return whole, err
}

// readable says that all rows of a database can be read.
func readable(db string) bool {
	d, err := pebble.Open(db, reading())
	if err != nil {
		return false
	}
	rows, err := d.NewIter(nil)
	if err == nil {
		for valid := rows.First(); valid; valid = rows.Next() {
			if _, err = rows.ValueAndErr(); err != nil {
				break
			}
		}
		err = errors.Join(err, rows.Error(), rows.Close())
	}
	return errors.Join(err, d.Close()) == nil
}

// dataBlocks are where a table has its rows.
func dataBlocks(path string) (places []Place, err error) {
	file, err := vfs.Default.Open(path)
	if err != nil {
		return nil, err
	}
	readable, err := sstable.NewSimpleReadable(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	table, err := sstable.NewReader(context.Background(), readable, sstable.ReaderOptions{})
	if err != nil {
		return nil, errors.Join(err, readable.Close())
	}
	layout, err := table.Layout()
	if err == nil {
		for _, block := range layout.Data {
			places = append(places, Place{File: path, Offset: int64(block.Offset), Length: int64(block.Length)})
		}
	}
	return places, errors.Join(err, table.Close())
}
