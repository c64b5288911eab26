package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/go-logr/logr"

	"github.com/composure-dev/composure/internal/engine"
	"github.com/composure-dev/composure/internal/files"
	"github.com/composure-dev/composure/internal/hint"
	"github.com/composure-dev/composure/internal/state"
	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

// Executor carries plans out. It is the only piece of this package that can change anything.
type Executor struct {
	// Writer and Prober are nil when only files are written.
	Writer engine.Writer
	Prober engine.Prober
	// Composer recreates what a policy hands to docker compose. Nil when only files are written.
	Composer Composer
	// Roots are the folders in which files may be written.
	Roots []string
	// Files writes them. Nil: on the disk.
	Files Files
	// Backup is the folder into which files are copied before they are written. Empty: they are not.
	Backup string
	// Committer commits what was written. Nil: nobody does.
	Committer Committer
	// TidyRecords removes the records of a project that are not needed any more. Nil: nobody does.
	TidyRecords func(project string) error
	// Permit is asked last before anything but locks is changed. What it returns ends the transaction before it begins. Nil: it is permitted.
	Permit func() error
	// NewID names a transaction; ids sort by time.
	NewID func() string
	// Progress is told one line for each thing done or about to be done, without secrets.
	Progress func(string)
	Log      logr.Logger
}

// Files writes compose files, all or none, as package files does.
type Files interface {
	WriteAll(writes []files.Write, roots []string) ([]files.Before, error)
	Restore(before []files.Before) error
}

type disk struct{}

func (disk) WriteAll(writes []files.Write, roots []string) ([]files.Before, error) {
	return files.WriteAll(writes, roots)
}

func (disk) Restore(before []files.Before) error { return files.Restore(before) }

func (e *Executor) files() Files {
	if e.Files == nil {
		return disk{}
	}
	return e.Files
}

// Result is how a transaction ended.
type Result string

// The results.
const (
	ResultNothing        Result = "nothing"         // the plan had no steps
	ResultCommitted      Result = "committed"       // done, and what the policies check was checked
	ResultKept           Result = "kept"            // a check failed, and onFailure says Keep; or an old container could not be removed, or the files not be committed
	ResultRolledBack     Result = "rolled back"     // a step failed; containers and files are as they were
	ResultRollbackFailed Result = "rollback failed" // a step failed, and not everything is as it was
	ResultRecovered      Result = "recovered"       // what earlier transactions had left is in order; nothing else was done
)

// Applied is what became of a plan.
type Applied struct {
	Result   Result
	Outcomes []plan.Outcome
	Failure  string   // what failed, for the results after ResultCommitted
	Restored []string // what was put back, or could not be and what to do then
	Backup   string   // the folder with copies of the files as they were; empty: none was made
	Commit   string   // the hash of the git commit; empty: none was made
}

// ErrMoved is returned when the world changed between the plan a person saw and the lock.
var ErrMoved = errors.New("files, containers or policies changed since the plan was made")

// Apply locks the project, makes the plan again and, if it is still the confirmed one, carries it out. An error means that nothing
// was changed; once something may have been, the answer is in Applied, and it is complete even when ctx is canceled.
func (e *Executor) Apply(ctx context.Context, src Source, confirmed plan.Plan) (Applied, error) {
	return e.carryOut(ctx, src, confirmed, Propose)
}

func (e *Executor) carryOut(
	ctx context.Context, src Source, confirmed plan.Plan, propose func(context.Context, Source) (Proposal, error),
) (Applied, error) {
	if len(confirmed.Steps) == 0 {
		e.tidy()
		return Applied{Result: ResultNothing}, nil
	}
	id := e.NewID()
	unlock, err := e.lock(ctx, src, confirmed, id)
	if err != nil {
		return Applied{}, err
	}
	defer unlock()
	e.tidyRecords(confirmed.Project)
	src.Transaction = id
	proposal, err := propose(ctx, src)
	if err != nil {
		return Applied{}, err
	}
	expected, unlocked := withoutLocks(confirmed)
	if onlyLocks := len(unlocked) > 0 && len(expected.Steps) == 0; !onlyLocks && !Same(expected, proposal.Plan) {
		return Applied{}, hint.Wrap(ErrMoved, "look at the plan again with: composure diff")
	}
	if len(unlocked) > 0 || Recovers(proposal.Plan) {
		if err := e.permitted(); err != nil {
			return Applied{}, err
		}
		return e.recover(ctx, src, proposal, unlocked), nil
	}
	t := newTransaction(e, src, proposal, id)
	return t.run(ctx)
}

func (e *Executor) permitted() error {
	if e.Permit == nil {
		return nil
	}
	return e.Permit()
}

// Same reports whether two plans do the same to the same: equal inputs and equal steps.
func Same(a, b plan.Plan) bool {
	left, errA := json.Marshal(a)
	right, errB := json.Marshal(b)
	return errA == nil && errB == nil && string(left) == string(right)
}

// transaction is one plan being carried out.
type transaction struct {
	*Executor
	src      Source
	proposal Proposal
	id       string
	record   state.Record
	verify   verifier
	swapper  engine.Swapper
	baseline map[string]error // by check step; nil: it passed before anything was changed
	swapped  []engine.Swapped
	tried    map[string]engine.Swapped // every swap that was begun, by the id of its old container
	ids      map[string]string         // of replaced containers, to those of their replacements
	rebuilt  map[string]string         // of old containers that an undo had to make again, to what it made
	outcomes map[string]plan.Outcome
	// shaken are the steps that have done something to the container they are about; those that were refused before have not.
	shaken   map[string]bool
	keep     bool // a failed check does not undo anything
	failure  string
	leftover bool           // an old container could not be removed
	down     bool           // somebody has taken the project down meanwhile
	unsaved  bool           // the files could not be committed
	written  []files.Before // what the files held; nil until they are written
}

func newTransaction(e *Executor, src Source, proposal Proposal, id string) *transaction {
	_, onFailure := policy.Strictest(concerned(proposal))
	t := &transaction{
		Executor: e, src: src, proposal: proposal, id: id,
		baseline: map[string]error{}, outcomes: map[string]plan.Outcome{}, shaken: map[string]bool{}, ids: map[string]string{}, rebuilt: map[string]string{}, tried: map[string]engine.Swapped{},
		keep:    onFailure == policy.OnFailureKeep,
		verify:  verifier{reader: src.Reader, prober: e.Prober, redactor: proposal.redactor(), targets: map[string]string{}, watched: map[string]watch{}},
		swapper: engine.Swapper{Reader: src.Reader, Writer: e.Writer, APIVersion: proposal.Snapshot.Engine.APIVersion},
	}
	t.swapper.Before = t.stopping
	for service, containers := range proposal.Snapshot.Containers {
		for _, c := range slices.Backward(containers) {
			if c.Running() {
				t.verify.targets[service] = c.ID // of several the first
			}
		}
	}
	return t
}

// concerned are the policies that select a service whose containers are replaced; the others have no say in what a failure leads to.
func concerned(p Proposal) []policy.Policy {
	names := map[string]bool{}
	for _, step := range p.Plan.Steps {
		for _, f := range p.Findings {
			names[f.Policy] = names[f.Policy] || slices.Contains(step.Replaces(), f.Service)
		}
	}
	return slices.DeleteFunc(slices.Clone(p.Policies), func(pol policy.Policy) bool { return !names[pol.Metadata.Name] })
}

func (t *transaction) run(ctx context.Context) (Applied, error) {
	if err := t.readyToSave(ctx); err != nil {
		return Applied{}, err
	}
	t.tryBaseline(ctx) // takes its time
	if err := t.permitted(); err != nil {
		return Applied{}, err
	}
	if err := t.begin(); err != nil {
		return Applied{}, err
	}
	failed := t.steps(ctx)
	if failed == nil {
		failed = t.decide()
	}
	if failed == nil {
		t.commit(ctx)
		t.save(ctx)
		return t.applied(t.done(), nil), nil
	}
	t.failure = t.verify.redactor.String(failed.Error())
	if ctx.Err() != nil {
		t.failure = "interrupted at " + failed.object
	}
	t.record.Inconclusive = ctx.Err() != nil || !failed.verdict()
	if failed.nothing {
		t.close(ResultRolledBack)
		return Applied{}, advise(failed)
	}
	if t.keep && failed.checks && ctx.Err() == nil && t.allAlive(ctx) == nil && t.decide() == nil {
		t.commit(ctx)
		t.leaveUnsaved()
		return t.applied(ResultKept, nil), nil
	}
	restored, problems := t.rollback(ctx)
	if len(problems) > 0 {
		return t.applied(ResultRollbackFailed, slices.Concat(restored, problems)), nil
	}
	return t.applied(ResultRolledBack, restored), nil
}

func (t *transaction) done() Result {
	if t.leftover || t.unsaved {
		return ResultKept
	}
	return ResultCommitted
}

// applied closes the record and gathers the outcomes in the plan's order; steps nobody came to are skipped.
func (t *transaction) applied(result Result, restored []string) Applied {
	applied := Applied{Result: result, Failure: t.failure, Restored: restored, Backup: t.record.Backup, Commit: t.record.Commit}
	for _, step := range t.proposal.Plan.Steps {
		outcome, found := t.outcomes[step.ID]
		if !found {
			outcome = plan.Outcome{Step: step.ID, Result: plan.ResultSkipped}
		}
		applied.Outcomes = append(applied.Outcomes, outcome)
	}
	t.close(result)
	return applied
}

// advise says what helps when the files could not be written.
func advise(failed error) error {
	var changed *files.ChangedError
	var outside *files.OutsideError
	switch {
	case errors.As(failed, &changed):
		return hint.Wrap(failed, "look at the plan again with: composure diff")
	case errors.As(failed, &outside):
		return hint.Wrap(failed, "allow the folder it lies in with --allow-root")
	default:
		return failed
	}
}

func (t *transaction) container(service, id string) (engine.Container, bool) {
	for _, c := range t.proposal.Snapshot.Containers[service] {
		if c.ID == id {
			return c, true
		}
	}
	return engine.Container{}, false
}
