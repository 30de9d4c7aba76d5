package logprob_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/logprob"
)

// TestMerge: a merged checkpoint of every adapter computes without it what peft computes with
// it, in float32; what cannot be merged is refused.
func TestMerge(t *testing.T) {
	backend := pureGo(t)
	for i, c := range adapterCases(t) {
		if testing.Short() && i%4 != 0 {
			continue
		}
		t.Run(filepath.Base(c.dir), func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "merged")
			o := &logprob.MergeOptions{DType: dtypes.Float32, ShardSize: 50_000}
			_, err := logprob.Merge(t.Context(), c.base, c.dir, out, o)
			if name := filepath.Base(c.dir); c.refused == "" && name == "llama-lorabias-none" {
				c.refused = "has no bias that it could be merged into"
			}
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("error %v, wanted one that names %s", err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			m := load(t, out, backend, dtypes.Float32)
			if largest, _ := worst(t, m, readGolden(t, c.dir)); !(largest <= 2e-5) {
				t.Errorf("differs by up to %.2g nats from peft, wanted at most 2e-5", largest)
			}
			if _, err := logprob.Merge(t.Context(), c.base, c.dir, out, o); err == nil || !strings.Contains(err.Error(), "exists, wanted a new folder") {
				t.Errorf("a second time: %v", err)
			}
			o.Force, o.ShardSize = true, 0
			if _, err := logprob.Merge(t.Context(), c.base, c.dir, out, o); err != nil {
				t.Error(err)
			}
			if files, _ := filepath.Glob(filepath.Join(out, "*.safetensors*")); len(files) != 1 {
				t.Errorf("files %v after a merge by force, wanted model.safetensors alone", files)
			}
			again := load(t, out, backend, dtypes.Float32)
			if largest, _ := worst(t, again, readGolden(t, c.dir)); !(largest <= 2e-5) {
				t.Errorf("differs by up to %.2g nats from peft in one file, wanted at most 2e-5", largest)
			}
		})
	}
}
