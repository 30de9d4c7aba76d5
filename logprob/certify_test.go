package logprob_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"github.com/implicitreward/implicitreward/logprob"
	"github.com/implicitreward/implicitreward/tokenize"
)

// certify is m.Certify of texts of its own, which must come into Meta, and out of a file.
func certify(t *testing.T, m *logprob.Model) logprob.Certificate {
	t.Helper()
	c, err := m.Certify(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := m.Meta(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := meta.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if meta, err = logprob.ReadMeta(&b); err != nil || meta.Certificate == nil || *meta.Certificate != c {
		t.Errorf("certificate in meta %+v, %v, wanted %+v", meta.Certificate, err, c)
	}
	return c
}

// TestCertify: what is promised holds, in both types, with texts as long as the context.
func TestCertify(t *testing.T) {
	backend := pureGo(t)
	for _, test := range []struct {
		dir   string
		dtype dtypes.DType
	}{
		{"llama-bf16", dtypes.Float32}, {"llama-bf16", dtypes.BFloat16}, {"gemma3_text-bf16", dtypes.BFloat16}, {"gpt2-hub", dtypes.Float32},
	} {
		t.Run(test.dir+" "+logprob.DTypeName(test.dtype), func(t *testing.T) {
			m := load(t, "testdata/families/"+test.dir, backend, test.dtype)
			c := certify(t, m)
			t.Logf("%+v", c)
			if !c.Holds || c.Texts != 6 || c.Values < 6*16+m.MaxTokens()-1 || c.Promised != logprob.Promised(test.dtype) {
				t.Errorf("certificate %+v, wanted one that holds, of 6 texts, the longest %d tokens", c, m.MaxTokens())
			}
			if !(c.Found.Mean > 0 && c.Found.Mean < c.Found.Largest) {
				t.Errorf("found %+v, wanted a mean above 0 and below the largest", c.Found)
			}
		})
	}
}

// TestCertifyStreamed: a model that streams through memory has the same certificate.
func TestCertifyStreamed(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a minute under the race detector")
	}
	dir := t.TempDir()
	writeRandom(t, "testdata/families/llama-mha", dir, rand.New(rand.NewPCG(13, 13)))
	load := func(limit int64) (m *logprob.Model, loaded int64, err error) {
		m, err = logprob.Load(t.Context(), dir, &logprob.Options{Backend: pureGo(t), MemoryLimit: limit,
			Progress: func(_, total int64) { atomic.StoreInt64(&loaded, total) }})
		if err == nil {
			t.Cleanup(func() { m.Close() })
		}
		return m, loaded, err
	}
	whole, all, err := load(0)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = load(1)
	least := regexp.MustCompile(`wanted at least (\d+) MiB`).FindStringSubmatch(fmt.Sprint(err))
	if least == nil {
		t.Fatalf("error %v, wanted one that says what would do", err)
	}
	n, err := strconv.ParseInt(least[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	streamed, some, err := load(n << 20)
	if err != nil || some >= all {
		t.Fatalf("%d of %d bytes stay, %v, wanted fewer", some, all, err)
	}
	if got, want := certify(t, streamed), certify(t, whole); got != want || !got.Holds {
		t.Errorf("certificate %+v, wanted %+v, which holds", got, want)
	}
}

// TestCertifyTexts: texts of the caller's, and those that cannot be computed.
func TestCertifyTexts(t *testing.T) {
	m := load(t, "testdata/families/llama-mha", pureGo(t), dtypes.Float32)
	c, err := m.Certify(t.Context(), []tokenize.Encoded{{IDs: []int32{1, 2, 3, 4}, Reply: 2}, {IDs: []int32{5}, Reply: 1}})
	if err != nil || !c.Holds || c.Texts != 2 || c.Values != 2+16+16 {
		t.Errorf("certificate %+v, %v, wanted one of 34 values", c, err)
	}
	for _, test := range []struct {
		text tokenize.Encoded
		want string
	}{
		{tokenize.Encoded{}, "logprob: testdata/families/llama-mha: certificate: text 1: nothing stands before the first token that is asked for, wanted a prompt or a BOS token"},
		{tokenize.Encoded{IDs: []int32{1, -1}, Reply: 1}, "logprob: testdata/families/llama-mha: certificate: text 1: token 1 has id -1, wanted 0 to 100"},
	} {
		_, err := m.Certify(t.Context(), []tokenize.Encoded{{IDs: []int32{1, 2}, Reply: 1}, test.text})
		if err == nil || err.Error() != test.want {
			t.Errorf("error %v, wanted %s", err, test.want)
		}
	}
}

// TestCertifyFault: on a backend whose products drop half of their terms the promise does
// not hold. The fault is that of compute v0.1.6 on processors with AVX2 and without
// AVX-512: the upper 8 of every 16 terms are not added. It begins when the model has been
// loaded, as one would that no test of the backend has found.
func TestCertifyFault(t *testing.T) {
	for _, dtype := range []dtypes.DType{dtypes.Float32, dtypes.BFloat16} {
		backend := &dropping{Backend: pureGo(t)}
		m := load(t, "testdata/families/llama-bf16", backend, dtype)
		backend.on.Store(true)
		c := certify(t, m)
		t.Logf("%+v", c)
		if c.Holds || !(c.Found.Largest > 1) {
			t.Errorf("%s: certificate %+v, wanted one that does not hold", dtype, c)
		}
	}
}

// dropping is a backend that drops terms of all products but those in float64 while it is on.
type dropping struct {
	compute.Backend
	on atomic.Bool
}

func (d *dropping) Builder(name string) compute.Builder {
	return droppingBuilder{d.Backend.Builder(name), d}
}

type droppingBuilder struct {
	compute.Builder
	d *dropping
}

func (b droppingBuilder) Main() compute.Function {
	if !b.d.on.Load() {
		return b.Builder.Main()
	}
	return droppingFunction{b.Builder.Main()}
}

func (b droppingBuilder) Compile() (compute.Executable, error) {
	e, err := b.Builder.Compile()
	return droppingExecutable{e, b.d}, err
}

// droppingExecutable says of its results that they are on the dropping backend, and takes
// them back.
type droppingExecutable struct {
	compute.Executable
	d *dropping
}

type droppingBuffer struct {
	compute.Buffer
	d *dropping
}

func (b droppingBuffer) Backend() compute.Backend { return b.d }

func (e droppingExecutable) Execute(in []compute.Buffer, donate []bool, device compute.DeviceNum) ([]compute.Buffer, error) {
	for i, b := range in {
		if b, ok := b.(droppingBuffer); ok {
			in[i] = b.Buffer
		}
	}
	out, err := e.Executable.Execute(in, donate, device)
	for i := range out {
		out[i] = droppingBuffer{out[i], e.d}
	}
	return out, err
}

type droppingFunction struct{ compute.Function }

func (d droppingFunction) DotGeneral(lhs compute.Value, lhsContracting, lhsBatch []int, rhs compute.Value, rhsContracting, rhsBatch []int, o compute.DotGeneralConfig) (compute.Value, error) {
	shape, err := d.Shape(lhs)
	if err != nil {
		return nil, err
	}
	if shape.DType != dtypes.Float64 && len(lhsContracting) == 1 {
		n := shape.Dimensions[lhsContracting[0]]
		keep := make([]float32, n)
		for i := range keep {
			if i%16 < 8 {
				keep[i] = 1
			}
		}
		mask, err := d.Constant(keep, n)
		if err == nil {
			mask, err = d.ConvertDType(mask, shape.DType)
		}
		if err == nil {
			mask, err = d.BroadcastInDim(mask, shape, lhsContracting)
		}
		if err == nil {
			lhs, err = d.Mul(lhs, mask)
		}
		if err != nil {
			return nil, err
		}
	}
	return d.Function.DotGeneral(lhs, lhsContracting, lhsBatch, rhs, rhsContracting, rhsBatch, o)
}

// TestCertifySmolLM2: the promise holds for the real model as programs compute it.
func TestCertifySmolLM2(t *testing.T) {
	if _, err := os.Stat(smollm2); err != nil {
		t.Skip("needs the real model (make real)")
	}
	if testing.Short() {
		t.Skip("long: a minute")
	}
	all := backends(t)
	m := load(t, smollm2, all[len(all)-1], 0)
	c := certify(t, m)
	t.Logf("%+v", c)
	if !c.Holds || c.Values < 6*16+256 {
		t.Errorf("certificate %+v, wanted one that holds, of more than a batch of 256 tokens", c)
	}
}
