package input

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/internal/study/cube"
)

// groupsOf reads a file of groups.
func groupsOf(t *testing.T, text string) (*cube.Groups, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "groups.csv")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return ReadGroups(path)
}

// TestReadGroups: groups in the file's order, from a list of their own or the prompts' file.
func TestReadGroups(t *testing.T) {
	for name, text := range map[string]string{
		"own":           "prompt,group\nb,warm\na,cold\nc,warm\n",
		"prompts' file": "\ufeffName,prompt,Framing\r\nb,What?,warm\r\na,\"Why, so?\",cold\r\nc,How?,warm\r\n",
		"tabs":          "group\tprompt\nwarm\tb\ncold\ta\nwarm\tc\nwarm\tc\n",
	} {
		g, err := groupsOf(t, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		g.Prompts = []string{"a", "b", "c", "d", "best_e"}
		if got := g.Framings(g.Prompts); !reflect.DeepEqual(got, []string{"warm", "cold", "other"}) {
			t.Errorf("%s: groups %q", name, got)
		}
		if got := g.Members("other", g.Prompts); !reflect.DeepEqual(got, []string{"d", "best_e"}) {
			t.Errorf("%s: other %q", name, got)
		}
		if got := g.About(); !strings.HasPrefix(got, "groups of prompts: warm 2, cold 1, other 2 (d, best_e) (from ") {
			t.Errorf("%s: %s", name, got)
		}
	}
	for text, want := range map[string]string{
		"":                              "empty file",
		"prompt,group\n":                "no rows",
		"prompt,kind\na,b\n":            "line 1: columns prompt, kind, wanted prompt,group",
		"prompt;group\na;b\n":           "line 1: columns prompt;group, wanted prompt,group",
		"prompt,group\na,\n":            "line 2, column 2 (group): prompt a without a group",
		"prompt,group\n,x\n":            "line 2, column 1 (prompt): empty",
		"prompt,group\na,x\nb,x\na,y\n": "line 4, column 2 (group): prompt a is in group x already",
	} {
		if _, err := groupsOf(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, wanted %q in it", text, err, want)
		}
	}
}
