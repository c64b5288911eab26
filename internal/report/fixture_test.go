package report

import (
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"github.com/composure-dev/composure/policy"
	"github.com/composure-dev/composure/reconcile/plan"
)

const (
	policyName = "celery-beat-redis-sync"
	beatID     = "1a2b3c4d5e6f1a2b3c4d5e6f1a2b3c4d5e6f1a2b3c4d5e6f1a2b3c4d5e6f1a2b"
	appID      = "77aa3c4d5e6f1a2b3c4d5e6f1a2b3c4d5e6f1a2b3c4d5e6f1a2b3c4d5e6f1a2b"
	newID      = "9f8e7d6c5b4a1a2b3c4d5e6f1a2b3c4d5e6f1a2b3c4d5e6f1a2b3c4d5e6f1a2b"
)

const before = `services:
  app:
    image: shop:1
    environment:
      REDIS_URL: redis://:pw-in-url@redis:6379/0
      DB_PASSWORD: pw-in-file
  beat:
    image: shop:1
    environment:
      CELERY_BEAT_MIN_SYNC_INTERVAL: 60
`

var after = strings.NewReplacer(
	"pw-in-file\n", "pw-in-file\n      CELERY_BEAT_REDIS_SYNC_ENABLED: ${CELERY_BEAT_REDIS_SYNC_ENABLED:-true}\n",
	"INTERVAL: 60\n", "INTERVAL: ${CELERY_BEAT_MIN_SYNC_INTERVAL:-5}\n",
).Replace(before)

func at(line, column int) *policy.Origin {
	return &policy.Origin{File: "/srv/shop/compose.yaml", Line: line, Column: column}
}

func findings() []policy.Finding {
	base := policy.Finding{Policy: policyName, Severity: policy.SeverityError, Project: "shop"}
	of := func(service, variable string, verdict policy.Verdict, edit func(*policy.Finding)) policy.Finding {
		f := base
		f.Service, f.Variable, f.Verdict, f.Layer = service, variable, verdict, policy.LayerEnvironment
		edit(&f)
		return f
	}
	return []policy.Finding{
		of("app", "CELERY_BEAT_REDIS_SYNC_ENABLED", policy.FileMissing, func(f *policy.Finding) {
			f.Message, f.Origin = `is not set, must be "true"`, at(2, 3)
			f.Fix = &policy.Fix{File: f.Origin.File, Service: "app", Key: f.Variable, Text: "${CELERY_BEAT_REDIS_SYNC_ENABLED:-true}"}
		}),
		of("app", "REDIS_URL", policy.Compliant, func(f *policy.Finding) { f.Message, f.Sensitive, f.Origin = "is set", true, at(5, 7) }),
		of("beat", "CELERY_BEAT_MIN_SYNC_INTERVAL", policy.FileWrong, func(f *policy.Finding) {
			f.Message, f.Origin, f.Severity = `is "60", must be from 1 to 30`, at(10, 7), policy.SeverityWarning
			f.Fix = &policy.Fix{File: f.Origin.File, Service: "beat", Key: f.Variable, Text: "${CELERY_BEAT_MIN_SYNC_INTERVAL:-5}"}
		}),
		of("beat", "CELERY_BEAT_REDIS_CHANNEL", policy.ContainerStale, func(f *policy.Finding) {
			f.Layer, f.Container = policy.LayerContainer, beatID
			f.Message = `runs without it, must be "celery_beat_schedule_updates"`
		}),
		of("beat", "REDIS_URL", policy.ContainerStale, func(f *policy.Finding) {
			f.Layer, f.Container, f.Sensitive = policy.LayerContainer, beatID, true
			f.Message = `runs with "********", must be set`
		}),
		of("worker", "CELERY_BEAT_REDIS_CHANNEL", policy.Compliant, func(f *policy.Finding) { f.Message, f.Origin = "is set", at(14, 7) }),
		of("worker", "CELERY_BEAT_REDIS_CHANNEL", policy.NotCreated, func(f *policy.Finding) {
			f.Layer, f.Message = policy.LayerContainer, "no container"
		}),
	}
}

func steps() []plan.Step {
	patch := plan.Patch{
		File: "/srv/shop/compose.yaml", Before: []byte(before), After: []byte(after),
		Keys: []string{"app.CELERY_BEAT_REDIS_SYNC_ENABLED", "beat.CELERY_BEAT_MIN_SYNC_INTERVAL"},
	}
	appChanges := []plan.Change{
		{Sign: plan.SignAdd, Key: "CELERY_BEAT_REDIS_SYNC_ENABLED", New: new("true"), Cause: "policy " + policyName + ": FileMissing", Policy: policyName, Origin: at(2, 3)},
		{Sign: plan.SignChange, Key: "LOG_LEVEL", Old: new("info"), New: new("debug"), Cause: "the compose files say so"},
	}
	beatChanges := []plan.Change{
		{Sign: plan.SignChange, Key: "CELERY_BEAT_MIN_SYNC_INTERVAL", Old: new("60"), New: new("5"), Cause: "policy " + policyName + ": FileWrong", Policy: policyName, Origin: at(10, 7)},
		{Sign: plan.SignAdd, Key: "CELERY_BEAT_REDIS_CHANNEL", New: new("celery_beat_schedule_updates"), Cause: "policy " + policyName + ": ContainerStale", Policy: policyName},
		{Sign: plan.SignChange, Key: "REDIS_URL", Old: new("redis://:old-secret@redis:6379/0"), New: new("redis://:new-secret@redis:6379/0"), Sensitive: true, Cause: "policy " + policyName + ": ContainerStale", Policy: policyName},
		{Sign: plan.SignRemove, Key: "API_TOKEN", Old: new("token-secret"), Sensitive: true, Cause: "the compose files say so"},
	}
	return []plan.Step{
		{
			ID: "patch:compose.yaml", Verb: plan.VerbPatch, Object: "compose.yaml", Cause: "declares " + strings.Join(patch.Keys, ", "),
			Diff: udiff.Unified("a/compose.yaml", "b/compose.yaml", before, after), Patch: &patch,
		},
		swapStep("beat", "shop-beat-1", beatID, beatChanges),
		swapStep("app", "shop-app-1", appID, appChanges),
		checkStep("1", "healthy", policy.Check{Healthy: true}),
		checkStep("2", "redis from beat: at least 1 subscriber on celery_beat_schedule_updates", policy.Check{Redis: &policy.RedisCheck{
			Service: "beat", URL: "redis://:check-secret@redis", Channel: "celery_beat_schedule_updates", Subscribers: 1,
		}}),
	}
}

func swapStep(service, name, id string, changes []plan.Change) plan.Step {
	return plan.Step{
		ID: "swap:" + name, Verb: plan.VerbSwap, Object: service + " (" + name + ")", Destructive: true, Requires: []string{"patch:compose.yaml"},
		Cause: "policy " + policyName + ": its environment differs from the files in 2 variables",
		Swap: &plan.Swap{
			Service: service, Container: name, ContainerID: id, Changes: changes, ConfigHash: "0123abcd", Env: []string{"API_TOKEN=env-secret"},
		},
	}
}

func checkStep(n, object string, check policy.Check) plan.Step {
	return plan.Step{
		ID: "check:" + policyName + "/" + n, Verb: plan.VerbCheck, Object: object, Cause: "policy " + policyName,
		Check: &plan.Check{Policy: policyName, Check: check},
	}
}

func project() Project {
	return Project{Name: "shop", Directory: "/srv/shop", Files: []string{"/srv/shop/compose.yaml", "/srv/shop/compose.override.yaml"}, Findings: findings()}
}

func checkReport() Report {
	p := project()
	p.Result = ResultDifferences
	p.Findings = p.Findings[:3]
	p.Plan.Steps = steps()[:1]
	return Report{Verb: VerbCheck, Version: "0.1.0", Projects: []Project{p}}
}

func diffReport() Report {
	p := project()
	p.Context, p.Result = "unix:///var/run/docker.sock, Docker 20.10.24 (API 1.41)", ResultDifferences
	p.Plan = plan.Plan{Project: "shop", Steps: steps(), Basis: plan.Basis{
		Policies: []string{policyName + "@sha256:01"}, Files: []string{"/srv/shop/compose.yaml@sha256:02"}, Containers: []string{"beat=" + beatID}, Environment: "sha256:03",
	}}
	return Report{Verb: VerbDiff, Version: "0.1.0", Projects: []Project{p}}
}

func applyReport(result Result, outcomes ...plan.Outcome) Report {
	r := diffReport()
	r.Verb = VerbApply
	r.Projects[0].Result, r.Projects[0].Outcomes = result, outcomes
	return r
}

func outcome(step string, result plan.Result, ms int64, detail, problem string) plan.Outcome {
	return plan.Outcome{Step: step, Result: result, DurationMs: ms, Detail: detail, Error: problem}
}

func appliedReport() Report {
	return applyReport(ResultApplied,
		outcome("patch:compose.yaml", plan.ResultDone, 12, "", ""),
		outcome("swap:shop-beat-1", plan.ResultDone, 4210, "new container "+newID, ""),
		outcome("swap:shop-app-1", plan.ResultDone, 3105, "new container "+newID, ""),
		outcome("check:"+policyName+"/1", plan.ResultDone, 2, "2 containers healthy", ""),
		outcome("check:"+policyName+"/2", plan.ResultDone, 141, "1 subscriber", ""),
	)
}

func rolledBackReport() Report {
	r := applyReport(ResultRolledBack,
		outcome("patch:compose.yaml", plan.ResultRolledBack, 12, "", ""),
		outcome("swap:shop-beat-1", plan.ResultRolledBack, 4210, "", ""),
		outcome("swap:shop-app-1", plan.ResultFailed, 90000, "", "container "+newID+" was not healthy within 90s; its last line: redis://:old-secret@redis:6379/0 refused"),
		outcome("check:"+policyName+"/1", plan.ResultSkipped, 0, "", ""),
		outcome("check:"+policyName+"/2", plan.ResultSkipped, 0, "", ""),
	)
	p := &r.Projects[0]
	p.Failure = "swap app (shop-app-1): " + r.Projects[0].Outcomes[2].Error
	p.Restored = []string{"container shop-beat-1 (" + beatID + ") runs again", "file compose.yaml is byte-identical again"}
	return r
}

func rollbackFailedReport() Report {
	r := rolledBackReport()
	p := &r.Projects[0]
	p.Result = ResultRollbackFailed
	p.Outcomes[1].Result, p.Outcomes[1].Error = plan.ResultNotUndone, "start container: port 8000 is already allocated"
	p.Restored = []string{"file compose.yaml is byte-identical again", "container shop-beat-1 (" + beatID + ") does not run as before; try:\n" +
		"  docker rm -f $(docker ps -aq --filter label=composure.replaces=" + beatID + ")\n  docker start 1a2b3c4d5e6f"}
	p.Warnings = []string{"the record is kept at /var/lib/composure/shop"}
	return r
}

func heldReport() Report {
	r := diffReport()
	p := &r.Projects[0]
	p.Findings[0].Fix, p.Findings[0].Held, p.Findings[0].Hint = nil, "extends is not supported yet", "edit compose.yaml by hand"
	p.Findings = p.Findings[:2]
	p.Plan.Steps = nil
	p.Plan.Held = []plan.Hold{
		{Object: "app", Reason: "the container was made by compose 1.29.2, whose hash is not known", Next: "docker compose up -d app"},
		{Object: "app.CELERY_BEAT_REDIS_SYNC_ENABLED (compose.yaml:2)", Reason: "extends is not supported yet", Next: "edit compose.yaml by hand"},
		{
			Object: "container shop-app-1.composure-new", Reason: "it is the replacement of an unfinished swap",
			Next: "docker rm -f $(docker ps -aq --filter label=composure.replaces=" + beatID + ")\ndocker start 1a2b3c4d5e6f",
		},
	}
	return r
}

func nothingReport() Report {
	p := project()
	p.Findings, p.Result = p.Findings[1:2], ResultCompliant
	return Report{Verb: VerbDiff, Version: "0.1.0", Projects: []Project{p}}
}

func keptReport() Report {
	r := appliedReport()
	p := &r.Projects[0]
	p.Result, p.Failure = ResultDifferences, "check 2 failed; onFailure is Keep"
	p.Outcomes[4].Result, p.Outcomes[4].Error, p.Outcomes[4].Detail = plan.ResultFailed, "0 subscribers, wants at least 1", ""
	p.Others = []Other{{Service: "app", Change: plan.Change{Sign: plan.SignChange, Key: "SMTP_PASSWORD", Old: new("other-secret"), New: new("other-secret-2")}}}
	p.Others = append(p.Others, Other{Service: "app", Change: p.Plan.Steps[2].Swap.Changes[1]})
	return r
}

// basedReport is what somebody reads who stands above the project.
func basedReport() Report {
	r := appliedReport()
	r.Projects[0].Base = "/srv"
	return r
}

// heldSwapReport has a file that is patched, and a swap that is held all the same.
func heldSwapReport() Report {
	r := diffReport()
	p := &r.Projects[0]
	p.Plan.Steps = p.Plan.Steps[:1]
	p.Plan.Held = []plan.Hold{{Object: "beat", Reason: "the container is not running long enough to be sure of it, and nobody knows why", Next: "docker compose up -d beat"}}
	p.Findings = append(p.Findings[:5], policy.Finding{
		Policy: policyName, Severity: policy.SeverityError, Service: "app", Variable: "CELERY_BEAT_REDIS_SYNC_ENABLED",
		Layer: policy.LayerContainer, Verdict: policy.NotCreated, Message: "shop-app-1 is exited",
	})
	return r
}

// blockedReport has fixes of which none is carried out.
func blockedReport() Report {
	r := diffReport()
	p := &r.Projects[0]
	p.Plan.Steps = nil
	p.Plan.Held = []plan.Hold{{Object: "project shop", Reason: "an unfinished transaction is on record", Next: "composure apply"}}
	return r
}

// unreachableReport is of a project whose files lie outside of the allowed roots.
func unreachableReport() Report {
	r := diffReport()
	p := &r.Projects[0]
	p.Files, p.Plan.Steps = nil, nil
	reason, next := `"/srv/shop/compose.yaml" is outside of the allowed roots`, "run composure where the project's compose files are, or name them with --file"
	stale := p.Findings[3]
	stale.Held, stale.Hint = reason, "run docker compose up -d beat where the compose files are"
	p.Findings = p.Findings[:3]
	for i := range p.Findings {
		f := &p.Findings[i]
		f.Verdict, f.Origin, f.Fix, f.Held, f.Hint, f.Message = policy.FilesUnreachable, nil, nil, reason, next, "no compose file can be read, must be set"
		p.Plan.Held = append(p.Plan.Held, plan.Hold{Object: f.Service + "." + f.Variable, Reason: reason, Next: next, Severity: f.Severity})
	}
	p.Findings = append(p.Findings, stale)
	return r
}

// remainingReport is of an apply after which something differs still.
func remainingReport() Report {
	r := appliedReport()
	p := &r.Projects[0]
	p.Result, p.Remaining = ResultDifferences, p.Findings[3:5]
	return r
}
