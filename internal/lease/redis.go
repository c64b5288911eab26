package lease

import (
	"context"
	"errors"
	"time"

	"github.com/bsm/redislock"
	"github.com/redis/go-redis/v9"
)

// redisLocker keeps the lock under a key whose value is its token, which tells it from all others, and then who holds it. Redis is
// asked by scripts (EVALSHA, EVAL) with SET, GET, GETRANGE, PEXPIRE and DEL.
type redisLocker struct {
	client             redis.UniversalClient
	locks              *redislock.Client
	key, token, holder string

	lock *redislock.Lock // the last one obtained
}

func (r *redisLocker) Obtain(ctx context.Context, ttl time.Duration) (holder string, err error) {
	lock, err := r.locks.Obtain(ctx, r.key, ttl, &redislock.Options{Token: r.token, Metadata: r.holder})
	if errors.Is(err, redislock.ErrNotObtained) {
		return r.holds(ctx), err
	}
	if err != nil {
		return "", err
	}
	r.lock = lock
	return r.holder, nil
}

// holds is who has the lock, which others than redislock do not tell. Tokens are of one length.
func (r *redisLocker) holds(ctx context.Context) string {
	value, err := r.client.Get(ctx, r.key).Result()
	if err != nil || len(value) < len(r.token) {
		return ""
	}
	return value[len(r.token):]
}

func (r *redisLocker) Refresh(ctx context.Context, ttl time.Duration) error {
	return r.lock.Refresh(ctx, ttl, nil)
}

func (r *redisLocker) Release(ctx context.Context) error {
	err := r.lock.Release(ctx)
	if errors.Is(err, redislock.ErrLockNotHeld) {
		return nil
	}
	return err
}
