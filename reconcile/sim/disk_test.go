package sim

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/composure-dev/composure/internal/engine/enginetest"
	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/reconcile"
)

// disk writes files one after the other, so that each write can go wrong, and all or none, as package files does.
type disk struct{ faults *enginetest.Faults }

func (d disk) WriteAll(writes []files.Write, roots []string) (before []files.Before, err error) {
	for i, write := range writes {
		err := d.faults.Do(context.Background(), call("write", write.Path), func() error { //nolint:forbidigo // files know no context
			written, err := files.WriteAll(writes[i:i+1], roots)
			before = append(before, written...)
			return err
		})
		if err != nil {
			return nil, errors.Join(err, d.Restore(before))
		}
	}
	return before, nil
}

// Restore puts all back that can be.
func (d disk) Restore(before []files.Before) error {
	var problems []error
	for _, b := range before {
		problems = append(problems, d.faults.Do(context.Background(), call("restore", b.Path), func() error { //nolint:forbidigo // files know no context
			return files.Restore([]files.Before{b})
		}))
	}
	return errors.Join(problems...)
}

func call(verb, path string) enginetest.Call {
	return enginetest.Call{Verb: verb, Object: filepath.Base(path), Writes: true}
}

type journal struct {
	reconcile.Journal
	faults *enginetest.Faults
}

func (j journal) Save(record state.Record) error {
	name := string(record.Phase)
	if record.Ended != nil {
		name = string(record.Outcome)
	}
	return j.faults.Do(context.Background(), call("save", name), func() error { return j.Journal.Save(record) }) //nolint:forbidigo // records know no context
}

// freeze notes the locks of a process that dies: what unwinds it would remove them.
func (w *world) freeze() func() {
	path := filepath.Join(w.dir, files.LockName)
	_, err := os.Lstat(path)
	return func() {
		if err == nil {
			w.write(files.LockName, "")
		}
	}
}
