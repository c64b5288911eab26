package policy

import "time"

// statusOK is what an http check expects when it does not say.
const statusOK = 200

// defaultTimeZone is that of a window that names none.
const defaultTimeZone = "UTC"

func setDefaults(p *Policy) {
	s := &p.Spec
	setDefault(&s.Severity, SeverityError)
	setDefault(&s.Enforcement.Files, ModeAudit)
	setDefault(&s.Enforcement.Containers, ModeAudit)
	for i := range s.Enforcement.Windows {
		setDefault(&s.Enforcement.Windows[i].TimeZone, defaultTimeZone)
	}
	setDefault(&s.Patch.Target, TargetInline)
	setDefault(&s.Rollout.Strategy, StrategyStopFirst)
	setDefault(&s.Rollout.StableFor, Duration(3*time.Second))
	setDefault(&s.Rollout.Timeout, Duration(90*time.Second))
	setDefault(&s.OnFailure, OnFailureRollback)
	for i := range s.Verify {
		setCheckDefaults(&s.Verify[i])
	}
}

func setCheckDefaults(c *Check) {
	if c.Redis != nil {
		setDefault(&c.Redis.Within, Duration(30*time.Second))
		if c.Redis.Channel != "" {
			setDefault(&c.Redis.Subscribers, 1) // a channel that nobody need listen to would verify nothing
		}
	}
	if c.Log != nil {
		setDefault(&c.Log.Within, Duration(60*time.Second))
	}
	if c.Exec != nil {
		setDefault(&c.Exec.Timeout, Duration(30*time.Second))
	}
	if c.HTTP != nil {
		setDefault(&c.HTTP.Within, Duration(30*time.Second))
		setDefault(&c.HTTP.Status, statusOK)
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
