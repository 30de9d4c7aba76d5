//go:build !nodaulet

package rewardmodel

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/go-xla/compute/xla"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// plugin is the XLA plugin on which numbers are compared beside the pure-Go backend: cpu, cuda, or a file's path.
var plugin = flag.String("xla", "cpu", "compare numbers on this `plugin` of XLA: cpu, cuda, or a file")

var onXLA = sync.OnceValues(func() (compute.Backend, error) {
	xla.EnableAutoInstall(false)
	return compute.NewWithConfig("xla:" + *plugin + ",tf32=false")
})

// someItems are items of a few prompts, mixed.
func someItems() []implicit.Item {
	var all []implicit.Item
	for i, prompt := range []string{"What, in one word, is the greatest thing ever?", "Hello world", "What?"} {
		for _, reply := range []string{"freedom", "love", "tenderness and trust", "a"} {
			it := implicit.Item{Prompt: prompt, Reply: reply}
			if i == 1 {
				it = implicit.Item{Messages: slices.Concat(it.Conversation(), []tokenize.Message{{Role: "assistant", Content: "Hi."}, {Role: "user", Content: "Go on."}}), Reply: reply}
			}
			all = append(all, it)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// scores returns the results of items in their order.
func scores(t *testing.T, m RM, items []implicit.Item) []Result {
	t.Helper()
	var all []Result
	for s, err := range Scores(t.Context(), m, slices.Values(items)) {
		if err != nil || s.Err != nil {
			t.Fatal(err, s.Err)
		}
		all = append(all, s.Result)
	}
	return all
}

// TestCompany: a score has the same bits alone and in any company, of heads of every kind. It
// holds in float32 on XLA's CPU client alone, as of log-probabilities (BatchInvariant).
func TestCompany(t *testing.T) {
	if testing.Short() {
		t.Skip("XLA compiles for too long")
	}
	backend, err := onXLA()
	if err != nil {
		t.Skip("needs XLA's plugin: ", err)
	}
	for _, dir := range []string{"testdata/heads/armorm", "testdata/heads/qrm-gemma"} {
		m, err := load(t, dir, &Options{Model: logprob.Options{Backend: backend, DType: dtypes.Float32}})
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := m.BatchInvariant(); err != nil || !ok {
			t.Skipf("products of this processor depend on their company (%v)", err)
		}
		items := someItems()
		together := scores(t, m, items)
		for i, it := range items {
			if alone := scores(t, m, []implicit.Item{it}); !reflect.DeepEqual(alone[0], together[i]) {
				t.Errorf("%s: %q alone %+v, together %+v", dir, it.Reply, alone[0], together[i])
			}
		}
		slices.Reverse(items)
		reversed := scores(t, m, items)
		slices.Reverse(reversed)
		if !reflect.DeepEqual(reversed, together) {
			t.Errorf("%s: in another order other bits", dir)
		}
	}
}

// memory is a logprob.Store that counts.
type memory struct {
	sync.Mutex
	values map[[sha256.Size]byte][]byte
	found  int
}

func (m *memory) Get(key [sha256.Size]byte) ([]byte, bool, error) {
	m.Lock()
	defer m.Unlock()
	v, ok := m.values[key]
	if ok {
		m.found++
	}
	return v, ok, nil
}

func (m *memory) Put(key [sha256.Size]byte, value []byte) error {
	m.Lock()
	defer m.Unlock()
	m.values[key] = slices.Clone(value)
	return nil
}

// TestResume: a run that is started again takes the states from the store.
func TestResume(t *testing.T) {
	for _, dir := range []string{"testdata/heads/armorm", "testdata/heads/qrm-gemma"} {
		store := &memory{values: map[[sha256.Size]byte][]byte{}}
		backend := pureGo(t)
		var want []Result
		for run, o := range []logprob.Options{{Store: store}, {Store: store}} {
			o.Backend = backend
			m, err := load(t, dir, &Options{Model: o})
			if err != nil {
				t.Fatal(err)
			}
			got := scores(t, m, someItems())
			if run == 0 {
				want = got
			} else if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: run %d: %+v, wanted %+v", dir, run, got, want)
			}
			if (store.found > 0) != (run > 0) {
				t.Errorf("%s: run %d found %d batches", dir, run, store.found)
			}
		}
	}
}

// TestEnds: what ends a run ends it once, after the results before it.
func TestEnds(t *testing.T) {
	m, err := load(t, "testdata/heads/linear-score", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]int32{"no tokens": {}, "an id": {1 << 20}, "-1": {-1}, "length": make([]int32, 1<<16)} {
		n, failed := 0, 0
		for _, err := range m.Run(t.Context(), slices.Values([]tokenize.Encoded{{IDs: []int32{1, 2}}, {IDs: bad}, {IDs: []int32{3}}})) {
			if err != nil {
				failed++
				continue
			}
			n++
		}
		if n > 1 || failed != 1 {
			t.Errorf("%s: %d results and %d errors", name, n, failed)
		}
	}
	for range m.Run(t.Context(), slices.Values([]tokenize.Encoded{{IDs: []int32{1, 2}}, {IDs: []int32{1, 3}}})) {
		break
	}
	if got := results(t, m, tokenize.Encoded{IDs: []int32{1, 2}}); fmt.Sprint(got[0].Position) != "1" {
		t.Error(got)
	}
}
