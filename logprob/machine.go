package logprob

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"

	"github.com/gomlx/compute"
	"golang.org/x/sys/cpu"

	"github.com/implicitreward/implicitreward/internal/regular"
)

// Processor names this machine's kind of processor: its architecture, the features by which
// backends choose their code and, if the system tells it, the model, such as "amd64 avx2
// fma: AMD EPYC 7763 64-Core Processor". Kinds that differ may round differently.
var Processor = sync.OnceValue(func() string {
	features := []string{runtime.GOARCH}
	for _, f := range []struct {
		has  bool
		name string
	}{
		{cpu.X86.HasAVX2, "avx2"}, {cpu.X86.HasFMA, "fma"}, {cpu.X86.HasAVXVNNI, "avx_vnni"},
		{cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL, "avx512"},
		{cpu.X86.HasAVX512VNNI, "avx512_vnni"}, {cpu.X86.HasAVX512BF16, "avx512_bf16"}, {cpu.X86.HasAMXBF16, "amx_bf16"},
		{cpu.ARM64.HasASIMD, "neon"}, {cpu.ARM64.HasSVE, "sve"}, {cpu.ARM64.HasSVE2, "sve2"},
	} {
		if f.has {
			features = append(features, f.name)
		}
	}
	name := strings.Join(features, " ")
	if model := processorModel(); model != "" {
		name += ": " + model
	}
	return name
})

// Machine says how two Metas differ in what decides rounding: "on other processors (X; Y)",
// "with other plugins (X; Y)", or "" if they do not differ or one does not say.
func (m Meta) Machine(other Meta) string {
	switch {
	case m.Processor != other.Processor && m.Processor != "" && other.Processor != "":
		return fmt.Sprintf("on other processors (%s; %s)", m.Processor, other.Processor)
	case m.PluginHash != other.PluginHash && m.PluginHash != "" && other.PluginHash != "":
		return fmt.Sprintf("with other plugins (%s, %.8s; %s, %.8s)", m.Plugin, m.PluginHash, other.Plugin, other.PluginHash)
	}
	return ""
}

// processorModel is Linux's name of the first processor, or "".
func processorModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return ""
}

// pluginPath is the file that XLA was loaded from, read from fields that go-xla does not
// export (a test checks that they exist); "" for other backends and for an XLA linked into
// the program.
func pluginPath(b compute.Backend) string {
	path := fieldOf(fieldOf(reflect.ValueOf(b), "plugin"), "path")
	if path.Kind() != reflect.String || path.String() == "_preloaded_" {
		return ""
	}
	return path.String()
}

// fieldOf returns a field of a struct, through pointers and interfaces; the zero Value if
// there is none.
func fieldOf(v reflect.Value, name string) reflect.Value {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return v.FieldByName(name)
}

// describe returns the backend's own description without folders, for a device other than the
// processor also its name, and for the pure-Go backend Go's version, which shows whether it
// was built with vector code.
func describe(b compute.Backend) string {
	text := b.Description()
	if path := pluginPath(b); path != "" {
		text = strings.ReplaceAll(text, path, filepath.Base(path))
	}
	switch BackendName(b) {
	case "xla:cpu":
	case "go":
		text += ", " + runtime.Version()
	default:
		text += ", " + b.DeviceDescription(0)
	}
	return text
}

// hashes caches plugin hashes by path: hashing 250 MB takes a fraction of a second.
var hashes sync.Map // path -> func() (string, error), which hashes once

// pluginHash returns the SHA-256, in hex, of the plugin's file.
func pluginHash(ctx context.Context, path string) (string, error) {
	once, _ := hashes.LoadOrStore(path, sync.OnceValues(func() (string, error) {
		hash, err := regular.Hash(path)
		if err != nil {
			err = fmt.Errorf("the XLA plugin, to be hashed: %w", err)
		}
		return hash, err
	}))
	if err := ctx.Err(); err != nil {
		return "", err
	}
	return once.(func() (string, error))()
}
