package main

import (
	"context"
	"fmt"

	"github.com/alicebob/miniredis/v2"
)

// serveRedis serves until ctx ends. What it holds dies with it.
func (p process) serveRedis(ctx context.Context, address string) error {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(address); err != nil {
		return fmt.Errorf("listen on %q: %w", address, err)
	}
	defer server.Close()
	p.log.Printf("Redis listening on %s", server.Addr())
	<-ctx.Done()
	return nil
}
