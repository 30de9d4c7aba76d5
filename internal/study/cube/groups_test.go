package cube

import (
	"reflect"
	"strings"
	"testing"
)

// TestGroupsByName: the paper's names are positive and negative, the rest are other, and
// all only where really all are of one group. An adjective without the underscore of the
// paper's names is none: best, käse and emoji are three prompts of one study.
func TestGroupsByName(t *testing.T) {
	for _, c := range []struct{ prompts, groups string }{
		{"worst_a best_a greatest_b terrible_c bad_d good_e", "positive:best_a,greatest_b,good_e negative:worst_a,terrible_c,bad_d"},
		{"best käse emoji", "all:best,käse,emoji"},
		{"käse worst_x best_x", "positive:best_x negative:worst_x other:käse"},
		{"best_x best_y", "positive:best_x,best_y"},
		{"", ""},
	} {
		g := &Groups{Prompts: strings.Fields(c.prompts)}
		var got []string
		for _, name := range g.Framings(g.Prompts) {
			got = append(got, name+":"+strings.Join(g.Members(name, g.Prompts), ","))
		}
		if s := strings.Join(got, " "); s != c.groups {
			t.Errorf("%s: %s, wanted %s", c.prompts, s, c.groups)
		}
	}
	all := []string{"a", "best_x"}
	if g := (&Groups{Prompts: all}); !reflect.DeepEqual(g.Framings(all[:1]), []string{"other"}) {
		t.Errorf("a file with a part of the study's prompts: %q, wanted other", g.Framings(all[:1]))
	}
}
