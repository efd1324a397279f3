package fsm

import (
	"errors"
	"reflect"
	"testing"
)

// What is asked of the state as it is, is what a view of it says, after each entry.
func TestLatestIsWhatAViewSays(t *testing.T) {
	r := newRig(t)
	r.setUp(10)
	compare := func(after string, there bool) {
		t.Helper()
		v := r.view()
		defer v.Close()
		key, keyFound, err := r.fsm.Key(testKey)
		wantKey, wantKeyFound, viewErr := v.Key(testKey)
		if !reflect.DeepEqual(key, wantKey) || keyFound != wantKeyFound || keyFound != there || errors.Join(err, viewErr) != nil {
			t.Errorf("after %s: key %+v, %t, %v; a view says %+v, %t, %v", after, key, keyFound, err, wantKey, wantKeyFound, viewErr)
		}
		store, storeFound, err := r.fsm.Store(testOrg, testStore)
		wantStore, wantStoreFound, viewErr := v.Store(testOrg, testStore)
		if store != wantStore || storeFound != wantStoreFound || storeFound != there || errors.Join(err, viewErr) != nil {
			t.Errorf("after %s: store %+v, %t, %v; a view says %+v, %t, %v", after, store, storeFound, err, wantStore, wantStoreFound, viewErr)
		}
	}
	compare("its making", true)
	r.mustApply(&KeyRevoke{KeyID: testKey})
	compare("its end", true)
	r.mustApply(&OrgDelete{Org: testOrg})
	compare("its organization's end", false)
	r.close()
	if _, _, err := r.fsm.Key(testKey); !errors.Is(err, ErrClosed) {
		t.Errorf("of what is closed: %v", err)
	}
}
