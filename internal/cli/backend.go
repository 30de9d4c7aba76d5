package cli

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend" // "go"
	"github.com/gomlx/go-xla/compute/xla"  // "xla"
	"github.com/gomlx/go-xla/installer"
	"github.com/gomlx/go-xla/pjrt"

	"github.com/implicitreward/implicitreward/logprob"
)

// Backend makes the backend of that name: "xla:cpu", "xla:cuda", "go", or "auto" for
// xla:cpu where its plugin is installed and go, with a line on stderr, where it is
// not. Nothing is downloaded.
//
// On CUDA, TF32 is switched off: it would round float32 products to 10 bits.
func Backend(name string, stderr io.Writer) (compute.Backend, error) {
	xla.EnableAutoInstall(false)
	switch kind, rest, _ := strings.Cut(name, ":"); {
	case name == "" || name == "auto":
		if !hasPlugin("cpu") {
			fmt.Fprintln(stderr, "no XLA plugin found: computing on the pure-Go backend, which is slower (make deps provides the plugin)")
			return newBackend("go:ops_sequential") // see logprob/backend.go
		}
		return newBackend("xla:" + newest("cpu", xla.GetAvailablePlugins()))
	case name == "go":
		return newBackend("go:ops_sequential")
	case kind == "xla" && strings.Contains(rest, "cuda") && !strings.Contains(rest, "tf32="):
		return newBackend(name + ",tf32=false")
	case kind == "xla" && (rest == "" || rest == "cpu"):
		return newBackend("xla:" + newest("cpu", xla.GetAvailablePlugins()))
	case kind == "xla":
		return newBackend(name)
	}
	return nil, Usagef("-backend %q, wanted auto, xla:cpu, xla:cuda or go", name)
}

func newBackend(config string) (b compute.Backend, err error) {
	defer func() { // a plugin that cannot be loaded may panic
		if r := recover(); r != nil {
			err = fmt.Errorf("backend %s: %v", config, r)
		}
	}()
	if plugin, ok := strings.CutPrefix(config, "xla:"); ok && strings.Contains(filepath.Base(plugin), "cpu") {
		// Otherwise XLA's CPU client computes one thing at a time on a device, in the order in
		// which it was asked for, and the engine would not compute several blocks at a time.
		b, err = xla.NewWithOptions(plugin, pjrt.NamedValuesMap{"asynchronous": false})
	} else {
		b, err = compute.NewWithConfig(config)
	}
	if err != nil {
		if lack := noCUDA(config, installer.HasNvidiaGPU, hasPlugin("cuda")); lack != "" {
			return nil, fmt.Errorf("backend %s: %s", config, lack)
		}
		plugins := xla.GetAvailablePlugins()
		slices.Sort(plugins)
		return nil, fmt.Errorf("backend %s: %s (XLA plugins found: %s; -backend go needs none)",
			config, firstLine(err), strings.Join(append(plugins, ""), " "))
	}
	return b, nil
}

// other goes over from XLA to the pure-Go backend where XLA was our choice and err says that
// it fails its test, and tells stderr so. Once a model is loaded the backend stays: the
// numbers of a pair come from one.
func (l *Loader) other(err error) bool {
	var fault *logprob.BackendError
	if !errors.As(err, &fault) || !l.auto || fault.Backend == "go" || len(l.models)+len(l.rms) > 0 {
		return false
	}
	b := instead(l.backend, fault, l.stderr)
	if b == nil {
		return false
	}
	l.backend = b
	return true
}

// instead frees a backend that fails its test and returns the pure-Go one, with a line on stderr;
// nil if there is none.
func instead(of compute.Backend, fault *logprob.BackendError, stderr io.Writer) compute.Backend {
	b, err := newBackend("go:ops_sequential")
	if err != nil {
		return nil
	}
	fmt.Fprintf(stderr, "backend %s fails its test on this machine (%v): computing on the pure-Go backend, which is slower\n", fault.Backend, fault.Err)
	of.Finalize()
	return b
}

// CheckedBackend is Backend for a program that loads no model by a Loader: a backend that fails
// its test in the dtype, f32 or bf16, is replaced by the pure-Go one where it was not asked for,
// and an error otherwise.
func CheckedBackend(name, dtype string, stderr io.Writer) (compute.Backend, error) {
	kind, err := parseDType(dtype)
	if err != nil {
		return nil, err
	}
	b, err := Backend(name, stderr)
	if err != nil {
		return nil, err
	}
	err = logprob.CheckBackend(b, kind)
	var fault *logprob.BackendError
	if errors.As(err, &fault) && fault.Backend != "go" && (name == "" || name == "auto") {
		if other := instead(b, fault, stderr); other != nil {
			b = other
			err = logprob.CheckBackend(b, kind)
		}
	}
	if err != nil {
		b.Finalize()
		return nil, inFlags(err)
	}
	return b, nil
}

// inFlags says what is wrong with a backend in the programs' words.
func inFlags(err error) error {
	var fault *logprob.BackendError
	if !errors.As(err, &fault) {
		return err
	}
	other, more := "go", ""
	if fault.Backend == "go" {
		other, more = "xla:cpu", ", or GOMLX_SIMD_AVX512=0 GOMLX_SIMD_AVX2=0 before the command, which take the vector code out"
	}
	dtype := "f32"
	if fault.DType == "f32" {
		dtype = "bf16"
	}
	return fmt.Errorf("backend %s fails its test in %s on this machine (%s): %w: try -backend %s, or -dtype %s%s",
		fault.Backend, fault.DType, fault.Processor, fault.Err, other, dtype, more)
}

// noCUDA says what the machine lacks to compute on CUDA; "" if that is another backend, if a
// plugin is named by its path, or if the machine lacks neither a GPU nor the plugin. go-xla finds
// no CUDA plugin on a machine without a GPU, by the same test.
func noCUDA(config string, gpu func() bool, plugin bool) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(config, "xla:"), ",")
	switch {
	case !strings.HasPrefix(name, "cuda"):
		return ""
	case !gpu():
		return "no NVIDIA GPU on this machine (no /dev/nvidia*, and no nvidia-smi that finds one): wanted -backend xla:cpu or go"
	case !plugin:
		return "a GPU and no CUDA plugin of XLA: wanted make deps GPU=1, which provides it"
	}
	return ""
}

// newest is the plugin that stands for name, which is itself if it is among them, or the highest
// name_v1.2: go-xla takes any, at random, and another computes other digits.
func newest(name string, plugins []string) string {
	best, highest := name, []int(nil)
	for _, p := range plugins {
		version, is := strings.CutPrefix(p, name+"_v")
		if p == name {
			return name
		}
		if !is {
			continue
		}
		var parts []int
		for part := range strings.SplitSeq(version, ".") {
			n, _ := strconv.Atoi(part)
			parts = append(parts, n)
		}
		if slices.Compare(parts, highest) > 0 {
			best, highest = p, parts
		}
	}
	return best
}

func hasPlugin(name string) bool {
	return slices.ContainsFunc(xla.GetAvailablePlugins(), func(p string) bool {
		return p == name || strings.HasPrefix(p, name+"_v")
	})
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
