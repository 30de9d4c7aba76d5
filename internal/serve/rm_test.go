package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/implicitreward/implicitreward/implicit"
	"github.com/implicitreward/implicitreward/implicit/implicittest"
	"github.com/implicitreward/implicitreward/implicit/rewardmodel"
	"github.com/implicitreward/implicitreward/tokenize"
)

// fakeRM is a reward model of bytes whose outputs are a hash of the text.
func fakeRM(names ...string) *RM {
	m := &implicittest.FakeRM{Seed: 3, Names: names, Limit: 200}
	return &RM{RM: m, Name: "fake/rm", VocabSize: 257, Facts: rewardmodel.Meta{Head: "linear: score.weight [1 4]"}}
}

// alone makes a server of a reward model.
func alone(t testing.TB, rm *RM, change func(*Options)) *Server {
	t.Helper()
	return serving(t, nil, nil, func(o *Options) {
		o.RM = rm
		if change != nil {
			change(o)
		}
	})
}

// truth are the results of the fake for a prompt and replies.
func truth(t testing.TB, rm *RM, prompt string, replies ...string) (texts []tokenize.Encoded, results []rewardmodel.Result) {
	t.Helper()
	for _, reply := range replies {
		text, err := rm.Encode(implicit.Item{Prompt: prompt, Reply: reply})
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	for r, err := range rm.Run(t.Context(), slices.Values(texts)) {
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	return texts, results
}

// rewarded is an answer of /v1/reward as a client reads it.
type rewarded struct {
	Object, Model, Head, Output, Pooling string
	Normalize                            bool
	Rendering                            rmRendering
	Data                                 []struct {
		Index     int
		Reward    float64
		Outputs   map[string]float64
		Weights   map[string]float64
		Quantiles map[string][]float64
		Position  int
		Tokens    int
		Flags     []string
		IDs       []int32
	}
	Usage usage
}

func quote(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// TestExplicit: /v1/reward gives the model's own numbers, by the names of its outputs, alone
// and beside a pair.
func TestExplicit(t *testing.T) {
	document := readDocument(t)
	for _, names := range [][]string{nil, {"helpful", "<b>", "verbose"}} {
		rm := fakeRM(names...)
		rm.Facts.Output = "helpful"
		for _, s := range []*Server{alone(t, rm, nil), serving(t, newFake(), newFake(), func(o *Options) { o.RM = rm })} {
			replies := []string{"power", " love, and 😀", "x"}
			texts, want := truth(t, rm, "What is it?", replies...)
			w := post(s.Handler(), "/v1/reward", `{"prompt":"What is it?","replies":`+quote(replies)+`,"ids":true,"model":"fake/rm"}`)
			document.answered(t, "POST", "/v1/reward", w)
			got := object[rewarded](t, w)
			tokens := 0
			for i, r := range want {
				d := got.Data[i]
				if d.Index != i || d.Reward != r.Reward || d.Position != r.Position || d.Tokens != len(texts[i].IDs) || !slices.Equal(d.IDs, texts[i].IDs) || len(d.Outputs) != len(r.Outputs) {
					t.Errorf("%+v, wanted %+v", d, r)
				}
				for n, name := range rm.Outputs() {
					if d.Outputs[name] != r.Outputs[n] {
						t.Errorf("output %s is %v, wanted %v", name, d.Outputs[name], r.Outputs[n])
					}
				}
				tokens += d.Tokens
			}
			if got.Model != "fake/rm" || got.Head != rm.Facts.Head || got.Output != "helpful" || got.Pooling != "last" || got.Rendering.As != "chat" || got.Usage.TotalTokens != tokens {
				t.Errorf("%+v", got)
			}
			one := object[rewarded](t, post(s.Handler(), "/v1/reward", `{"messages":[{"role":"user","content":"What is it?"}],"reply":"power","model":"rm"}`))
			if one.Data[0].Reward != want[0].Reward || one.Data[0].IDs != nil {
				t.Errorf("%+v, wanted %v", one.Data[0], want[0].Reward)
			}
		}
	}
}

// weighted is a model whose head weighs its outputs, with quantiles.
type weighted struct{ implicittest.FakeRM }

func (w *weighted) Run(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[rewardmodel.Result, error] {
	return func(yield func(rewardmodel.Result, error) bool) {
		for r, err := range w.FakeRM.Run(ctx, texts) {
			r.Weights, r.Flags = []float64{0.25, 0.75}, []string{rewardmodel.FlagPooling}
			r.Quantiles = [][]float64{{r.Outputs[0] - 1, r.Outputs[0] + 1}, {r.Outputs[1], r.Outputs[1]}}
			if !yield(r, err) {
				return
			}
		}
	}
}

// TestWeights: weights, quantiles and flags of a head that has them are answered by name.
func TestWeights(t *testing.T) {
	rm := &RM{RM: &weighted{implicittest.FakeRM{Names: []string{"a", "b"}}}, Name: "w", VocabSize: 257, Facts: rewardmodel.Meta{Head: "qrm: regression_layer.weight [4 4]"}}
	s := alone(t, rm, nil)
	w := post(s.Handler(), "/v1/reward", `{"prompt":"a","reply":"b"}`)
	readDocument(t).answered(t, "POST", "/v1/reward", w)
	d := object[rewarded](t, w).Data[0]
	if d.Weights["a"] != 0.25 || d.Weights["b"] != 0.75 || len(d.Quantiles["a"]) != 2 || d.Quantiles["a"][1] != d.Outputs["a"]+1 || !slices.Equal(d.Flags, []string{"pooling"}) {
		t.Errorf("%s", w.Body)
	}
	for path, body := range map[string]string{"/classify": `{"input":[1,2]}`, "/score": `{"text_1":"a","text_2":"b"}`} {
		if w := post(s.Handler(), path, body); w.Code != 400 || *refusal(t, w).Param != "use_activation" {
			t.Errorf("%s: %d %s, wanted no activation for a gated head", path, w.Code, w.Body)
		}
		if w := post(s.Handler(), path, strings.TrimSuffix(body, "}")+`,"use_activation":false}`); w.Code != 200 || !strings.Contains(w.Body.String(), `"flags":["pooling"]`) {
			t.Errorf("%s: %d %s, wanted the outputs", path, w.Code, w.Body)
		}
	}
}

// TestVLLM: /classify, /pooling and /score give vLLM's numbers: its activation where a client
// does not say, and the outputs themselves where it wants none.
func TestVLLM(t *testing.T) {
	document := readDocument(t)
	ask := func(t *testing.T, s *Server, path, body string) map[string]any {
		t.Helper()
		w := post(s.Handler(), path, body)
		document.answered(t, "POST", path, w)
		return object[map[string]any](t, w)
	}
	values := func(v any, field string) (all [][]float64) {
		for _, d := range v.(map[string]any)["data"].([]any) {
			switch x := d.(map[string]any)[field].(type) {
			case float64:
				all = append(all, []float64{x})
			case []any:
				var list []float64
				for _, v := range x {
					list = append(list, v.(float64))
				}
				all = append(all, list)
			}
		}
		return all
	}
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	soft := func(x []float64) []float64 {
		sum, out := 0.0, make([]float64, len(x))
		for _, v := range x {
			sum += math.Exp(v)
		}
		for i, v := range x {
			out[i] = math.Exp(v) / sum
		}
		return out
	}
	each := func(x []float64) []float64 {
		out := slices.Clone(x)
		for i := range out {
			out[i] = sigmoid(out[i])
		}
		return out
	}
	same := func(x []float64) []float64 { return x }
	for _, c := range []struct {
		problem string
		names   []string
		use     string // the field in a request
		want    func([]float64) []float64
	}{
		{"", nil, "", each}, {"", nil, `,"use_activation":true`, each}, {"", nil, `,"use_activation":false`, same}, {"", nil, `,"activation":false`, same}, {"", nil, `,"use_activation":null`, each},
		{"", []string{"a", "b", "c"}, "", soft}, {"", []string{"a", "b"}, `,"use_activation":false`, same},
		{"single_label_classification", []string{"a", "b"}, "", soft}, {"multi_label_classification", []string{"a", "b"}, "", each}, {"regression", nil, "", same}, {"regression", []string{"a", "b"}, `,"use_activation":true`, same},
	} {
		rm := fakeRM(c.names...)
		rm.Problem = c.problem
		s := alone(t, rm, nil)
		texts, want := truth(t, rm, "What?", "yes", "no, never")
		ids := quote([][]int32{texts[0].IDs, texts[1].IDs})
		classified := ask(t, s, "/classify", `{"model":"fake/rm","input":`+ids+c.use+`}`)
		pooled := ask(t, s, "/pooling", `{"task":"classify","input":`+ids+c.use+`}`)
		for i, r := range want {
			w := c.want(r.Outputs)
			for _, got := range [][]float64{values(classified, "probs")[i], values(pooled, "data")[i]} {
				for n := range w {
					if len(got) != len(w) || math.Abs(got[n]-w[n]) > 1e-15 {
						t.Errorf("%+v: %v, wanted %v", c, got, w)
					}
				}
			}
			d := classified["data"].([]any)[i].(map[string]any)
			if best := slices.Index(r.Outputs, slices.Max(r.Outputs)); d["label"] != rm.Outputs()[best] || d["num_classes"] != float64(len(w)) {
				t.Errorf("%v, wanted the label %s", d, rm.Outputs()[best])
			}
		}
	}
	rm := fakeRM()
	s := alone(t, rm, nil)
	_, want := truth(t, rm, "What?", "yes", "no, never")
	for _, names := range [][2]string{{"text_1", "text_2"}, {"queries", "documents"}, {"queries", "items"}, {"data_1", "data_2"}} {
		for _, first := range []string{`"What?"`, `["What?"]`, `["What?","What?"]`} {
			for _, path := range []string{"/score", "/v1/score"} {
				body := fmt.Sprintf(`{%q:%s,%q:["yes","no, never"]`, names[0], first, names[1])
				plain, raw := values(ask(t, s, path, body+"}"), "score"), values(ask(t, s, path, body+`,"use_activation":false}`), "score")
				for i, r := range want {
					if math.Abs(plain[i][0]-sigmoid(r.Reward)) > 1e-15 || raw[i][0] != r.Reward {
						t.Errorf("%s: %v and %v, wanted %v", body, plain[i], raw[i], r.Reward)
					}
				}
			}
		}
	}
	if id := ask(t, s, "/score", `{"text_1":"a","text_2":"b","request_id":"mine"}`)["id"]; id != "score-mine" {
		t.Errorf("id %v", id)
	}
	if out := sigmoids([]float64{-1000, 1000, 0, math.Inf(-1), -1e-3}); out[0] != 0 || out[1] != 1 || out[2] != 0.5 || out[3] != 0 || math.Abs(out[4]-sigmoid(-1e-3)) > 1e-16 {
		t.Errorf("%v", out)
	}
	if out := softmax([]float64{1000, 1000}); out[0] != 0.5 || out[1] != 0.5 {
		t.Errorf("%v", out)
	}
}

// TestRMQueue: the reward model's texts share the queue with the pair's: each model gets its
// own, they are counted and logged alike, a broken text fails its own request alone and says
// nothing of this machine, and nobody waits for a client that is gone.
func TestRMQueue(t *testing.T) {
	rm := fakeRM()
	fake := rm.RM.(*implicittest.FakeRM)
	gate := make(chan struct{})
	fake.Fail = func(e tokenize.Encoded) error {
		text := string(bytesOf(e.IDs))
		switch {
		case strings.Contains(text, "broken"):
			return errors.New("a broken text in /a/secret/path")
		case strings.Contains(text, "poison"):
			panic("a poisoned text")
		case strings.Contains(text, "wait"):
			<-gate
		}
		return nil
	}
	tuned := newFake()
	s := serving(t, tuned, newFake(), func(o *Options) { o.RM = rm })
	_, want := truth(t, rm, "What?", "power", "love")
	var group sync.WaitGroup
	for c := range 16 {
		group.Go(func() {
			for n := range 20 {
				switch (c + n) % 4 {
				case 0:
					right(t, tuned, post(s.Handler(), "/v1/completions", body([]int32{1, int32(n), 3})), []int32{1, int32(n), 3})
				case 1:
					if w := post(s.Handler(), "/v1/reward", `{"prompt":"What?","replies":["broken","`+fmt.Sprint(n)+`"]}`); w.Code != 500 || strings.Contains(w.Body.String(), "secret") {
						t.Errorf("%d %s, wanted 500", w.Code, w.Body)
					}
				default:
					got := object[rewarded](t, post(s.Handler(), "/v1/reward", `{"prompt":"What?","replies":["power","love"]}`))
					if got.Data[0].Reward != want[0].Reward || got.Data[1].Reward != want[1].Reward {
						t.Errorf("%+v, wanted %v", got.Data, want)
					}
				}
			}
		})
	}
	group.Wait()
	if w := post(s.Handler(), "/score", `{"text_1":"a","text_2":"poison"}`); w.Code != 500 {
		t.Errorf("%d %s, wanted 500", w.Code, w.Body)
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		r := httptest.NewRequest("POST", "/v1/reward", strings.NewReader(`{"prompt":"wait","reply":"b"}`)).WithContext(ctx)
		s.Handler().ServeHTTP(httptest.NewRecorder(), r)
		close(gone)
	}()
	wait(t, "the request", func() bool { n, _ := s.queue.waiting(); return n == 1 })
	cancel()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("a client that is gone was waited for")
	}
	close(gate)
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{`implicitreward_texts_total{model="fake/rm"}`, `implicitreward_requests_total{path="/v1/reward",status="200"}`, `implicitreward_panics_total 1`} {
		if !strings.Contains(w.Body.String(), line) {
			t.Errorf("no %s in the metrics", line)
		}
	}
}

func bytesOf(ids []int32) (b []byte) {
	for _, id := range ids {
		if id < 256 {
			b = append(b, byte(id))
		}
	}
	return b
}

// TestRMFalse: a reward model that breaks its promises is an error, and no number.
func TestRMFalse(t *testing.T) {
	for what, change := range map[string]func(r *rewardmodel.Result){
		"NaN":             func(r *rewardmodel.Result) { r.Reward = math.NaN() },
		"infinite output": func(r *rewardmodel.Result) { r.Outputs[0] = math.Inf(1) },
		"no outputs":      func(r *rewardmodel.Result) { r.Outputs = nil },
		"weights":         func(r *rewardmodel.Result) { r.Weights = []float64{1, 2} },
		"NaN weight":      func(r *rewardmodel.Result) { r.Weights = []float64{math.NaN()} },
		"NaN quantile":    func(r *rewardmodel.Result) { r.Quantiles = [][]float64{{math.NaN()}} },
	} {
		rm := fakeRM()
		rm.RM = &falseRM{FakeRM: rm.RM.(*implicittest.FakeRM), change: change}
		if w := post(alone(t, rm, nil).Handler(), "/v1/reward", `{"prompt":"a","reply":"b"}`); w.Code != http.StatusInternalServerError {
			t.Errorf("%s: %d %s, wanted 500", what, w.Code, w.Body)
		}
	}
}

type falseRM struct {
	*implicittest.FakeRM
	change func(*rewardmodel.Result)
}

func (f *falseRM) Run(ctx context.Context, texts iter.Seq[tokenize.Encoded]) iter.Seq2[rewardmodel.Result, error] {
	return func(yield func(rewardmodel.Result, error) bool) {
		for r, err := range f.FakeRM.Run(ctx, texts) {
			f.change(&r)
			if !yield(r, err) {
				return
			}
		}
	}
}

// TestRMListed: /v1/models lists the reward model with its kind, after the language models,
// whose entries stay as they are.
func TestRMListed(t *testing.T) {
	document := readDocument(t)
	get := func(s *Server, path string) string {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		document.answered(t, "GET", path, w)
		if w.Code != 200 {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		return w.Body.String()
	}
	rm := fakeRM("a", "b")
	rm.Facts.Output, rm.Facts.Pooling, rm.Facts.BOS = "a", "hf", "add"
	both, one := serving(t, newFake(), newFake(), func(o *Options) { o.RM = rm }), alone(t, rm, nil)
	entry := `"owned_by":"implicitreward","max_model_len":200,"role":"rm","head":"linear: score.weight [1 4]","output":"a","outputs":["a","b"],"pooling":"hf","normalize":false,"rendering":{"as":"chat","bos":"add"}}`
	for _, s := range []*Server{both, one} {
		if list := get(s, "/v1/models"); !strings.Contains(list, entry) || strings.Count(list, `"head"`) != 1 {
			t.Errorf("%s, wanted %s", list, entry)
		}
		for _, name := range []string{"rm", "fake/rm"} {
			if got := get(s, "/v1/models/"+name); !strings.Contains(got, entry) {
				t.Errorf("%s: %s, wanted %s", name, got, entry)
			}
		}
	}
	if got := get(both, "/v1/models/base"); !strings.Contains(got, `"role":"base"}`) {
		t.Errorf("%s, wanted nothing of a reward model", got)
	}
}
