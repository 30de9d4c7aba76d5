package logprob_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/logprob"
)

// TestMetaMachine: Meta names what computed the numbers, and no folder of the machine.
func TestMetaMachine(t *testing.T) {
	for _, b := range backends(t) {
		t.Run(logprob.BackendName(b), func(t *testing.T) {
			m := load(t, filepath.Join("testdata", "families", "llama-mha"), b, dtypes.Float32)
			meta, err := m.Meta(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if meta.Processor != logprob.Processor() || !strings.HasPrefix(meta.Processor, runtime.GOARCH) {
				t.Errorf("processor %q, wanted %q", meta.Processor, logprob.Processor())
			}
			if meta.Description == "" || strings.Contains(meta.Description, string(filepath.Separator)) {
				t.Errorf("description %q, wanted one without folders", meta.Description)
			}
			if b.String() == "go" {
				if meta.Plugin != "" || meta.PluginHash != "" || !strings.Contains(meta.Description, runtime.Version()) {
					t.Errorf("plugin %q, hash %q, description %q: wanted no plugin, and Go's version", meta.Plugin, meta.PluginHash, meta.Description)
				}
				return
			}
			// Where go-xla keeps the path, which it does not export.
			path := reflect.ValueOf(b).Elem().FieldByName("plugin").Elem().FieldByName("path").String()
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(data)
			if meta.Plugin != filepath.Base(path) || meta.PluginHash != hex.EncodeToString(sum[:]) {
				t.Errorf("plugin %q with hash %s, wanted those of %s", meta.Plugin, meta.PluginHash, path)
			}
		})
	}
}
