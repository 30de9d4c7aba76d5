package main

import (
	"os"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	os.Args = []string{"gotest", "./..."}
	const good = `{"Action":"start","Package":"a"}
{"Action":"output","Package":"a","Test":"TestX","Output":"=== RUN   TestX\n"}
{"Action":"output","Package":"a","Test":"TestX","Output":"    x_test.go:9: needs a system with /proc\n"}
{"Action":"output","Package":"a","Test":"TestX","Output":"--- SKIP: TestX (0.00s)\n"}
{"Action":"skip","Package":"a","Test":"TestX"}
{"Action":"output","Package":"a","Test":"TestY","Output":"    x_test.go:12: said, and nobody asked\n"}
{"Action":"pass","Package":"a","Test":"TestY"}
{"Action":"output","Package":"a","Output":"PASS\n"}
{"Action":"output","Package":"a","Output":"ok  \ta\t0.1s\n"}
{"Action":"pass","Package":"a"}
{"Action":"output","Package":"b","Output":"ok  \tb\t0.2s\n"}
{"Action":"pass","Package":"b"}
`
	for _, c := range []struct {
		name, events, want string
		good               bool
	}{
		{"as expected", good, "ok  \ta\t0.1s\nskipped: 1 for want of a system\nok  \tb\t0.2s\n", true},
		{"of another reason", strings.ReplaceAll(good, "needs a system with /proc", "not today"),
			"ok  \ta\t0.1s\nskipped: no test\nskipped: a TestX: \"not today\", wanted a reason of setup/gotest\nok  \tb\t0.2s\n", false},
		{"of what is here", strings.ReplaceAll(good, "a system with /proc", "the program go"),
			"ok  \ta\t0.1s\nskipped: no test\nskipped: a TestX: \"needs the program go\", which is here\nok  \tb\t0.2s\n", false},
		{"long, without -short", strings.ReplaceAll(good, "needs a system with /proc", "long: a minute"),
			"ok  \ta\t0.1s\nskipped: no test\nskipped: a TestX: \"long: a minute\", wanted a reason of setup/gotest\nok  \tb\t0.2s\n", false},
		{"failed", `{"ImportPath":"b","Action":"build-output","Output":"b.go:1:1: wrong\n"}
{"Action":"output","Package":"a","Test":"TestX","Output":"=== RUN   TestX\n"}
{"Action":"output","Package":"a","Test":"TestX","Output":"    x_test.go:9: 1, wanted 2\n"}
{"Action":"output","Package":"a","Test":"TestX","Output":"--- FAIL: TestX (0.00s)\n"}
{"Action":"fail","Package":"a","Test":"TestX"}
{"Action":"output","Package":"a","Output":"FAIL\n"}
{"Action":"output","Package":"a","Output":"FAIL\ta\t0.1s\n"}
{"Action":"fail","Package":"a"}
{"Action":"output","Package":"b","Output":"FAIL\tb [build failed]\n"}
{"Action":"fail","Package":"b"}
`, "b.go:1:1: wrong\n--- FAIL: TestX (0.00s)\n    x_test.go:9: 1, wanted 2\nFAIL\nFAIL\ta\t0.1s\nskipped: no test\nFAIL\tb [build failed]\n", true},
	} {
		var out strings.Builder
		if good := report(strings.NewReader(c.events), &out); good != c.good || out.String() != c.want {
			t.Errorf("%s: %v\n%s\nwanted %v\n%s", c.name, good, out.String(), c.good, c.want)
		}
	}
}
