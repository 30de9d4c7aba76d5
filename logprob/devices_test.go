//go:build !nodaulet

package logprob_test

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"github.com/implicitreward/implicitreward/logprob"
)

// fourDevices is XLA's CPU client, of which a long test needs four devices.
func fourDevices(t *testing.T) compute.Backend {
	t.Helper()
	if testing.Short() {
		t.Skip("XLA compiles for some seconds")
	}
	b, err := onXLA()
	if err != nil {
		t.Skip("needs XLA's plugin: ", err)
	}
	if n := b.NumDevices(); n != 4 {
		t.Skipf("needs a plugin with 4 devices, this one has %d", n)
	}
	return b
}

// TestDevices: each device of XLA's CPU client, and all four together, give the bits of the
// first, under the same keys, and so do those that divide a copy's layers; so does an adapter's model on the base model's devices, where it
// is trained too.
func TestDevices(t *testing.T) {
	b := fourDevices(t)
	const dir = "testdata/families/llama-mha"
	texts := someTexts(80)
	s := &shelf{values: map[[sha256.Size]byte][]byte{}}
	divided := func(devices []int, split int, store logprob.Store) *logprob.Model {
		m, err := logprob.Load(t.Context(), dir, &logprob.Options{Backend: b, Devices: devices, Split: split, Store: store})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		m.SetWindow(100)
		return m
	}
	load := func(devices []int, store logprob.Store) *logprob.Model { return divided(devices, 0, store) }
	first := load(nil, s)
	want := scores(t, first, texts...)
	puts := s.puts
	if puts < 6 {
		t.Fatalf("%d windows, wanted several a device", puts)
	}
	for _, devices := range [][]int{{0}, {1}, {2}, {3}, {2, 0}, {0, 1, 2, 3}} {
		if got := scores(t, load(devices, nil), texts...); !slices.EqualFunc(got, want, equal) {
			t.Errorf("devices %v give other bits", devices)
		}
	}
	for _, devices := range [][]int{{0, 1}, {3, 1}, {1, 0, 2, 3}} {
		if got := scores(t, divided(devices, 2, nil), texts...); !slices.EqualFunc(got, want, equal) {
			t.Errorf("layers that devices %v divide in pairs give other bits", devices)
		}
	}
	if got := scores(t, divided([]int{2, 0, 1}, 3, s), texts...); s.hits != puts || s.puts != puts || !slices.EqualFunc(got, want, equal) {
		t.Errorf("layers on three devices found %d and stored %d windows of %d, or have other bits", s.hits, s.puts-puts, puts)
	}
	s.hits = 0
	if got := scores(t, load([]int{3, 1}, s), texts...); s.hits != puts || s.puts != puts || !slices.EqualFunc(got, want, equal) {
		t.Errorf("two devices found %d and stored %d windows of %d, or have other bits", s.hits, s.puts-puts, puts)
	}

	adapted := func(on *logprob.Model) *logprob.Model {
		m, err := on.WithAdapter(t.Context(), "testdata/adapters/llama-rslora", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		m.SetWindow(100)
		return m
	}
	want = scores(t, adapted(first), texts...)
	m := adapted(load([]int{2, 3}, nil))
	if got := scores(t, m, texts...); !slices.EqualFunc(got, want, equal) {
		t.Error("an adapter's model on two devices has other bits")
	}
	parted := adapted(divided([]int{3, 2}, 2, nil))
	if got := scores(t, parted, texts...); !slices.EqualFunc(got, want, equal) {
		t.Error("an adapter's model whose layers two devices divide has other bits")
	}
	if _, err := parted.Tune(t.Context(), nil); err == nil || !strings.HasSuffix(err.Error(), "tune: a model whose layers 2 devices divide, wanted it on one (Split)") {
		t.Errorf("training where devices divide the layers: error %v", err)
	}
	tuning, err := m.Tune(t.Context(), &logprob.TuneOptions{Tokens: 64})
	if err != nil {
		t.Fatal(err)
	}
	defer tuning.Close()
	holdForward(t, m, tuning, [][]logprob.Request{{logprob.RequestOf(texts[0])}})

	for _, test := range []struct {
		o    logprob.Options
		want string
	}{
		{logprob.Options{Devices: []int{0, 4}}, "no device 4: backend " + logprob.BackendName(b) + " has 4, counted from 0"},
		{logprob.Options{Devices: []int{0, 1, 2}, Split: 2}, "3 devices, wanted a multiple of Split, 2"},
		{logprob.Options{Split: -1}, "1 devices, wanted a multiple of Split, -1"},
		{logprob.Options{Devices: []int{0, 1}, PromptCache: 1}, "2 copies (Devices) and a PromptCache or an AnswerCache, wanted one"},
	} {
		test.o.Backend = b
		if _, err := logprob.Load(t.Context(), dir, &test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, wanted %q", err, test.want)
		}
	}
}

// TestDevicesKinds: what a block hands on beside the residual stream goes with it from device to
// device: lent keys and values, what each block is given, and where a recurrence goes on.
func TestDevicesKinds(t *testing.T) {
	b := fourDevices(t)
	for _, name := range []string{"gemma4-shared", "gemma3n_text-streams", "qwen3_5_text-hybrid"} {
		t.Run(name, func(t *testing.T) {
			load := func(o *logprob.Options) *logprob.Model {
				o.Backend = b
				m, err := logprob.Load(t.Context(), "testdata/families/"+name, o)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { m.Close() }) // so that all share executables
				return m
			}
			texts := someTexts(12)
			want := scores(t, load(&logprob.Options{}), texts...)
			if got := scores(t, load(&logprob.Options{Devices: []int{2, 1}, Split: 2}), texts...); !slices.EqualFunc(got, want, equal) {
				t.Error("two devices that divide the layers give other bits")
			}
			// As accelerators, which keep prompts themselves: those that come again are saved, and serve when they
			// come once more.
			one := load(logprob.Accelerated(&logprob.Options{PromptCache: 1 << 20}))
			two := load(logprob.Accelerated(&logprob.Options{PromptCache: 1 << 20, Devices: []int{3, 0}, Split: 2}))
			for n := range 3 {
				want := scores(t, one, texts...)
				if got := scores(t, two, texts...); !slices.EqualFunc(got, want, equal) {
					t.Errorf("two accelerators that divide the layers give other bits the %d. time", n+1)
				}
			}
		})
	}
}
