package arch

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMutations: of 3,000 config.json files in which a key is misspelt or in another case, or
// a value is of another type, each is the model of before or is refused.
func TestMutations(t *testing.T) {
	paths, _ := filepath.Glob(families_ + "/*/config.json")
	show := func(m *Model) string {
		s := fmt.Sprintf("%d %d %d %d %+v", m.V, m.D, m.K, m.Context, m.Ropes)
		for _, b := range m.Blocks {
			s += fmt.Sprintf("\n%+v %v %d %d", b.graph, b.Tensors, b.Rope, b.Back)
		}
		return s
	}
	rng := rand.New(rand.NewPCG(13, 11))
	refused := 0
	for i := range 3000 {
		data, err := os.ReadFile(paths[i%len(paths)])
		if err != nil {
			t.Fatal(err)
		}
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(data, &keys); err != nil {
			t.Fatal(err)
		}
		before, err := New(keys, no)
		if err != nil {
			t.Fatal(paths[i%len(paths)], err)
		}
		want := show(before)
		names := slices.Sorted(maps.Keys(keys))
		name := names[rng.IntN(len(names))]
		to := keys
		nested := map[string]json.RawMessage{}
		outer := ""
		if json.Unmarshal(keys[name], &nested) == nil && len(nested) > 0 {
			outer, to = name, nested
			names = slices.Sorted(maps.Keys(nested))
			name = names[rng.IntN(len(names))]
		}
		value, what := to[name], ""
		if string(value) == "null" {
			continue
		}
		at := rng.IntN(len(name))
		switch rng.IntN(4) {
		case 0:
			what = name[:at] + string("abcdefghijklmnopqrstuvwxyz"[rng.IntN(26)]) + name[at+1:]
		case 1:
			what = name[:at] + name[at+1:]
		case 2:
			what = strings.ToUpper(name)
		case 3:
			b, _ := json.Marshal(string(value))
			to[name] = slices.Concat([]byte("["), b, []byte("]"))
		}
		if what != "" {
			if _, ok := to[what]; ok {
				continue
			}
			delete(to, name)
			to[what] = value
		}
		if outer != "" {
			keys[outer], _ = json.Marshal(nested)
		}
		m, err := New(keys, no)
		if err != nil {
			refused++
		} else if got := show(m); got != want {
			t.Errorf("%s: %s.%s (%s): read as\n%s\nwanted\n%s", paths[i%len(paths)], outer, name, what, got, want)
		}
	}
	t.Logf("%d refused", refused)
	if refused < 1000 {
		t.Errorf("%d refused, wanted most of those with influence", refused)
	}
}
