package words

import (
	"strings"
	"testing"

	"github.com/implicitreward/implicitreward/implicit/lexicon"
)

// TestVariants: one thing at a time, none twice, none that is the default.
func TestVariants(t *testing.T) {
	for _, c := range []struct {
		def        Variant
		dimensions []string
		dtypes     [2]string
		want       string
	}{
		{Variant{BaseAs: "raw", TunedAs: "chat", Forms: lexicon.AllForms(), Measure: Pooled}, Dimensions(), [2]string{"bf16", "bf16"},
			"default rendering=raw/raw rendering=chat/chat forms=no-space forms=space forms=word forms=space-word measure=exact measure=ended measure=paper dtype=f32"},
		{Variant{BaseAs: "chat", TunedAs: "raw", Forms: []lexicon.Form{" {}"}, Measure: Exact}, []string{"measure", "forms", "rendering"}, [2]string{"f32", "f32"},
			"default rendering=raw/raw rendering=raw/chat rendering=chat/chat forms=all measure=pooled measure=ended measure=paper"},
		{Variant{BaseAs: "raw", TunedAs: "chat", Forms: []lexicon.Form{"{title}"}, Measure: Paper}, []string{"dtype"}, [2]string{"bf16", "f32"},
			"default dtype=f32 dtype=bf16"},
	} {
		all, err := variants(c.def, c.dimensions, c.dtypes)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, v := range all {
			names = append(names, v.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("variants %s, wanted %s", got, c.want)
		}
	}
	_, err := NewSensitivity(nil, Variant{Forms: lexicon.AllForms()}, []string{"measures"}, [2]string{})
	if want := `words: sensitivity: dimension "measures", wanted one of rendering, forms, measure, dtype`; err == nil || err.Error() != want {
		t.Errorf("error %v, wanted %s", err, want)
	}
	if _, err := NewSensitivity(nil, Variant{}, nil, [2]string{}); err == nil {
		t.Error("a default without forms is taken")
	}
}
