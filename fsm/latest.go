package fsm

import (
	"errors"

	"pipesync/storage"
)

// Every request asks for a key and a store, once or twice. A View for each question would
// cost more than the answer.

// Key is View.Key of the state as it is. Errors match ErrNotReady or ErrClosed, or are
// storage's.
func (f *FSM) Key(id string) (key Key, found bool, err error) {
	err = f.latest(func(r storage.Reader) (err error) {
		key, found, err = readKey(r, id)
		return err
	})
	return key, found, err
}

// Store is View.Store of the state as it is. Errors are as of Key.
func (f *FSM) Store(org, name string) (store Store, found bool, err error) {
	err = f.latest(func(r storage.Reader) (err error) {
		store, found, err = readStore(r, org, name)
		return err
	})
	return store, found, err
}

// latest has read see what is committed at each of its calls. An entry may come between
// two of them. What is found then was there before the entry or is after it, since numbers
// are never given again.
func (f *FSM) latest(read func(storage.Reader) error) error {
	h, err := f.acquire()
	if err != nil {
		return err
	}
	return errors.Join(read(h.db), f.release(h))
}
