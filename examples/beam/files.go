package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"

	"cloud.google.com/go/storage"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/gcs" // gs://
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/s3"  // s3://

	"github.com/implicitreward/implicitreward/implicit/shard"
)

// folder is a folder of any filesystem.
func folder(path string) shard.Folder {
	return shard.Folder{Path: strings.TrimRight(path, "/"), FS: files{}}
}

// remote reports whether a name has a scheme.
func remote(name string) bool { return strings.Contains(name, "://") }

// files is a shard.Filesystem: names with a scheme, s3:// and gs://, are Beam's filesystems, others
// this machine's. A Beam worker that died half way would leave half a file under Beam's local one.
type files struct{}

// clients are those of this process, by scheme.
var clients struct {
	sync.Mutex
	of map[string]shard.Filesystem
}

func (files) of(ctx context.Context, name string) (found shard.Filesystem, err error) {
	scheme, _, ok := strings.Cut(name, "://")
	if !ok {
		return shard.Local, nil
	}
	clients.Lock()
	defer clients.Unlock()
	if c := clients.of[scheme]; c != nil {
		return c, nil
	}
	defer func() { // Beam's filesystems panic where they are not configured
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %v", name, p)
		}
	}()
	client, err := filesystem.New(context.WithoutCancel(ctx), name)
	if err != nil {
		return nil, err
	}
	if clients.of == nil {
		clients.of = map[string]shard.Filesystem{}
	}
	clients.of[scheme] = objects{client}
	return clients.of[scheme], nil
}

func (f files) List(ctx context.Context, pattern string) ([]string, error) {
	on, err := f.of(ctx, pattern)
	if err != nil {
		return nil, err
	}
	return on.List(ctx, pattern)
}

func (f files) OpenRead(ctx context.Context, name string) (io.ReadCloser, error) {
	on, err := f.of(ctx, name)
	if err != nil {
		return nil, err
	}
	return on.OpenRead(ctx, name)
}

func (f files) OpenWrite(ctx context.Context, name string) (io.WriteCloser, error) {
	on, err := f.of(ctx, name)
	if err != nil {
		return nil, err
	}
	return on.OpenWrite(ctx, name)
}

func (f files) Size(ctx context.Context, name string) (int64, error) {
	on, err := f.of(ctx, name)
	if err != nil {
		return 0, err
	}
	return on.Size(ctx, name)
}

// objects is an object store, of which a missing object is fs.ErrNotExist.
type objects struct{ filesystem.Interface }

func (o objects) OpenRead(ctx context.Context, name string) (io.ReadCloser, error) {
	in, err := o.Interface.OpenRead(ctx, name)
	if err != nil {
		// Beam's s3 keeps the text of this error alone.
		if _, gone := o.Size(ctx, name); errors.Is(gone, fs.ErrNotExist) {
			err = gone
		}
		return nil, err
	}
	return in, nil
}

func (o objects) Size(ctx context.Context, name string) (int64, error) {
	n, err := o.Interface.Size(ctx, name)
	var answer interface{ HTTPStatusCode() int }
	if errors.Is(err, storage.ErrObjectNotExist) || errors.As(err, &answer) && answer.HTTPStatusCode() == 404 {
		err = fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return n, err
}

// publish copies a plan and what it scores into another folder, unless it is there. An input of
// this machine that lies elsewhere goes along where the folder is an object store's: a part's key
// holds its bytes, not its name.
func publish(ctx context.Context, from, to shard.Folder) error {
	plan, err := shard.ReadPlan(ctx, from)
	if err != nil {
		return err
	}
	switch before, err := shard.ReadPlan(ctx, to); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !slices.Equal(before.Shards, plan.Shards) || !reflect.DeepEqual(before.Args, plan.Args):
		return fmt.Errorf("output %s: another plan is there: choose another folder", to.Path)
	default:
		return nil
	}
	if !remote(to.Path) {
		if err := os.MkdirAll(to.Path, 0o777); err != nil {
			return fmt.Errorf("output %s: %w", to.Path, err)
		}
	}
	source := ""
	if !strings.ContainsAny(plan.Input, `/\`) {
		source = from.Path + "/" + plan.Input
	} else if !remote(plan.Input) && remote(to.Path) {
		source, plan.Input = plan.Input, "input.jsonl"
	}
	if source != "" {
		if err := copyFile(ctx, source, to.Path+"/"+plan.Input); err != nil {
			return fmt.Errorf("input: %w", err)
		}
	}
	return plan.Write(ctx, to)
}

func copyFile(ctx context.Context, from, to string) error {
	in, err := files{}.OpenRead(ctx, from)
	if err != nil {
		return err
	}
	defer in.Close()
	whole, err := io.ReadAll(in) // before the writer is there, whose Close would make half a file a whole one
	if err != nil {
		return err
	}
	out, err := files{}.OpenWrite(ctx, to)
	if err != nil {
		return err
	}
	if _, err := out.Write(whole); err != nil {
		return errors.Join(err, out.Close())
	}
	return out.Close()
}
